"""Arguments that several commands share, and what is read from them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from turnspan.errors import JournalError, SettingsError

if TYPE_CHECKING:
    from turnspan.journal import Directory
    from turnspan.server.store.sql import SqlStore
    from turnspan.settings import Settings

__all__ = [
    "STORE",
    "add_dir",
    "add_json",
    "add_store",
    "directory_of",
    "server_rooms",
    "settings_of",
    "shown_store",
    "store_of",
]

_DIRECTORY = "TURNSPAN_DIR"
STORE = "TURNSPAN_STORE"


def add_dir(parser: argparse.ArgumentParser) -> None:
    """`--dir`."""
    parser.add_argument(
        "--dir", metavar="PATH", help="the journal's directory (default: TURNSPAN_DIR or .turnspan)"
    )


def add_json(parser: argparse.ArgumentParser, shape: str) -> None:
    """`--json`, which prints ``shape``."""
    parser.add_argument("--json", action="store_true", help=f"print {shape}")


def add_store(parser: argparse.ArgumentParser) -> None:
    """`--store`."""
    parser.add_argument(
        "--store", metavar="S", help="where turns are kept (default: TURNSPAN_STORE or turns.db)"
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings that the environment and `--dir` make.

    Raises:
        SettingsError: a variable is unreadable.
    """
    return _read(args, os.environ)


def directory_of(args: argparse.Namespace) -> Directory:
    """The directory to look into; no variable but its own is read.

    Raises:
        JournalError: there is no journal.
    """
    from turnspan.journal import Directory

    named = {name: value for name, value in os.environ.items() if name == _DIRECTORY}
    path = _read(args, named).directory
    if path is None:
        raise JournalError(
            f"{_DIRECTORY}=none keeps turns in memory: there is no journal to look into",
            fix="name one with --dir",
        )
    return Directory.existing(path)


def server_rooms() -> None:
    """See that what the server needs is installed.

    Raises:
        SettingsError: it is not.
    """
    try:
        import fastapi
        import sqlalchemy
        import uvicorn
    except ImportError as error:
        raise SettingsError(
            f"the server needs {error.name}, which is not installed",
            fix="pip install 'turnspan[server]'",
        ) from error
    del fastapi, sqlalchemy, uvicorn


@contextmanager
def store_of(args: argparse.Namespace) -> Iterator[SqlStore]:
    """The store that `--store` or its variable names.

    Raises:
        StoreError: it cannot be opened.
    """
    from turnspan.server.store import open_store

    store = open_store(_store_url(args))
    try:
        yield store
    finally:
        store.close()


def shown_store(args: argparse.Namespace) -> str:
    """What `--store` or its variable names, fit to be shown: without user and password."""
    url = _store_url(args)
    scheme, mark, rest = url.partition("://")
    return scheme + mark + rest.partition("?")[0].rpartition("@")[2] if mark else url


def _store_url(args: argparse.Namespace) -> str:
    return args.store or os.environ.get(STORE, "").strip() or "turns.db"


def _read(args: argparse.Namespace, environ: Any) -> Settings:
    from turnspan.settings import Settings

    if args.dir is None:
        return Settings.read(environ, {})
    if not args.dir.strip():
        raise SettingsError("--dir names no directory", fix="write --dir PATH")
    return Settings.read(environ, {"directory": os.path.abspath(args.dir)})
