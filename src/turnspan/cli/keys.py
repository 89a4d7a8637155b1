"""Make, list or revoke the API keys of a server.

A key belongs to one project and sees nothing of another. `create` prints it once: the store
keeps no more than a digest. The clients of every dialect take it, as Bearer token or X-API-Key.
Scopes are read, write and admin (which erases); a revoked key fails within a second.

With --json, `create`: one object, {"id", "project", "name", "scopes", "created_at",
"revoked_at", "key"}; `list` and `revoke`: the same without the key, one object a line.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._arguments import add_json, add_store, server_rooms, shown_store, store_of
from turnspan.cli._output import note, print_json, show_line, shown_time
from turnspan.errors import SettingsError

if TYPE_CHECKING:
    from turnspan.server.store.port import Key

__all__ = ["arguments", "run"]

SCOPES: Final = ("read", "write", "admin")
MAX_CHARS: Final = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("what", choices=("create", "list", "revoke"), help="what to do")
    parser.add_argument("id", nargs="?", metavar="ID", help="the key to revoke")
    parser.add_argument(
        "--project", metavar="NAME", default="default", help="whose it is (default)"
    )
    parser.add_argument("--name", metavar="NAME", default="", help="what you call it")
    parser.add_argument(
        "--scopes",
        metavar="S,S",
        default="read,write",
        help="what it may do: read, write, admin (read,write)",
    )
    add_store(parser)
    add_json(parser, "one object, or one a line")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        SettingsError: a scope is unknown, or there is no such key.
    """
    server_rooms()
    if args.what == "revoke" and args.id is None:
        raise SettingsError("revoke takes an ID", fix="`turnspan keys list` shows them")
    if args.what != "revoke" and args.id is not None:
        fix = "name it with --name, or its project with --project"
        raise SettingsError(f"{args.what} takes no ID", fix=fix)
    with store_of(args) as store:
        if args.what == "list":
            _list(store, args)
        elif args.what == "revoke":
            revoked = store.revoke_key(args.id)
            if revoked is None:
                raise SettingsError(f"there is no key {args.id!r}", fix="see `turnspan keys list`")
            _show(revoked, args)
        else:
            _create(store, args)
    return 0


def _list(store: Any, args: argparse.Namespace) -> None:
    keys = store.all_keys()
    for key in keys:
        _show(key, args)
    if not keys:
        note(f"there is no key in {shown_store(args)}")


def _create(store: Any, args: argparse.Namespace) -> None:
    scopes = frozenset(args.scopes.replace(",", " ").split())
    if not scopes or not scopes <= set(SCOPES):
        raise SettingsError(
            f"--scopes {args.scopes} cannot be read", fix=f"some of: {', '.join(SCOPES)}"
        )
    if not 0 < len(args.project) <= MAX_CHARS or len(args.name) > MAX_CHARS:
        raise SettingsError(
            "a project has 1 to 100 characters, a name at most as many",
            fix="give others, or leave out --project for `default`",
        )
    key, secret = store.create_key(project=args.project, name=args.name, scopes=scopes)
    if args.json:
        print_json(_fields(key) | {"key": secret})
        return
    note(f"turnspan: key {key.id} of project {key.project}; it is shown this once:")
    show_line(secret)


def _show(key: Key, args: argparse.Namespace) -> None:
    if args.json:
        print_json(_fields(key))
        return
    state = "" if key.revoked_at is None else f"  revoked {shown_time(key.revoked_at)}"
    scopes = ",".join(sorted(key.scopes))
    made = shown_time(key.created_at)
    show_line(f"{key.id}  {key.project}  {scopes}  {made}  {key.name}{state}")


def _fields(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "project": key.project,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
