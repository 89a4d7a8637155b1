"""`turnspan serve` as a process of its own, on a store of one benchmark."""

import http.client
import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Self

LIMITS = ("--limits", "requests_per_s=1000000", "--limits", "burst=1000000")


class Server:
    """Serves the SQLite file at ``path`` while the block lasts."""

    def __init__(self, path: Path) -> None:
        self._words = ("serve", "--store", str(path), "--port", "0", "--no-access-log", *LIMITS)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "turnspan", *self._words], stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        said = self._process.stderr.readline().decode()
        found = re.search(r":(\d+) ", said)
        assert found, said
        self.port = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)

    def get(self, path: str) -> Any:
        """What is answered, as JSON."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def count(self) -> int:
        """How many turns there are."""
        return sum(group["turns"] for group in self.get("/v1/stats")["groups"])
