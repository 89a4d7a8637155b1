"""Convert traces to turns: OTLP files in, a turn a line out.

FILE is OTLP as JSON (one request, an array of them, or one a line, as the Collector's file exporter
writes) or as protobuf; gzipped if you like; `-` is standard input. Spans are put together across
all files. Feedback on spans comes out as feedback. Spans that belong to no turn are counted on
standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from turnspan.errors import WireError

if TYPE_CHECKING:
    from turnspan.telemetry.decoding import Decoded, Received

__all__ = ["arguments", "run"]

_WANTED = "name files that an OTLP/HTTP exporter or the Collector's file exporter wrote"
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"  # some editors on Windows put it before a text


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="OTLP traces, or - for stdin")
    parser.add_argument("--to", metavar="PATH", help="write there (standard output)")


def run(args: argparse.Namespace) -> int:
    """Print the turns.

    Raises:
        WireError: a file holds no traces.
    """
    from turnspan.telemetry.decoding import decode_spans

    received = [_received(name) for name in args.files]
    decoded = decode_spans(span for each in received for span in each.spans)
    _write(_lines(decoded), args.to)
    _tell(received, decoded)
    return 0


def _received(name: str) -> Received:
    import gzip
    import zlib

    body = _body(name)
    try:
        return _spans_in(gzip.decompress(body) if body.startswith(_GZIP) else body)
    except (OSError, EOFError, zlib.error) as error:
        raise WireError(f"{name} is broken: {error}", fix="get the file anew") from error
    except WireError as error:  # its own fix is for who sends a request to the server
        raise WireError(f"{name}: {error.what}", fix=_WANTED) from error


def _body(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise WireError(f"{name} cannot be read: {error.strerror}", fix=_WANTED) from error


def _spans_in(body: bytes) -> Received:
    """The spans in ``body``, whichever of the formats it is in."""
    from turnspan.telemetry.decoding import Received, from_json, from_protobuf

    body = body.removeprefix(_MARK)
    if not body.strip():
        raise WireError("the file is empty", fix=_WANTED)
    if body.lstrip()[:1] not in {b"{", b"["}:
        return from_protobuf(body)
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) == 1 or not _is_json(lines[0]):
        return from_json(body)
    whole = Received()
    for line in lines:
        each = from_json(line)
        whole.spans += each.spans
        whole.rejected += each.rejected
        whole.reason = whole.reason or each.reason
    return whole


def _is_json(line: bytes) -> bool:
    """Whether ``line`` is a value by itself, so that each line is."""
    import orjson

    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _lines(decoded: Decoded) -> Iterator[bytes]:
    from turnspan.schema import encode_feedback, encode_turn

    yield from map(encode_turn, decoded.turns)
    yield from map(encode_feedback, decoded.feedback)


def _write(lines: Iterable[bytes], to: str | None) -> None:
    if to is None:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    with Path(to).open("wb") as file:
        file.writelines(lines)


def _tell(received: Iterable[Received], decoded: Decoded) -> None:
    from turnspan.cli._output import counted, note

    for each in received:
        if each.rejected:
            note(f"turnspan: {counted(each.rejected, 'span')} cannot be read: {each.reason}")
    if not (decoded.turns or decoded.feedback):
        note("turnspan: there is no turn in what was given")
    if decoded.homeless:
        count = counted(len(decoded.homeless), "span")
        note(f"turnspan: {count} belong to no turn: nothing around them is an agent's")
    if decoded.unreadable:
        count = counted(len(decoded.unreadable), "span")
        note(f"turnspan: {count} contradict themselves, and make no turn")
