"""`tail`, `show` and `sessions`: what is in the journal, for people and for programs."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from turnspan.schema import Error, Message, MessagePart, encode_turn
from turnspan.testing import make_turn


def test_tail_prints_the_last_turns_as_journalled(call, record):
    """`--json` gives the very bytes, oldest first."""
    turns = [make_turn(number) for number in range(1, 6)]
    record(turns)
    said = call("tail", "--once", "--json", "-n", "2")

    assert said.status == 0
    assert said.out.encode() == encode_turn(turns[3]) + encode_turn(turns[4])


def test_tail_draws_trees_or_single_lines(call, record):
    """A tree shows what happened inside; `--short` gives a line a turn."""
    record([make_turn(1), make_turn(2)])
    trees = call("tail", "--once").out
    lines = call("tail", "--once", "--short").out.splitlines()

    assert trees.count("└── output") == 2
    assert [line.split()[2] for line in lines] == ["turn_000000000001", "turn_000000000002"]
    assert [line.split("  ")[-1] for line in lines] == ["question 1", "question 2"]


def test_tail_of_a_session_leaves_the_others_out(call, record):
    """`--session` chooses, before the last N are counted."""
    record([make_turn(n, session_id="a" if n < 3 else "b") for n in range(1, 6)])
    said = call("tail", "--once", "--json", "--session", "a", "-n", "1")

    assert [turn["id"] for turn in said.lines] == ["turn_000000000002"]


def test_tail_follows_what_is_written_from_then_on(program, record):
    """New turns come as they end, whoever writes them; a SIGINT ends it."""
    record([make_turn(1)])
    with program("tail", "--json") as process:
        first = process.stdout.readline()
        writer = threading.Thread(target=record, args=([make_turn(2)],))
        writer.start()
        second = process.stdout.readline()
        writer.join()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)

    assert [first, second] == [encode_turn(make_turn(n)).decode() for n in (1, 2)]
    assert (out, err, process.returncode) == ("", "", 130)


@pytest.mark.parametrize("words", [("-n", "-1"), ("-n", "x"), ("-n", "9" * 20, "--once")])
def test_tail_refuses_what_is_no_count(words, call, capsys):
    """The mistake names the argument."""
    with pytest.raises(SystemExit) as left:
        call("tail", *words)

    assert left.value.code == 2
    said = capsys.readouterr().err
    assert f"-n/--last: {words[1]!r} is no whole number from 0 to 1,000,000,000" in said


def test_show_finds_a_turn_by_the_beginning_of_its_id(call, record):
    """With or without `turn_`; `last` is the one that ended last."""
    turns = [make_turn(1, id="turn_abcd00000000"), make_turn(2, id="turn_abef00000000")]
    record(turns)
    found = [call("show", word, "--json").json["id"] for word in ("turn_abc", "abe", "last")]

    assert found == ["turn_abcd00000000", "turn_abef00000000", "turn_abef00000000"]


def test_show_asks_for_more_where_several_fit_and_says_where_none_does(call, record):
    """Both are mistakes, exit status 2."""
    record([make_turn(1, id="turn_abcd00000000"), make_turn(2, id="turn_abef00000000")])
    several, none = call("show", "ab"), call("show", "zz")

    assert (several.status, none.status) == (2, 2)
    assert "turn_abcd00000000, turn_abef00000000" in several.err
    assert "holds no turn 'zz'" in none.err


def test_show_gives_the_final_version_of_an_interrupted_turn(call, record):
    """What replaced it is what is shown."""
    record([make_turn(1, status="interrupted"), make_turn(1)])

    assert call("show", "last", "--json").json["status"] == "ok"


def test_show_prints_the_whole_of_a_turn(call, record):
    """Messages, metadata, the change of state and the stack trace, none of it obeyed."""
    message = Message(role="user", parts=(MessagePart(type="text", content="line\n\x1b[31mred"),))
    record([
        make_turn(
            1,
            messages=(message,),
            metadata={"plan": "gold"},
            state_before={"n": 1},
            state_after={"n": 2},
            status="error",
            error=Error(type="ValueError", message="no", stacktrace="Traceback …\n  here"),
        )
    ])  # fmt: skip
    out = call("show", "last").out

    assert "\n\nmessages\n  user\n    line\n    \\x1b[31mred\n" in out
    assert '\n\nmetadata\n  {\n    "plan": "gold"\n  }\n' in out
    assert '"op": "replace"' in out
    assert "\n\nstack trace\n  Traceback …\n    here\n" in out
    assert "\x1b" not in out


def test_show_prints_what_was_said_of_a_turn(call, tmp_path, monkeypatch):
    """Feedback given later, on that turn and no other."""
    program = """
        import turnspan
        ids = []

        @turnspan.agent
        def ask(question):
            ids.append(turnspan.current_turn().id)
            return "4"

        ask("2 + 2"), ask("3 + 1")
        turnspan.feedback(ids[0], rating="good", score=0.9, comment="quick")
        turnspan.feedback(ids[1], rating="other")
        print(ids[0])
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "TURNSPAN_DIR": str(tmp_path / "j")},
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.setenv("TURNSPAN_DIR", str(tmp_path / "j"))
    said = call("show", done.stdout.strip())

    assert said.status == 0
    assert "feedback\n  good · 0.9 · quick\n" in said.out
    assert "other" not in said.out


def test_sessions_are_counted_with_their_agents_and_statuses(call, record):
    """One object a session, the one last active last; null gathers what has none."""
    first, second = make_turn(1), make_turn(2, status="error")
    record([first, second, make_turn(3, session_id=None, number=None)])
    said = call("sessions", "--json")

    assert said.lines[0] == {
        "session_id": "session-1",
        "turns": 2,
        "first_at": first.started_at,
        "last_at": second.ended_at,
        "agents": ["assistant"],
        "statuses": {"error": 1, "ok": 1},
    }
    assert [each["session_id"] for each in said.lines] == ["session-1", None]
    assert "1 error, 1 ok" in call("sessions").out


def test_an_empty_journal_has_no_sessions(call, record):
    """Said on standard error: the output stays empty."""
    directory = record([])
    said = call("sessions")

    assert (said.status, said.out) == (0, "")
    assert said.err == f"no turn has been recorded in {directory.path}\n"


def test_a_tail_without_turns_says_where_it_looked(call, record):
    """Of a session too; with --json nothing but turns is said."""
    directory = record([])
    of_all = call("tail", "--once")
    of_one = call("tail", "--once", "--session", "s-1")

    assert of_all.err == f"no turn has been recorded in {directory.path}\n"
    assert of_one.err == f"no turn of the session 's-1' has been recorded in {directory.path}\n"
    assert call("tail", "--once", "--json").err == ""


def test_a_corrupt_line_is_passed_over(call, record):
    """What is whole is still shown."""
    directory = record([make_turn(1)])
    [name] = directory.owners().popitem()[1]
    with (directory.journal / name).open("ab") as file:
        file.write(b'{"record":"turn","id":"turn_x","agent":5}\n{"record":"tu\n')
    said = call("tail", "--once")

    assert said.out.count("└── output") == 1
    assert "a turn is unreadable" in said.err
