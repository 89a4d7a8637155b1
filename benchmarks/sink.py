"""A destination that says 200 to whatever it is sent, in a process of its own.

    python sink.py PORT

It keeps bodies as they are and looks into them only when asked, on its standard input, so
that counting does not disturb what is measured. It ends with its standard input.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
import zlib
from types import TracebackType
from typing import Self

MARK = re.compile(rb"Q\d{8}")  # begins each question of `workload`
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
GZIPPED = re.compile(rb"\r\ncontent-encoding: *gzip", re.IGNORECASE)
GZIP_WBITS = 31


class Sink:
    """The process, as its user sees it: up within the `with` block, unless taken down."""

    def __init__(self) -> None:
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()  # it listens

    def down(self) -> None:
        """End the process, and forget what arrived: connections are refused from now on."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def arrived(self) -> int:
        """How many different turns have arrived since it is up."""
        print("count", file=self._process.stdin, flush=True)
        return int(self._line())

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.down()

    def _line(self) -> str:
        return self._process.stdout.readline()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bodies:
    """What was sent, undecoded."""

    def __init__(self) -> None:
        self.kept: list[tuple[bool, bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests of one connection until it ends, and answer each."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = LENGTH.search(head)
                body = await reader.readexactly(int(size[1])) if size else b""
                self.kept.append((GZIPPED.search(head) is not None, body))
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def turns(self) -> int:
        """How many different questions they hold."""
        seen: set[bytes] = set()
        for is_packed, body in tuple(self.kept):
            seen.update(MARK.findall(zlib.decompress(body, GZIP_WBITS) if is_packed else body))
        return len(seen)


async def main(port: int) -> None:
    """Listen on ``port`` until the process ends."""
    bodies = Bodies()
    server = await asyncio.start_server(bodies.serve, "127.0.0.1", port, backlog=128)
    threading.Thread(target=_obey, args=(bodies,), daemon=True).start()
    await server.serve_forever()


def _obey(bodies: Bodies) -> None:
    print("listening", flush=True)
    for _ in sys.stdin:
        print(bodies.turns(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
