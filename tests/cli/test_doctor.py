"""`doctor`: what is set, what works, what does not, and the fix."""

import json
import os
import re
import socket
import time

import pytest

from turnspan.testing import make_turn


@pytest.fixture
def found(call):
    """Calls `doctor --json`; the status, and the findings that are not all well."""

    def found():
        said = call("doctor", "--json")
        return said.status, [
            (each["check"], each["state"], each["said"], each["fix"])
            for each in said.json["findings"]
            if each["state"] != "ok"
        ]

    return found


def row(said, name):
    return next(each for each in said.json["settings"] if each["name"] == name)


def test_an_empty_folder_is_well(call, found):
    """Nothing is configured, nothing is broken, and nothing is made."""
    said = call("doctor")

    assert found() == (0, [])
    assert said.status == 0
    assert "will be made with the first turn" in said.out
    assert os.listdir() == []


def test_sampling_is_told(call, monkeypatch):
    """Who looks for a turn that was left out finds why."""
    unsaid = call("doctor").out
    monkeypatch.setenv("TURNSPAN_SAMPLE", "0.1")
    plain = call("doctor").out
    monkeypatch.setenv("TURNSPAN_KEEP_ERRORS", "yes")
    keeping = " ".join(call("doctor").out.split())

    assert "of all sessions" not in unsaid
    assert "0.1 of all sessions is recorded" in plain
    assert "recorded, and of the others the turns that end in an error" in keeping


def test_each_setting_says_where_it_comes_from(call, monkeypatch, tmp_path):
    """Argument over environment over default; secrets are hidden, in URLs too."""
    monkeypatch.setenv("TURNSPAN_DIR", "elsewhere")
    monkeypatch.setenv("TURNSPAN_API_KEY", "hush")
    monkeypatch.setenv("TURNSPAN_EXPORTERS", "http://me:hush@127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hush")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:hush@otel.example/in?k=hush")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    by_argument = call("doctor", "--json", "--dir", "here")
    by_environment = call("doctor", "--json")
    shown = call("doctor", "--all")

    assert row(by_argument, "directory") == {
        "name": "directory",
        "env": "TURNSPAN_DIR",
        "value": str(tmp_path / "here"),
        "source": "argument",
    }
    assert row(by_environment, "directory")["source"] == "environment"
    assert row(by_environment, "batch_turns")["source"] == "default"
    assert row(by_environment, "api_key")["value"] == "(hidden)"
    assert row(by_environment, "exporters")["value"] == ["http://127.0.0.1:9"]
    assert by_environment.json["opentelemetry"] == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example/in",
        "OTEL_EXPORTER_OTLP_HEADERS": "(hidden)",
        "OTEL_SERVICE_NAME": "shop",
    }
    assert "service_name = shop  (OTEL_SERVICE_NAME)\n" in shown.out
    assert "batch_turns = 512  (default)\n" in shown.out
    assert "hush" not in by_argument.out + by_environment.out + shown.out + shown.err


def test_every_unreadable_variable_is_named(found, monkeypatch):
    """All at once, and the rest is looked at all the same."""
    monkeypatch.setenv("TURNSPAN_BATCH_TURNS", "many")
    monkeypatch.setenv("TURNSPAN_CONTENT", "maybe")
    monkeypatch.setenv("TURNSPAN_EXPORTER", "console:")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "dice")
    status, findings = found()

    assert status == 1
    assert [(check, state) for check, state, _, _ in findings] == [
        ("settings", "broken"), ("settings", "broken"), ("settings", "warning"),
        ("spans", "warning"),
    ]  # fmt: skip
    assert "TURNSPAN_CONTENT='maybe'" in findings[0][2]
    assert findings[2][3] == "did you mean TURNSPAN_EXPORTERS?"


@pytest.mark.parametrize("name, value", [("CONTENT", "of"), ("HIDE", "a..b"), ("REDACT", "emial")])
def test_a_policy_that_cannot_be_read_is_broken(found, monkeypatch, name, value):
    """For nothing is recorded then."""
    monkeypatch.setenv(f"TURNSPAN_{name}", value)
    status, [(check, state, said, _)] = found()

    assert (status, check, state) == (1, "settings", "broken")
    assert value in said


def test_a_file_in_the_directorys_place_is_broken(found, tmp_path):
    """The fix is another directory."""
    (tmp_path / ".turnspan").write_text("mine")
    status, findings = found()

    assert status == 1
    assert findings == [
        ("directory", "broken", f"{tmp_path / '.turnspan'} is a file",
         "name a directory in TURNSPAN_DIR"),
    ]  # fmt: skip


