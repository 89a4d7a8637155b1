"""The body of a request: whole, decompressed, and never longer than was agreed."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive

from turnspan.server.problem import Problem

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdDecompressor, ZstdError

__all__ = ["decoded", "received"]

GZIP_WBITS: Final = 31
MAX_MEMBERS: Final = 16  # each copies what is left: thousands of empty ones would take hours
DRAINED_BYTES: Final = 64 * 2**20
"""What is read and thrown away of a body that is too long: a client that is still sending
when the connection closes never sees the answer that tells it why."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


async def received(
    receive: Receive, headers: Mapping[str, str], *, max_bytes: int, within_s: float
) -> bytes:
    """The body as it came.

    Raises:
        Problem: it is longer than ``max_bytes``, takes longer than ``within_s``, or broke off.
    """
    try:
        async with asyncio.timeout(within_s):
            return await _received(receive, headers, max_bytes)
    except TimeoutError:
        raise Problem(
            408,
            "timeout",
            f"the request took longer than {within_s:g} s to arrive",
            headers={"connection": "close"},
        ) from None


async def decoded(body: bytes, headers: Mapping[str, str], *, max_bytes: int) -> bytes:
    """``body`` without its `Content-Encoding`: gzip or zstd.

    Raises:
        Problem: the encoding is another or broken, or there is more in it than ``max_bytes``.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding in {"gzip", "x-gzip"}:
        return await run_in_threadpool(_gunzipped, body, max_bytes)
    if encoding == "zstd":
        return await run_in_threadpool(_unzstd, body, max_bytes)
    raise Problem(
        415,
        "unsupported_media",
        "a body may be encoded with gzip or zstd, once",
        headers={"accept-encoding": "gzip, zstd"},
    )


async def _received(receive: Receive, headers: Mapping[str, str], max_bytes: int) -> bytes:
    told = headers.get("content-length", "")
    too_long = told.isdigit() and int(told) > max_bytes
    if too_long and "expect" in headers:  # nothing is sent before it was asked for
        raise _too_long(max_bytes)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "invalid_request", "the body broke off")
        chunk = message.get("body", b"")
        size += len(chunk)
        more = message.get("more_body", False)
        too_long = too_long or size > max_bytes
        if not too_long:
            chunks.append(chunk)
        elif size > DRAINED_BYTES:
            break
    if too_long:
        raise _too_long(max_bytes)
    return b"".join(chunks)


def _gunzipped(body: bytes, max_bytes: int) -> bytes:
    return _inflated(body, max_bytes, "gzip")


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    return _inflated(body, max_bytes, "zstd")


def _inflated(body: bytes, max_bytes: int, encoding: str) -> bytes:
    """What is in ``body``, of one member or several, up to ``max_bytes``."""
    parts: list[bytes] = []
    left = max_bytes
    try:
        for _ in range(MAX_MEMBERS):
            opened = _decompressor(encoding)
            part = opened.decompress(body, left + 1)
            left -= len(part)
            parts.append(part)
            if left < 0:
                raise _too_long(max_bytes)
            if not opened.eof:
                raise Problem(400, "invalid_request", f"the {encoding} body breaks off")
            body = opened.unused_data
            if not body:
                return b"".join(parts)
        raise Problem(400, "invalid_request", f"the {encoding} body has too many members")
    except (zlib.error, ZstdError, EOFError) as error:
        raise Problem(400, "invalid_request", f"the body is not {encoding}") from error


def _decompressor(encoding: str) -> _Decompressor:
    if encoding == "gzip":
        return zlib.decompressobj(GZIP_WBITS)
    return ZstdDecompressor()


def _too_long(max_bytes: int) -> Problem:
    return Problem(
        413,
        "too_large",
        f"a request may hold {max_bytes} bytes after decompression; send it in parts",
        extra={"max_bytes": max_bytes},
    )
