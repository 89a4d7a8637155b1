from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class House:
    """The checkout, as the tests of this folder look at it."""

    root = ROOT
    src = ROOT / "src" / "turnspan"

    def sources(self) -> list[Path]:
        """Every module that is shipped, plugins' included."""
        found = [*self.src.rglob("*.py"), *self.root.glob("integrations/*/src/**/*.py")]
        return sorted(found)

    def tests(self) -> list[Path]:
        """Every module of tests."""
        found = self.root.glob("tests/**/test_*.py")
        return sorted([*found, *self.root.glob("integrations/*/tests/**/test_*.py")])

    def tracked(self) -> list[Path]:
        """Every file that is, or is about to be, in the repository."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=self.root,
            capture_output=True,
            check=True,
        )
        names = (self.root / name.decode() for name in listed.stdout.split(b"\0") if name)
        return sorted(path for path in names if path.is_file())

    def where(self, path: Path, node: ast.AST | None = None) -> str:
        """How a finding is named."""
        line = f":{node.lineno}" if node is not None and hasattr(node, "lineno") else ""
        return f"{path.relative_to(self.root)}{line}"

    def nodes(self, paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
        """Every syntax node of ``paths``."""
        for path in paths:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield path, node


@pytest.fixture(scope="session")
def house() -> House:
    return House()