def test_exporters_are_really_connected_to(found, turns_api, monkeypatch):
    """One listens, one does not, one cannot be built; nothing is sent."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = closed.getsockname()[1]
    monkeypatch.setenv(
        "TURNSPAN_EXPORTERS", f"{turns_api.url} otlp+http://127.0.0.1:{gone} nope:x console:"
    )
    status, findings = found()

    assert status == 1
    assert [(check, state) for check, state, _, _ in findings] == [("exporters", "broken")] * 2
    assert findings[0][2] == f"otlp+http://127.0.0.1:{gone} cannot be reached: Connection refused"
    assert "no exporter is called 'nope'" in findings[1][2]
    assert turns_api.state.requests == []


@pytest.mark.parametrize("urls", ["file:a,file:a", "console: console:", "file:a file:./b/../a"])
def test_two_exporters_of_one_name_are_broken_as_configure_finds_them(found, monkeypatch, urls):
    """Recording is off with them, so that all is not well."""
    monkeypatch.setenv("TURNSPAN_EXPORTERS", urls)
    status, findings = found()

    assert status == 1
    assert [(check, state) for check, state, _, _ in findings] == [("exporters", "broken")]
    assert "two exporters are called" in findings[0][2]


def test_a_file_that_cannot_be_written_is_broken_and_a_good_one_not_made(
    found, monkeypatch, tmp_path
):
    """Tried where it would be made, and in the file itself where it is there."""
    old = tmp_path / "old.jsonl"
    old.write_text("{}\n")
    old.chmod(0o600)
    monkeypatch.setenv("TURNSPAN_EXPORTERS", "file:/proc/x file:new/turns.jsonl file:old.jsonl")
    status, findings = found()

    assert status == 1
    assert [(check, state) for check, state, _, _ in findings] == [("exporters", "broken")]
    assert findings[0][2].startswith("file:/proc/x cannot be written to: ")
    assert (os.listdir(), old.read_text()) == (["old.jsonl"], "{}\n")


def test_who_is_owed_what_and_nobody_serves_is_told(call, record, turns_api):
    """With the size, and the command that mends it."""
    directory = record([make_turn(1)], exporters=[turns_api.url])
    [name] = directory.owners().popitem()[1]
    size_bytes = (directory.journal / name).stat().st_size
    said = call("doctor", "--json").json
    shown = call("doctor").out
    owed = {"size_bytes": size_bytes, "segments": 1, "is_served": False}
    oldest_at = make_turn(1).ended_at

    assert said["owed"] == [{"exporter": turns_api.url, "oldest_at": oldest_at, **owed}]
    assert re.search(r"is owed \d+ B in 1 segment, the oldest turn for \d+ d, and no", shown)
    assert [each["state"] for each in said["owners"]] == ["dead"]
    assert [each["fix"] for each in said["findings"] if each["check"] == "delivery"] == [
        f"`turnspan drain --to {turns_api.url}`, or `turnspan drain --forget {turns_api.url}`"
    ]
    assert call("drain", "--to", turns_api.url).status == 0
    assert "no running process serves it" not in call("doctor").out


def test_a_running_process_is_seen(call, program, record, start, turns_api):
    """It is live, and serves its exporter."""
    process = start(
        """
        import sys
        import turnspan
        turnspan.configure(exporters=[sys.argv[1]])
        turnspan.agent(lambda: None)()
        print("ready", flush=True)
        sys.stdin.read() or __import__("time").sleep(300)
        """,
        turns_api.url,
    )
    assert process.stdout.readline() == "ready\n"
    said = call("doctor", "--json").json
    process.kill()

    assert [each["state"] for each in said["owners"]] == ["live"]
    assert [each["is_served"] for each in said["owed"]] == [True]


def test_what_a_running_process_drops_is_seen_from_outside(call, start, turns_api):
    """The reasons and their counts, a second later; `health()` says the same inside."""
    turns_api.be("down")
    process = start(
        """
        import json, logging, sys, time
        import turnspan

        logging.disable()
        turnspan.configure(exporters=[sys.argv[1]], directory_bytes=300_000, ring_bytes=100_000)
        ask = turnspan.agent(lambda question: question)
        for number in range(100):
            for _ in range(20):
                ask("why? " * 100)
            time.sleep(0.005)
        for _ in sys.stdin:
            health = turnspan.health()
            print(json.dumps([dict(health.dropped), health.parked]), flush=True)
        """,
        turns_api.url,
        told=True,
    )

    def both():
        process.stdin.write("well?\n")
        process.stdin.flush()
        inside = json.loads(process.stdout.readline())
        return inside, call("doctor", "--json").json

    until_s = time.monotonic() + 60
    (dropped, parked), said = both()
    while not dropped or said["dropped"] != dropped:
        assert time.monotonic() < until_s, said
        time.sleep(0.1)
        (dropped, parked), said = both()
    process.kill()
    [finding] = [each for each in said["findings"] if each["check"] == "dropped"]

    assert dropped.keys() == {"ring_full"}
    assert parked == "directory budget"
    assert said["dropped"] == dropped
    assert finding["state"] == "warning"
    assert finding["said"].endswith(f": {dropped['ring_full']} ring_full")


def test_corrupt_lines_and_dead_letters_are_counted(found, record, bury):
    """Both are warnings: nothing is broken that turnspan could mend."""
    directory = record([make_turn(1)])
    [name] = directory.owners().popitem()[1]
    with (directory.journal / name).open("ab") as file:
        file.write(b"nonsense\n")
    bury("http://127.0.0.1:9", make_turn(2))
    status, findings = found()

    assert status == 0
    assert [(check, state, said) for check, state, said, _ in findings] == [
        ("journal", "warning", "1 line cannot be read and are skipped"),
        ("dead letters", "warning", "1 dead letter, refused by a destination"),
    ]


def test_live_spans_and_an_otlp_exporter_contradict(found, turns_api, monkeypatch):
    """Every span would arrive twice."""
    monkeypatch.setenv("TURNSPAN_SPANS", "live")
    monkeypatch.setenv("TURNSPAN_EXPORTERS", f"otlp+{turns_api.url}")
    status, findings = found()

    assert status == 1
    assert [(check, state) for check, state, _, _ in findings] == [("spans", "broken")]


def test_looking_changes_nothing(call, record, tmp_path):
    """The directory is byte for byte what it was."""
    record([make_turn(1)], exporters=["http://127.0.0.1:9"])
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    call("doctor")

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
