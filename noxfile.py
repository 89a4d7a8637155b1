"""The tests on each Python that is promised and found here, and with the lowest dependencies.

    .venv/bin/nox                    all of it; `make others lowest` leaves its own Python out
    .venv/bin/nox -s tests-3.13      one of them; after `--` what pytest is to be given

A Python that is not on this machine is skipped and said so; none is downloaded.
"""

import os
import subprocess
import sys
from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OWN = ".".join(map(str, sys.version_info[:2]))
OTHERS = [f"tests-{version}" for version in PYTHONS if version != OWN]
PLUGINS = sorted(path.parent for path in Path("integrations").glob("*/pyproject.toml"))
TESTS = ("--group", "test")
# The lowest that the plugins declare, and what these demand in the version of their day.
LOWEST = {
    "langchain": "1.0.0",
    "langchain-core": "1.0.0",
    "langgraph": "1.0.0",
    "langgraph-prebuilt": "1.0.0",
}

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run every test, those of the plugins among them."""
    _install_pip(session)
    plugins = [part for path in PLUGINS for part in ("-e", str(path))]
    groups = [part for path in PLUGINS for part in ("--group", f"{path}/pyproject.toml:test")]
    session.install("-e", ".[otlp,server]", *plugins, *TESTS, *groups)
    session.run("python", "-m", "pytest", "-q", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows.

    Plugins stay away: what a framework demands of pydantic or httpcore is its own lowest.
    """
    _install_pip(session)
    session.install("uv")
    # Not `create_tmp`: it would have the tests' own folders stand inside this checkout.
    resolved = str(Path(session.virtualenv.location) / "lowest.txt")
    session.run(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--resolution", "lowest-direct"),
        *(
            "--no-emit-package",
            "wrapt",  # not ours: what the tests bring may take an older one only
            "--extra",
            "otlp",
            "--extra",
            "server",
            "--python",
            "python",
            "--output-file",
            resolved,
            "pyproject.toml",
        ),
        env={"UV_SYSTEM_CERTS": "true"},
    )
    session.log(Path(resolved).read_text(encoding="utf-8"))
    session.install("-r", resolved, "-e", ".", *TESTS)
    session.run("python", "-m", "pytest", "-q", *(session.posargs or ["tests"]))


@nox.session
def frameworks(session: nox.Session) -> None:
    """Run the plugins' tests with the lowest versions of their frameworks that they allow.

    Their newest ones are those of every other session. Old frameworks warn of themselves.
    """
    _install_pip(session)
    tests = [part for path in PLUGINS for part in ("--group", f"{path}/pyproject.toml:test")]
    frameworks = [f"{name}=={version}" for name, version in LOWEST.items()]
    session.install("-e", ".", *(part for path in PLUGINS for part in ("-e", str(path))))
    session.install(*TESTS, *tests, *frameworks)
    session.log("with %s", " ".join(frameworks))
    posargs = session.posargs or [str(path / "tests") for path in PLUGINS]
    session.run("python", "-m", "pytest", "-q", "-W", "ignore::DeprecationWarning", *posargs)


def _install_pip(session: nox.Session) -> None:
    """One that knows dependency groups."""
    session.install("pip>=25.1")


def _show_pythons() -> None:
    """Let nox find each Python where tools/find-python does: a shim of pyenv proves nothing."""
    for version in PYTHONS:
        found = subprocess.run(
            ["sh", "tools/find-python", version], capture_output=True, text=True, check=False
        ).stdout.strip()
        if os.sep in found:
            os.environ["PATH"] = os.pathsep.join([os.path.dirname(found), os.environ["PATH"]])


_show_pythons()
