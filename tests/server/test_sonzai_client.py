"""The vendor's own client, as it is published, against the server."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = "sonzai==1.8.0"
ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("sonzai_program.py")


def newer_python():
    """A Python that can import the client: 3.11 cannot, though its wheel says so."""
    if sys.version_info >= (3, 12):
        return sys.executable
    environ = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    for version in ("3.12", "3.13"):
        found = subprocess.run(
            ["sh", ROOT / "tools" / "find-python", version],
            check=False,
            capture_output=True,
            text=True,
            env=environ,
        )
        if found.returncode == 0:
            return found.stdout.strip()
    return None


@pytest.fixture(scope="session")
def client_python():
    """A Python that has the client, in an environment that the checkout keeps."""
    python = newer_python()
    if python is None:
        pytest.skip(f"{CLIENT} needs Python 3.12 or newer, and there is none here")
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    home = ROOT / ".clients" / f"{CLIENT.replace('==', '-')}-py{version}"
    home.parent.mkdir(exist_ok=True)
    with open(f"{home}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "made").exists():
            subprocess.run([python, "-m", "venv", "--clear", home], check=True, capture_output=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", CLIENT]
            made = subprocess.run(pip, check=False, capture_output=True, text=True)
            if made.returncode != 0:
                pytest.skip(f"{CLIENT} cannot be installed here: {made.stderr[-300:]}")
            (home / "made").touch()
    return home / "bin" / "python"


@pytest.fixture(params=["sync", "async"])
def seen(request, serve, client_python):
    """What a program sees of the server through the client, on each of its faces."""
    api = serve()
    environ = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"}
    ran = subprocess.run(
        [client_python, PROGRAM, request.param, api.url, api.key()],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=environ,
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    return api, json.loads(ran.stdout), request.param


def said(reply):
    return [(each["role"], each["content"]) for each in reply["recent_turns"]]


def test_the_published_client_is_answered_as_it_expects(seen):
    """Each of its methods that we serve, on both faces: none of our answers is refused by it."""
    api, told, face = seen
    queued = {"success": True, "extraction_status": "queued"}
    for name in ("turn", "turn with tools", "turn and context", "turn with slashes"):
        assert {key: told[name][key] for key in queued} == queued, name
    first = [("user", "what?"), ("assistant", "that")]
    second = [("user", "weather?"), ("assistant", "It rains.")]
    nothing = dict.fromkeys(["mood_updated", "personality_updated"], False)
    nothing |= dict.fromkeys(["habits_observed", "interests_detected"], 0)

    assert told["start"] is True
    assert [told[name] for name in told if name.endswith("ended")] == ["done"] * 3
    assert said(told["turn and context"]["next_context"]) == first + second + first
    assert said(told["context"])[:4] == first + second
    assert said(told["get_context"])[:4] == first + second
    assert told["process"]["facts_extracted"] == 0
    assert told["process"]["side_effects"] == nothing
    for name in ("set_tools", "end at once", "end later", "end with slashes"):
        assert told[name] == {"success": True}, name
    session = api.store.of("default").session(f"session {face}")
    assert session.ended_at is not None
    assert session.details["sonzai"]["tool_definitions"] == [{"name": "other", "parameters": {}}]
    assert session.turn_count == 4


def test_the_published_client_reads_our_problems(seen):
    """Each becomes its own exception, with the sentence, the resource and the fields at fault."""
    _, told, _ = seen
    raised = {n: each for n, each in told.items() if isinstance(each, dict) and "raised" in each}

    assert {name: each["raised"] for name, each in raised.items()} == {
        "no messages": "ValidationError",
        "no such extraction": "NotFoundError",
        "reserved tool": "ValidationError",
        "no such session": "NotFoundError",
        "too short": "ValidationError",
        "wrong key": "AuthenticationError",
        "elsewhere": "NotFoundError",
    }
    assert raised["no messages"]["errors"] == ["body.messages"]
    assert "at least 1 item" in raised["no messages"]["said"]
    assert raised["reserved tool"]["errors"] == ["body.0.name"]
    assert raised["no such extraction"]["said"] == "[404] there is no extraction 'ext/none'"
    assert raised["no such extraction"]["resource"] == "extraction"
    assert raised["wrong key"]["said"] == "[401] this API key is not known"
