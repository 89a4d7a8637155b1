"""Completing what a dead owner left: a torn end, and turns that were cut off."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from turnspan.journal.directory import Directory
from turnspan.journal.reader import is_whole, lines_of
from turnspan.journal.segment import read_header
from turnspan.pace import Pace
from turnspan.schema.wire import OPEN, STEP, TURN

__all__ = ["RecoveryStoppedError", "interrupted", "recover"]

_TORN_END = b" \n"
_FIRST = (
    "id", "session_id", "number", "agent", "user_id", "status", "started_at", "ended_at", "input",
    "steps", "usage",
)  # fmt: skip


class RecoveryStoppedError(Exception):
    """Whoever asked for it wants it no more; nothing was completed."""


def recover(
    directory: Directory, segments: list[str], *, is_over: Callable[[], bool] = bool
) -> int:
    """Complete the ``segments`` of one dead owner; how many turns were cut off.

    Whoever calls this holds the owner's lock. A second call finds nothing to do: the turns
    the first one wrote are the ends of those that were open.

    Raises:
        RecoveryStoppedError: ``is_over`` became true; another may begin anew.
        OSError: there is no room for what was cut off.
    """
    paths = [directory.journal / name for name in segments]
    for path in paths:
        _end_torn_line(path)
    opened = _unended(_whole_lines(paths, is_over))
    if not opened:
        return 0
    parts = _parts_of(_whole_lines(paths, is_over), opened.keys())
    resource = _resource_of(paths)
    known = {"resource": resource} if resource else {}
    written = b"".join(
        interrupted({**known, **record}, parts.get(turn_id, ()))
        for turn_id, record in opened.items()
    )
    _append(paths[-1], written)
    return len(opened)


def interrupted(opened: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> bytes:
    """The `turn` line of a turn whose process died, from its `open` and `step` records.

    It ends at the latest time any of them knows, so that every recovery writes the same.
    """
    parts = list(parts)
    steps = [part["step"] for part in parts if isinstance(part.get("step"), dict)]
    times = [step.get("ended_at", 0) for step in steps]
    ended_at = max([opened["started_at"], *times])
    messages = _joined(opened.get("messages"), parts)
    tools = max((part.get("tool_definitions") or [] for part in parts), key=len, default=[])
    steps = [_in_range(step, len(messages), len(tools)) for step in steps]
    fields = {**_in_range(opened, len(messages), 0), "status": "interrupted", "ended_at": ended_at}
    fields.pop("record", None)
    fields.setdefault("schema_version", 1)
    if steps:
        fields["steps"] = steps
    if messages:
        fields["messages"] = messages
    if tools:
        fields["tool_definitions"] = tools
    usage = _summed(step["usage"] for step in steps if "usage" in step and _is_model(step))
    if usage:
        fields["usage"] = usage
    ordered = {key: fields.pop(key) for key in _FIRST if key in fields} | fields
    return orjson.dumps({"record": "turn", **ordered}, option=orjson.OPT_APPEND_NEWLINE)


def _joined(first: object, parts: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The messages of a turn: each part has those from its `messages_from` on.

    What lies beyond the end of those that are there is left out: a record between was torn.
    """
    joined = list(first) if isinstance(first, list) else []
    found = [(part.get("messages_from"), part.get("messages")) for part in parts]
    ranges = [
        (start, messages)
        for start, messages in found
        if isinstance(start, int) and isinstance(messages, list)
    ]
    for start, messages in sorted(ranges, key=lambda each: each[0]):
        if 0 <= start <= len(joined):
            joined[start : start + len(messages)] = messages
    return joined


def _in_range(fields: Mapping[str, Any], messages: int, tools: int) -> dict[str, Any]:
    """``fields`` of a turn or step without ranges beyond so many ``messages`` and ``tools``."""
    kept = dict(fields)
    counts = dict.fromkeys(("input_messages", "output_messages", "system_instructions"), messages)
    for name, count in {**counts, "input_tools": tools}.items():
        ranges = [each for each in kept.pop(name, ()) if each[1] <= count]
        if ranges:
            kept[name] = ranges
    return kept


def _is_model(step: Mapping[str, Any]) -> bool:
    return step.get("kind") == "model"


def _summed(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            if isinstance(value, int | float):
                total[name] = total.get(name, 0) + value
    return total


def _unended(lines: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    """The `open` records without a `turn`, by turn id, over all segments of the owner."""
    places: dict[bytes, bytes] = {}
    for line in lines:
        if line.startswith(OPEN):
            places[_id_after(line, OPEN)] = line
        elif line.startswith(TURN):
            places.pop(_id_after(line, TURN), None)
    records = filter(None, map(_decoded, places.values()))
    return {each["id"]: each for each in records if "id" in each and "started_at" in each}


def _resource_of(paths: list[Path]) -> Mapping[str, Any]:
    """What the owner says of itself at the head of its segments: `open` records leave it out."""
    headers = filter(None, map(read_header, paths))
    return next((each.resource for each in headers if each.resource), {})


def _parts_of(lines: Iterable[bytes], turn_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The `step` records of the turns, by turn id, in the order they were written."""
    wanted = {turn_id.encode(): turn_id for turn_id in turn_ids}
    parts: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line.startswith(STEP) and (turn_id := wanted.get(_id_after(line, STEP))):
            record = _decoded(line)
            if record:
                parts.setdefault(turn_id, []).append(record)
    return parts


def _whole_lines(paths: list[Path], is_over: Callable[[], bool]) -> Iterator[bytes]:
    pace = Pace()
    for path in paths:
        for _, line in lines_of(path):
            pace.step()
            if is_over():
                raise RecoveryStoppedError
            if is_whole(line):
                yield line


def _id_after(line: bytes, kind: bytes) -> bytes:
    """The value of the key after `record`: `"id":"…"` or `"turn_id":"…"`."""
    parts = line[len(kind) : len(kind) + 200].split(b'"', 4)
    return parts[3] if len(parts) > 3 else b""


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _end_torn_line(path: Path) -> None:
    """Close a last line without its newline: whole if it is JSON, or so that readers skip it."""
    size = path.stat().st_size
    last = b""
    with open(path, "rb") as file:
        for back in (2**16, size):
            file.seek(max(size - back, 0))
            last = file.read()
            if b"\n" in last or back >= size:
                break
    last = last[last.rfind(b"\n") + 1 :]
    if last:
        _append(path, b"\n" if _decoded(last) else _TORN_END)


def _append(path: Path, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        if os.write(fd, text) != len(text):
            os.write(fd, _TORN_END)
            raise OSError(f"no room in {path}")
    finally:
        os.close(fd)
