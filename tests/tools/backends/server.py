"""A tool's server: a process of its own on loopback, with its files in a folder of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["STARTS_S", "Server", "eventually", "free_port"]

STARTS_S = 300.0  # one minute on an idle machine with two cores
ANSWERS_S = 120.0
FOREIGN = ("TURNSPAN_", "OTEL_", "PYTHON", "MLFLOW_", "PHOENIX_")
Found = TypeVar("Found")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def eventually(find: Callable[[], Found | None], *, within_s: float = ANSWERS_S) -> Found | None:
    """What ``find`` finds as soon as it finds something; what it found last, when time is up."""
    until = time.monotonic() + within_s
    while not (found := find()) and time.monotonic() < until:
        time.sleep(0.2)
    return found


class Server:
    """The process that ``command`` starts; it is ready when ``health`` is answered with 200."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        port: int,
        health: str,
        env: Mapping[str, str],
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        self.port = port
        self._health = health
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            # A group of its own: what it starts itself ends with it.
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=kept | {"HOME": str(folder), "NO_PROXY": "*"} | env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Return when it answers.

        Raises:
            RuntimeError: it ended, or takes too long; the message has what it said last.
        """
        ready = eventually(lambda: self._is_ready() or self._process.poll(), within_s=STARTS_S)
        if ready is not True:
            said = self._log.read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{self._process.args} is not ready ({ready}):\n{said}")

    def stop(self) -> None:
        """End it, and all that it started: nothing of it is to be kept."""
        if self._process.returncode is None:  # until it is waited for, its number is its own
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def ask(self, path: str, body: Any = None) -> Any:
        """What it answers to GET, or to POST where there is a ``body``, as JSON."""
        status, answer = self._answer(path, body, ANSWERS_S)
        if status != 200:
            raise RuntimeError(f"{path} is answered with {status}: {answer[:500]!r}")
        return json.loads(answer)

    def _is_ready(self) -> bool:
        try:
            return self._answer(self._health, None, 5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _answer(self, path: str, body: Any, timeout_s: float) -> tuple[int, bytes]:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        with closing(asked) as connection:
            if body is None:
                connection.request("GET", path)
            else:
                headers = {"content-type": "application/json"}
                connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
