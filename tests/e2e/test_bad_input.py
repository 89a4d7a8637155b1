"""What people get wrong and what machines do to them: said clearly, and harmless."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import turnspan
from turnspan.delivery.health import FlushReport
from turnspan.errors import CaptureError, ExporterError, SettingsError
from turnspan.exporters.memory import MemoryExporter

HOST = "write scheme://host:port/path, as in https://turns.example.com:8443"
TIMEOUT_S = 30.0
MEGABYTES_50 = 50 * 2**20


@pytest.mark.parametrize(
    "given, error, what, fix",
    [
        (
            {"exporters": ["gopher://turns.example"]},
            ExporterError,
            (
                "no exporter is called 'gopher', which 'gopher://turns.example' asks for; "
                "there are: console, file, http, memory, otlp, sonzai, statebase"
            ),
            "use one of those, or install the package that brings 'gopher'",
        ),
        (
            {"exporters": ["https://"]},
            ExporterError,
            "'https://' names no usable host and port",
            HOST,
        ),
        (
            {"exporters": ["http://ada:secret@turns.example:port/"]},
            ExporterError,
            "'http://turns.example:port/' names no usable host and port",
            HOST,
        ),
        (
            {"exporters": ["turns.jsonl"]},
            ExporterError,
            "'turns.jsonl' is no URL that an exporter could serve",
            (
                "begin with a scheme: memory:, console:, file:turns.jsonl or "
                "https://turns.example.com; for a file write file:PATH"
            ),
        ),
        (
            {"directory": "a_file"},
            SettingsError,
            "directory='{here}/a_file' is a file where a directory is meant",
            "name a directory, or None to keep turns in memory",
        ),
        (
            {"exporters": ["file:."]},
            ExporterError,
            "{here} is a directory",
            "name a file: {here}/turns.jsonl",
        ),
        (
            {"batch_turns": 0},
            SettingsError,
            "batch_turns=0 is not a whole number above 0 (turns)",
            "give a whole number above 0 (turns), or leave it out for 512",
        ),
    ],
)
def test_a_mistake_in_configure_is_one_clear_error(given, error, what, fix):
    """It says what is wrong and what to do, and shows no password."""
    here = Path.cwd()
    here.joinpath("a_file").touch()
    with pytest.raises(error) as raised:
        turnspan.configure(**given)

    assert raised.value.what == what.format(here=here)
    assert raised.value.fix == fix.format(here=here)


def test_an_unreadable_variable_is_named_with_its_value_and_the_fix(monkeypatch):
    """One look at the message is enough."""
    monkeypatch.setenv("TURNSPAN_SEGMENT_BYTES", "lots")
    with pytest.raises(SettingsError) as raised:
        turnspan.configure()

    wanted = "a whole number above 0 (bytes)"
    fix = f"unset TURNSPAN_SEGMENT_BYTES, or set it to {wanted}, or a size such as 64MiB"
    assert raised.value.what == f"TURNSPAN_SEGMENT_BYTES='lots' cannot be read as {wanted}"
    assert raised.value.fix == fix


@pytest.mark.parametrize(
    "decorate, target, what",
    [
        (turnspan.agent, 3, "3 is not callable"),
        (turnspan.tool(name="x"), "text", "'text' is not callable"),
        (turnspan.model, int, "'int' is a class, and a class is no call to record"),
    ],
)
def test_what_cannot_be_decorated_is_refused_where_it_is_decorated(decorate, target, what):
    """Not later, when somebody calls it."""
    with pytest.raises(CaptureError) as raised:
        decorate(target)

    assert raised.value.what == what
    assert raised.value.fix.startswith("decorate ")


def test_an_unwritable_directory_means_the_ring_and_one_warning(turns_api, caplog):
    """Turns are kept in memory and delivered all the same."""
    Path("a_file").touch()
    for _ in range(2):
        turnspan.configure(exporters=[turns_api.url], directory="a_file/below")
        with turnspan.turn(agent="a", input="hello"):
            pass
    report = turnspan.flush(TIMEOUT_S)

    assert report == FlushReport(delivered=1)
    assert len(turns_api.ids) == 2
    assert caplog.messages == [
        (
            "turnspan cannot write to a_file/below (File exists): turns are kept in memory only; "
            "name a directory that can be written with TURNSPAN_DIR"
        )
    ]


class Explosive:
    """Nothing of it may be called."""

    __slots__ = ()

    def _explode(self, *_):
        raise RuntimeError("somebody ran the user's code")

    __repr__ = __str__ = __iter__ = __len__ = __bool__ = __hash__ = __eq__ = _explode


def cyclic():
    value = {"name": "loop"}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    "make, starts, why, size_bytes",
    [
        (object, '{"value":"<object>"}', "could not be read: <object>", None),
        (
            cyclic,
            '{"value":{"name":"loop","self":"<contains itself>"}}',
            "contains itself",
            None,
        ),
        (lambda: "x" * MEGABYTES_50, "xxxxxxxx", "over 1048576 bytes", MEGABYTES_50),
        (
            lambda: ["x" * MEGABYTES_50],
            '{"value":["xxxxxxxx',
            "over 1048576 bytes",
            MEGABYTES_50,
        ),
        (
            lambda: (n for n in "abc"),
            '{"value":"<generator>"}',
            "could not be read: <generator>",
            None,
        ),
    ],
    ids=["unserialisable", "cyclic", "50 MB of text", "50 MB in a list", "generator"],
)
def test_what_could_not_be_kept_is_named_in_the_turn(make, starts, why, size_bytes):
    """The call works with the very object, and the turn says what is missing and why."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory="journal")
    seen = []

    @turnspan.agent
    def take(value):
        seen.append(value)

    given = make()
    take(given)
    [turn] = memory.turns

    assert len(seen) == 1
    assert seen[0] is given
    assert turn.status == "ok"
    assert turn.input.content.startswith(starts)
    assert len(turn.input.content) <= 2**20
    assert [(cut.where, cut.why, cut.size_bytes) for cut in turn.truncated] == [
        ("input", why, size_bytes)
    ]


