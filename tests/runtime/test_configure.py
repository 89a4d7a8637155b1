"""`configure` builds what was asked for, refuses what makes no sense, and replaces itself."""

import logging

import pytest

import turnspan
from turnspan.delivery.health import FlushReport
from turnspan.errors import ExporterError, SettingsError
from turnspan.exporters.memory import MemoryExporter


def test_configured_again_the_runtime_before_it_delivers_and_ends(ask, turns_api, journalled):
    """Turns go where they were configured to go when they were recorded."""
    turnspan.configure(exporters=[turns_api.url], directory="first")
    ask("one")
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory="second")
    ask("two")

    assert [turn.input.content for turn in memory.turns] == ["two"]
    assert journalled("first") == [(None, None, "one")]
    assert journalled("second") == [(None, None, "two")]
    assert len(turns_api.ids) == 1


def test_a_mistake_leaves_the_runtime_before_it_as_it_was(ask):
    """Whatever `configure` raises for, what was configured goes on recording."""
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None)
    for given in ({"exporters": ["nowhere:"]}, {"sampels": 1}, {"policy": "none"}):
        with pytest.raises(turnspan.TurnspanError):
            turnspan.configure(**given)
    ask("still there?")

    assert [turn.input.content for turn in memory.turns] == ["still there?"]


def test_one_memory_exporter_serves_several_runtimes(ask):
    """It holds what was shown to it, whoever showed it."""
    memory = MemoryExporter()
    for question in ("one", "two"):
        turnspan.configure(exporters=[memory], directory=None)
        ask(question)
        turnspan.close()

    assert [turn.input.content for turn in memory.turns] == ["one", "two"]


@pytest.mark.parametrize(
    "variable, given, where",
    [
        ("from_env", {"directory": "given"}, "given"),
        ("from_env", {"directory": ".turnspan"}, ".turnspan"),
        ("from_env", {}, "from_env"),
        (None, {}, ".turnspan"),
    ],
)
def test_the_directory_is_the_argument_else_the_variable_else_the_default(
    ask, monkeypatch, tmp_path, variable, given, where
):
    """The journal is in one place only."""
    if variable:
        monkeypatch.setenv("TURNSPAN_DIR", variable)
    turnspan.configure(**given)
    ask("where?")

    assert [path.name for path in tmp_path.iterdir()] == [where]


@pytest.mark.parametrize(
    "variable, given, files",
    [
        ("file:from_env", {"exporters": ["file:given"]}, {"given"}),
        ("file:from_env", {"exporters": []}, set()),
        ("file:from_env", {}, {"from_env"}),
        ("file:a, file:b", {}, {"a", "b"}),
        (None, {}, set()),
    ],
)
def test_the_exporters_are_the_argument_else_the_variable_else_none(
    ask, monkeypatch, tmp_path, variable, given, files
):
    """An empty list is an argument, too."""
    if variable:
        monkeypatch.setenv("TURNSPAN_EXPORTERS", variable)
    turnspan.configure(directory="journal", **given)
    ask("where to?")
    turnspan.close()

    assert {path.name for path in tmp_path.iterdir()} == files | {"journal"}


@pytest.mark.parametrize(
    "variable, given, mode",
    [
        ("live", {"spans": "own"}, "own"),
        ("own", {"spans": "live"}, "live"),
        ("live", {"spans": "auto"}, "own"),
        ("live", {}, "live"),
        (None, {}, "own"),
    ],
)
def test_the_spans_are_the_argument_else_the_variable_else_decided(
    ask, monkeypatch, variable, given, mode
):
    """Without a provider `auto` comes to `own`."""
    if variable:
        monkeypatch.setenv("TURNSPAN_SPANS", variable)
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, **given)
    ask("whose?")

    assert [turn.trace.mode for turn in memory.turns] == [mode]


@pytest.mark.parametrize(
    "variable, given, name",
    [
        ("env-service", {"service_name": "shop"}, "shop"),
        ("env-service", {}, "env-service"),
    ],
)
def test_the_service_name_is_on_the_resource_of_each_turn(ask, monkeypatch, variable, given, name):
    """The argument wins over OpenTelemetry's variable."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", variable)
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None, **given)
    ask("who?")

    assert [turn.resource["service.name"] for turn in memory.turns] == [name]


def test_spans_cannot_go_both_ways(monkeypatch):
    """Live spans and an OTLP exporter would send every span twice, wherever either is said."""
    monkeypatch.setenv("TURNSPAN_SPANS", "live")
    with pytest.raises(SettingsError, match="twice"):
        turnspan.configure(exporters=["otlp+http://127.0.0.1:9"], directory=None)
    turnspan.configure(exporters=["otlp+http://127.0.0.1:9"], directory=None, spans="own")

    assert turnspan.health().problem is None


def test_two_exporters_of_one_name_are_a_mistake():
    """Their cursors would be one."""
    with pytest.raises(ExporterError, match="two exporters are called"):
        turnspan.configure(exporters=["file:a", "file:a"])


def test_two_runtimes_in_sequence_count_a_session_on(ask, journalled):
    """A session's numbers go on in the directory after a close."""
    for question in ("one", "two"):
        turnspan.configure(directory="journal")
        with turnspan.session("s"):
            ask(question)
        turnspan.close()

    assert journalled("journal") == [("s", 1, "one"), ("s", 2, "two")]


def test_configured_again_without_a_close_a_session_counts_on(ask, journalled):
    """The runtime before it writes down how far it had counted before the next one counts."""
    for question in ("one", "two"):
        turnspan.configure(directory="journal")
        with turnspan.session("s"):
            ask(question)

    assert journalled("journal") == [("s", 1, "one"), ("s", 2, "two")]


def test_a_turn_that_is_open_while_configured_again_is_no_trouble_to_its_caller(caplog):
    """It is answered as ever; its turn is in the journal it began in, cut off."""

    @turnspan.agent
    def ask(question):
        turnspan.configure(directory="second")
        return question

    turnspan.configure(directory="first")
    answer = ask("still me?")

    assert answer == "still me?"
    assert turnspan.current_turn().id == ""
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_the_policy_hides_content_before_the_journal(ask, tmp_path):
    """What was said is nowhere on disk."""
    turnspan.configure(directory="journal", policy=turnspan.Policy(content=False))
    ask("the secret word")
    report = turnspan.close()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert b'{"record":"turn"' in written
    assert b"secret" not in written
    assert report == FlushReport()


def test_a_policy_and_a_setting_that_says_the_same_contradict():
    """It is not guessed which of them is meant."""
    with pytest.raises(SettingsError) as raised:
        turnspan.configure(directory=None, policy=turnspan.Policy(), hide=["password"])

    assert raised.value.what == "policy= and hide= both say what may be recorded"


def test_a_policy_in_the_environment_that_cannot_be_read_keeps_recording_off(run, tmp_path):
    """On a first use: content is never on by accident, and the caller never hears of it."""
    program = """
    import turnspan

    @turnspan.agent
    def ask(question):
        return question

    print(ask("hello"), turnspan.health().recorded)
    """
    said = run(program, TURNSPAN_REDACT="emial")

    assert said.stdout == "hello 0\n"
    assert "turnspan records nothing: there is no pattern 'emial'" in said.stderr
    assert not (tmp_path / ".turnspan").exists()


def test_what_was_withheld_is_counted():
    """So a redactor that fails is noticed."""

    def redact(path, text):
        raise ValueError

    turnspan.configure(directory=None, policy=turnspan.Policy(redact=redact))
    with turnspan.turn(input="hello"):
        pass

    assert turnspan.health().dropped["withheld"] > 0
