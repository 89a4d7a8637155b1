"""The program as a whole: its commands, its mistakes and its exit statuses."""

import json
import subprocess
import sys

import pytest

from turnspan.cli import commands, main
from turnspan.testing import make_turn

HEAVY = {"asyncio", "httpcore", "importlib.metadata", "opentelemetry", "orjson", "pydantic", "rich"}
PROBE = """
import json, sys
from turnspan.cli import main
status = main(sys.argv[1:])
print(json.dumps([status, sorted(sys.modules)]))
"""


def test_every_module_is_a_command_with_its_help(call, capsys):
    """What the package holds is what the help lists."""
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    said = capsys.readouterr().out

    assert left.value.code == 0
    assert set(commands()) == {
        "convert", "dead", "demo", "doctor", "drain", "keys", "purge", "serve", "sessions", "show",
        "tail", "version",
    }  # fmt: skip
    assert [name for name in commands() if f"\n    {name} " not in said] == []


@pytest.mark.parametrize("name", commands())
def test_each_command_prints_json_and_takes_a_directory(name, call, capsys):
    """`--json` is on each that prints data, `--dir` or `--store` on each that looks at some."""
    with pytest.raises(SystemExit):
        main([name, "--help"])
    said = capsys.readouterr().out

    assert ("--json" in said) == (name not in {"convert", "serve"})
    assert ("--dir" in said) == (name not in {"convert", "keys", "serve", "version"})
    assert ("--store" in said) == (name in {"keys", "serve"})


def test_the_version_is_quick_to_say():
    """Nothing heavy is imported before a command needs it."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "version", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    said, (status, modules) = map(json.loads, done.stdout.splitlines())

    assert status == 0
    assert sorted(said) == ["platform", "python", "turnspan"]
    assert sorted(HEAVY.intersection(modules)) == []


def test_a_mistake_is_told_with_its_fix_and_no_traceback(ran, tmp_path):
    """A directory without a journal is the user's mistake: exit status 2."""
    said = ran("tail", "--once")

    assert (said.status, said.out) == (2, "")
    assert said.err == (
        f"turnspan: {tmp_path / '.turnspan'} holds no journal\n"
        "  fix: name the directory the application was given as `directory` or TURNSPAN_DIR\n"
    )


def test_an_unknown_command_is_refused(call, capsys):
    """argparse names what there is."""
    with pytest.raises(SystemExit) as left:
        main(["nonsense"])

    assert left.value.code == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, what, fix",
    [
        (("drian",), "there is no command 'drian'", "did you mean `turnspan drain`?"),
        (("xyz",), "there is no command 'xyz'", "one of: convert, dead, demo, doctor, "),
        (("tail", "-n", "x"), "turnspan tail: argument -n/--last: ", "see `turnspan tail --help`"),
        (
            ("drain", "--timeout", "0"),
            "turnspan drain: argument --timeout: '0' is no number of seconds above 0",
            "see `turnspan drain --help`",
        ),
        (("show",), "turnspan show: ", "see `turnspan show --help`"),
        (
            ("serve", "--db", "x.db"),
            "turnspan serve: unrecognized arguments: --db x.db",
            "see `turnspan serve --help`",
        ),
        (("--verbose", "tail"), "turnspan: ", "see `turnspan --help`"),
    ],
)
def test_words_that_cannot_be_read_are_told_with_their_fix(words, what, fix, capsys):
    """As every other mistake is, whatever argparse would say by itself."""
    with pytest.raises(SystemExit) as left:
        main(list(words))
    said = capsys.readouterr().err

    assert left.value.code == 2
    assert what in said
    assert f"\n  fix: {fix}" in said


def test_without_a_command_the_help_is_shown(call):
    """On standard error, for nothing was done."""
    said = call()

    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("usage: turnspan")
    assert "\n    doctor " in said.err


def test_what_others_call_help_and_version_is_understood(call, capsys):
    """`turnspan help tail` and `turnspan --version` are what people try."""
    with pytest.raises(SystemExit) as left:
        main(["help", "tail"])

    assert (left.value.code, capsys.readouterr().out[:20]) == (0, "usage: turnspan tail")
    assert call("--version") == call("version")


def test_the_directory_comes_from_the_argument_then_the_environment(
    call, record, tmp_path, monkeypatch
):
    """`--dir` wins over TURNSPAN_DIR, which wins over `.turnspan`."""
    record([make_turn(1)])
    (tmp_path / "other" / "journal").mkdir(parents=True)
    by_default = call("tail", "--once", "--json")
    monkeypatch.setenv("TURNSPAN_DIR", "other")
    by_environment = call("tail", "--once", "--json")
    by_argument = call("tail", "--once", "--json", "--dir", ".turnspan")

    assert [len(said.lines) for said in (by_default, by_environment, by_argument)] == [1, 0, 1]


def test_without_a_directory_there_is_nothing_to_look_into(call, monkeypatch):
    """TURNSPAN_DIR=none keeps turns in memory, and the program says so."""
    monkeypatch.setenv("TURNSPAN_DIR", "none")
    said = call("sessions")

    assert said.status == 2
    assert "in memory" in said.err


def test_a_reader_that_leaves_is_no_failure_to_report(program, record):
    """`turnspan tail | head -1` is quiet."""
    record([make_turn(number) for number in range(1, 400)])
    with program("tail", "--once", "--json", "-n", "400") as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        status = process.wait(timeout=240)

    assert (status, err) == (141, "")


def test_there_is_colour_on_a_terminal_only(call, record):
    """A pipe gets no escape codes."""
    record([make_turn(1)])
    outs = [call(*words).out for words in (("tail", "--once"), ("show", "last"), ("sessions",))]

    assert all(outs)
    assert [out for out in outs if "\x1b" in out] == []


def test_who_speaks_is_said_once(call, tmp_path):
    """What the library logs may begin with its name already."""
    (tmp_path / "file").write_bytes(b"")
    unwritable = call("demo", "decorators", "--json", "--dir", str(tmp_path / "file" / "below"))

    assert unwritable.err.startswith("turnspan cannot write to ")
