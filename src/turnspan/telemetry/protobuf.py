"""The protobuf wire format, as much of it as attributes need.

Source: https://protobuf.dev/programming-guides/encoding/ and opentelemetry-proto v1.9.0,
common/v1/common.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Any, TypeAlias

from turnspan.telemetry import semconv as names

__all__ = [
    "Gap", "attributes", "delimited", "fields", "fill", "gap", "key_value", "text", "varint",
]  # fmt: skip

Gap: TypeAlias = tuple[bytes, str, bytes, int]
"""The bytes before an attribute, its key, that encoded, and how long this is."""

_TABLE = tuple(bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(2048))
_TABLE_SIZE = 2040  # a length and the tags before it still find their place in the table
_VARINT, _DELIMITED = 0, 2
_FIXED = {1: 8, 5: 4}  # wire type → bytes
_DOUBLE = Struct("<d").pack
_INT64 = range(-(1 << 63), 1 << 63)
_KEYS: dict[str, tuple[bytes, int]] = {}
_MAX_KEYS = 4096
_KEY_CHARS = 256
_PAIRS: dict[tuple[str, str], bytes] = {}
_MAX_PAIRS = 4096
_PAIR_CHARS = 256
# What says the same on span after span; ids and content do not.
_RECURRING = frozenset(
    (
        names.AGENT_NAME,
        names.CONVERSATION_ID,
        names.INPUT_MIME_TYPE,
        names.OPERATION_NAME,
        names.OUTPUT_MIME_TYPE,
        names.PROVIDER_NAME,
        names.REQUEST_MODEL,
        names.RESPONSE_MODEL,
        names.SESSION_ID,
        names.TOOL_DESCRIPTION,
        names.TOOL_NAME,
        names.TOOL_TYPE,
        names.TURN_STATUS,
        names.USER_ID,
    )
)


def varint(number: int) -> bytes:
    """``number`` (at least 0) in base 128, low digits first."""
    if number < len(_TABLE):
        return _TABLE[number]
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def delimited(tag: bytes, payload: bytes) -> bytes:
    """A field of known length: message, string or bytes."""
    return tag + varint(len(payload)) + payload


def text(tag: bytes, value: str) -> bytes:
    """A string field; an empty one is left out, as proto3 does with defaults."""
    return delimited(tag, value.encode()) if value else b""


def attributes(tag: bytes, pairs: dict[str, Any], parts: list[bytes]) -> None:
    """Append each of ``pairs`` to ``parts`` as a `KeyValue` field under ``tag``.

    Every turn passes here some thirty times, hence the kept encodings and the table.
    """
    for key, value in pairs.items():
        if type(value) is str:
            if key in _RECURRING and len(value) <= _PAIR_CHARS:
                encoded = _PAIRS.get((key, value)) or _remember(key, value, value)
                parts += (tag, encoded)
                continue
            data = value.encode()
            size = len(data)
            if size < _TABLE_SIZE:
                name, name_size = _KEYS.get(key) or _key(key)
                head = _HEADS[size]
                parts += (tag, varint(name_size + len(head) + size), name, head, data)
                continue
        elif type(value) is int and 0 <= value < _TABLE_SIZE:
            name, name_size = _KEYS.get(key) or _key(key)
            number = _TABLE[value]
            inner = _TABLE[1 + len(number)]
            parts += (tag, varint(name_size + 2 + len(number)), name, inner, b"\x18", number)
            continue
        elif (
            key == names.FINISH_REASONS
            and type(value) is list
            and len(value) == 1
            and type(value[0]) is str
        ):
            encoded = _PAIRS.get((key, value[0])) or _remember(key, value, value[0])
            parts += (tag, encoded)
            continue
        pair = key_value(key, value)
        parts += (tag, varint(len(pair)), pair)


def gap(before: bytes, key: str) -> Gap:
    """Where `fill` puts a value of ``key``, after the bytes ``before`` and its tag."""
    return before, key, *(_KEYS.get(key) or _key(key))


def fill(gaps: Iterable[Gap], values: Mapping[str, bytes | int], parts: list[bytes]) -> None:
    """Append ``gaps`` to ``parts``, each with its value: UTF-8, or a number from 0 to 2**63."""
    for before, key, name, name_size in gaps:
        value = values[key]
        if isinstance(value, int):
            number = b"\x18" + varint(value)
            parts += (
                before,
                varint(name_size + 1 + len(number)),
                name,
                varint(len(number)),
                number,
            )
            continue
        size = len(value)
        head = _HEADS[size] if size < _TABLE_SIZE else _head(size)
        parts += (before, varint(name_size + len(head) + size), name, head, value)


def key_value(key: str, value: Any) -> bytes:
    """One `KeyValue` message."""
    payload = _any_value(value)
    return (_KEYS.get(key) or _key(key))[0] + varint(len(payload)) + payload


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of ``message``: integers, and bytes of known length.

    Those of fixed size are their bytes, low ones first.

    Raises:
        ValueError: the bytes are no message, or hold a field of another wire type.
    """
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            number, place = _read_varint(message, place)
            yield tag >> 3, number
            continue
        size = _FIXED.get(kind)
        if kind == _DELIMITED:
            size, place = _read_varint(message, place)
        if size is None or place + size > len(message):
            raise ValueError(f"no field of a known kind at byte {place}")
        yield tag >> 3, message[place : place + size]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while place < len(message) and shift < 64:  # ten bytes at most
        digit = message[place]
        number |= (digit & 127) << shift
        place, shift = place + 1, shift + 7
        if digit < 128:
            return number, place
    raise ValueError(f"a number is cut off at byte {place}")


def _any_value(value: Any) -> bytes:
    """An `AnyValue` message; integers beyond 64 bits become text."""
    kind = type(value)
    if kind is str:
        return delimited(b"\x0a", value.encode())
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        if value not in _INT64:
            return delimited(b"\x0a", str(value).encode())
        return b"\x18" + varint(value & 0xFFFFFFFFFFFFFFFF)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    if kind is list:
        return delimited(b"\x2a", b"".join([delimited(b"\x0a", _any_value(v)) for v in value]))
    if kind is dict:
        return delimited(
            b"\x32", b"".join([delimited(b"\x0a", key_value(k, v)) for k, v in value.items()])
        )
    if value is None:
        return b""
    raise TypeError(f"no attribute value: {kind.__name__}")


def _head(size: int) -> bytes:
    """What stands between a key and its text of ``size`` bytes: two lengths and a tag."""
    length = b"\x0a" + varint(size)
    return varint(len(length) + size) + length


def _key(key: str) -> tuple[bytes, int]:
    """The key's field and the tag of the value after it, and how long both are."""
    encoded = delimited(b"\x0a", key.encode()) + b"\x12"
    if len(key) <= _KEY_CHARS:  # what other code puts on a span may be called anything
        if len(_KEYS) >= _MAX_KEYS:
            _KEYS.clear()
        _KEYS[key] = encoded, len(encoded)
    return encoded, len(encoded)


def _remember(key: str, value: Any, told_by: str) -> bytes:
    """The `KeyValue` message with its length in front, kept for the next span."""
    pair = key_value(key, value)
    encoded = varint(len(pair)) + pair
    if len(encoded) < _TABLE_SIZE:
        if len(_PAIRS) >= _MAX_PAIRS:
            _PAIRS.clear()
        _PAIRS[key, told_by] = encoded
    return encoded


_HEADS = tuple(map(_head, range(_TABLE_SIZE)))
