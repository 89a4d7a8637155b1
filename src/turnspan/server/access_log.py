"""The access log: one JSON object a request, and nothing of its content."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import orjson

from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.server.call import Call

__all__ = ["AccessLog"]


class AccessLog:
    """Writes lines to ``stream``; None keeps quiet."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        self._stream = stream

    def write(self, call: Call, *, status: int, size: int, took_ns: int) -> None:
        """Write the line of one request. Its path is the route's pattern: ids may be personal."""
        if self._stream is None:
            return
        line = {
            "at": call.clock.now_ns(),
            "request_id": call.request_id,
            "dialect": call.dialect.name,
            "method": call.method,
            "route": next((line.path for line in call.dialect.router.at(call.path)), None),
            "status": status,
            "received_bytes": len(call.body),
            "sent_bytes": size,
            "duration_ms": round(took_ns / 1e6, 3),
            "key": call.access.key_id if call.access else None,
        }
        try:
            self._stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            self._stream.flush()
        except OSError as error:  # whoever read it is gone; the server is asked on
            say("access log", "the access log cannot be written: %s", error)