def test_no_code_of_a_value_is_run(caplog):
    """An object whose every method raises is passed through agent and tool alike."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory="journal")

    @turnspan.tool
    def hold(value):
        return value

    @turnspan.agent
    def take(value, beside):
        return hold(value)

    given = Explosive()
    returned = take(given, beside={"in": [given]})
    [turn] = memory.turns

    assert returned is given
    assert (turn.status, turn.steps[0].status) == ("ok", "ok")
    assert caplog.messages == []


KILLED = """
    import os, signal, sys
    import turnspan

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    for number in range(3):
        with turnspan.turn(agent="a", input=str(number)):
            pass
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_torn_and_corrupt_lines_are_skipped_counted_and_the_rest_delivered(
    start, turns_api, drain, tmp_path
):
    """`doctor` says how many; nothing else is lost."""
    turns_api.be("silent")
    start(KILLED, turns_api.url).communicate(timeout=240)
    [segment] = (tmp_path / "journal" / "journal").glob("*.ndjson")
    lines = segment.read_bytes().splitlines(keepends=True)
    noise = [b"\x00\xffnoise\n", b'{"record":"turn","id":"turn_half00000000","sess\n']
    torn = b'{"record":"turn","id":"turn_torn'
    segment.write_bytes(b"".join([*lines[:3], *noise, *lines[3:], torn]))
    turns_api.be("ok")
    said = drain(turns_api.url)
    doctor = subprocess.run(
        [sys.executable, "-m", "turnspan", "doctor", "--dir", tmp_path / "journal", "--json"],
        capture_output=True,
        check=False,
    )
    findings = {each["check"]: each for each in json.loads(doctor.stdout)["findings"]}
    arrived = [json.loads(line) for line in turns_api.state.stored.values()]

    assert said == {"delivered": 3, "refused": 0, "unsent": 0, "error": None}
    assert [turn["input"]["content"] for turn in arrived] == ["0", "1", "2"]
    assert findings["journal"]["state"] == "warning"
    assert findings["journal"]["said"].startswith("3 lines cannot be read")


@pytest.mark.parametrize(
    "mode, options, report",
    [
        ("garbage", {}, FlushReport(delivered=1)),
        ("status", {"status": 200, "body": "<html>welcome</html>"}, FlushReport(delivered=1)),
        ("status", {"status": 200, "body": '{"results": 7}'}, FlushReport(delivered=1)),
        ("status", {"status": 299, "body": "\x00"}, FlushReport(delivered=1)),
        ("status", {"status": 422, "body": "nonsense"}, FlushReport(refused=1)),
        ("status", {"status": 600, "body": "nonsense"}, FlushReport(delivered=1)),
    ],
)
def test_nonsense_is_treated_by_its_status_and_the_thread_lives(turns_api, mode, options, report):
    """A fault is tried again, a success believed, a refusal put aside; then all goes on."""
    turnspan.configure(exporters=[turns_api.url], directory="journal")
    turns_api.be(mode, times=1, **options)
    with turnspan.turn(agent="a", input="first"):
        pass
    reports = [turnspan.flush(TIMEOUT_S)]
    with turnspan.turn(agent="a", input="second"):
        pass
    reports.append(turnspan.flush(TIMEOUT_S))

    assert reports == [report, FlushReport(delivered=1)]
    assert turnspan.health().unsent == 0
