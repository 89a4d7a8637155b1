"""The Pythons of those we are compared with: an adapter names its packages, each has its own.

An adapter is a file `NAME_adapter.py` with ``PACKAGES``. Its Python is the one that the
environment variable `TURNSPAN_PEER_NAME` names, or that of an environment made here.
"""

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VENVS = Path(__file__).parent.parent / ".venv-peers"
OURS = "turnspan"  # and what begins with it: ours, in this Python


@dataclass(frozen=True, slots=True)
class Environments:
    """Peers by the adapters in a folder; ``common`` is installed beside each."""

    adapters: Path
    venvs: Path
    common: tuple[str, ...]

    def known(self) -> list[str]:
        """Every peer there is an adapter for; turnspan, which all are compared with, first."""
        found = sorted(path.stem for path in self.adapters.glob("*_adapter.py"))
        names = [stem.removesuffix("_adapter") for stem in found]
        return sorted(names, key=lambda name: not name.startswith(OURS))

    def python_of(self, peer: str) -> str | None:
        """The Python that has ``peer``; None where none has."""
        if peer.startswith(OURS):
            return sys.executable
        given = os.environ.get(f"TURNSPAN_PEER_{peer.upper()}")
        python = Path(given) if given else self.venvs / peer / "bin" / "python"
        return str(python) if python.exists() else None

    def make(self, peer: str) -> None:
        """An environment with the packages that the adapter names, from pip's own index."""
        if peer.startswith(OURS):
            return
        folder = self.venvs / peer
        print(f"installing {peer} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        wanted = [*self.packages(peer), *self.common]
        subprocess.run([*pip, "--disable-pip-version-check", *wanted], check=True)

    def packages(self, peer: str) -> list[str]:
        """What the adapter names as ``PACKAGES``, without importing it."""
        source = (self.adapters / f"{peer}_adapter.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PACKAGES":
                return ast.literal_eval(node.value)
        raise ValueError(f"{peer}_adapter.py names no PACKAGES")
