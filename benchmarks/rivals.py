"""The same turns given to other tools over OTLP/HTTP, where their environments are named."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from turnspan.exporters.otlp import OtlpExporter
from turnspan.ports import JournalledTurn
from turnspan.schema import Turn, encode_turn

COMMANDS = {
    "phoenix": ("-m", "phoenix.server.main", "serve"),
    "mlflow": ("-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
}
BATCH = 200
STARTS_S = 120.0


def named() -> dict[str, str]:
    """The Python of each tool that is named; the arguments that name it are taken away."""
    found = {}
    while "--beside" in sys.argv:
        at = sys.argv.index("--beside")
        name, _, python = sys.argv[at + 1].partition("=")
        found[name] = python
        del sys.argv[at : at + 2]
    return found


def measured(pythons: dict[str, str], turns: Sequence[Turn]) -> Iterator[tuple[str, float | None]]:
    """Seconds a turn of each tool; None where its Python was not named."""
    for name in COMMANDS:
        yield name, taken(name, pythons[name], turns) if name in pythons else None


def taken(name: str, python: str, turns: Sequence[Turn]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        words = [word.format(port=port) for word in COMMANDS[name]]
        env = os.environ | {"PHOENIX_PORT": str(port), "PHOENIX_WORKING_DIR": folder}
        process = subprocess.Popen(
            [python, *words],
            cwd=folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + STARTS_S
            while not answers(port) and time.monotonic() < until:
                time.sleep(0.2)
            return exported(port, turns)
        finally:
            process.terminate()
            process.wait()


def answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
    except OSError:
        return False


def exported(port: int, turns: Sequence[Turn]) -> float:
    exporter = OtlpExporter(f"otlp+http://127.0.0.1:{port}")
    lines = [JournalledTurn(encode_turn(turn)) for turn in turns]
    began = time.perf_counter()
    for start in range(0, len(lines), BATCH):
        outcome = exporter.export(lines[start : start + BATCH], timeout_s=300)
        assert not outcome.unsent, outcome.cause
    spent = time.perf_counter() - began
    exporter.close(timeout_s=5)
    return spent / len(turns)
