"""Serve the Turns API: turns are posted to it, kept, and handed back.

It answers in its own words, and in those of every dialect under /NAME. Without an API key it
listens on loopback only and answers everybody there; `turnspan keys create` makes one, and from
then on every request needs one. An HTTP exporter reaches it at the URL it prints.

S is a file for SQLite, or postgresql://HOST/DATABASE, which several servers may share. The
access log is a JSON object a request on standard output, without content. SIGINT and SIGTERM end
it when what is under way is done. Needs the extra `turnspan[server]`.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from turnspan.cli._arguments import add_store, server_rooms, store_of
from turnspan.errors import SettingsError

__all__ = ["arguments", "run"]

_DAY_S: Final = 86_400.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8787, help="0 takes a free one (8787)")
    add_store(parser)
    parser.add_argument(
        "--limits",
        metavar="NAME=N",
        action="append",
        default=[],
        help="set a limit, such as requests_per_s=50; `--limits help` lists them (repeatable)",
    )
    parser.add_argument(
        "--retain-days",
        metavar="N",
        type=float,
        help="turn what is older into anonymised numbers (keep everything)",
    )
    parser.add_argument("--no-access-log", action="store_true", help="write no access log")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes.

    Raises:
        SettingsError: a limit cannot be read, or the extra is not installed.
    """
    from turnspan.cli._output import counted, note

    server_rooms()
    from turnspan.server.serving import serve

    if args.limits == ["help"]:
        return _list_limits()
    limits = _limits(args.limits)
    if args.retain_days is not None and not args.retain_days > 0:
        raise SettingsError("--retain-days is not above 0", fix="leave it out to keep everything")
    with store_of(args) as store:
        keys = sum(key.revoked_at is None for key in store.all_keys())
        who = counted(keys, "key") if keys else "no keys: open to every program of this machine"
        serve(
            store,
            host=args.host,
            port=args.port,
            limits=limits,
            retain_s=None if args.retain_days is None else args.retain_days * _DAY_S,
            access_log=not args.no_access_log,
            on_ready=lambda url: note(f"turnspan: serving at {url} ({who})"),
        )
    return 0


def _list_limits() -> int:
    from dataclasses import asdict

    from turnspan.cli._output import show_line
    from turnspan.server.limits import Limits

    for name, value in asdict(Limits()).items():
        show_line(f"{name}={'none' if value is None else value}")
    return 0


def _limits(given: list[str]) -> Any:
    """The limits, with those that were given.

    Raises:
        SettingsError: there is no such limit, or it is no number above 0.
    """
    from dataclasses import fields

    from turnspan.server.limits import Limits
    from turnspan.settings import size_of

    known = {field.name: field for field in fields(Limits)}
    chosen: dict[str, Any] = {}
    for each in given:
        name, _, text = each.partition("=")
        if name not in known:
            raise SettingsError(f"there is no limit {name!r}", fix="see `--limits help`")
        is_whole = "int" in str(known[name].type)
        try:
            value = size_of(text) if is_whole else float(text)
            if not value > 0:
                raise ValueError
        except ValueError:
            raise SettingsError(
                f"--limits {each} is no {'whole ' * is_whole}number above 0",
                fix=f"write {name}=N" + ", where N may be a size such as 16MiB" * is_whole,
            ) from None
        chosen[name] = value
    return Limits(**chosen)
