"""What the commands make of feedback."""

from __future__ import annotations

import signal
import threading

from turnspan.cli.dead import _offer
from turnspan.ports import Outcome
from turnspan.schema import encode_feedback, encode_turn
from turnspan.settings import Settings
from turnspan.testing import make_feedback, make_turn


def test_tail_shows_feedback_on_the_turns_it_shows(call, record):
    """Behind them, a line each; with `--json` the turns alone, as ever."""
    record(
        [make_turn(n) for n in (1, 2)],
        feedback=[make_feedback(2, user_id="ada"), make_feedback(1, score=None), make_feedback(9)],
    )
    both = call("tail", "--once", "--short").out.splitlines()
    last = call("tail", "--once", "--short", "-n", "1").out.splitlines()
    bare = call("tail", "--once", "--json")

    assert both[2:] == [
        "feedback on turn_000000000001: good · comment 1",
        "feedback on turn_000000000002 by ada: good · 0.5 · comment 2",
    ]
    assert last[1:] == ["feedback on turn_000000000002 by ada: good · 0.5 · comment 2"]
    assert [each["record"] for each in bare.lines] == ["turn", "turn"]


def test_tail_follows_feedback_as_it_is_given(program, record):
    """On whatever turn; one that cannot be read is said to be so."""
    record([make_turn(1)])
    with program("tail", "--short") as process:
        process.stdout.readline()
        writer = threading.Thread(
            target=record, args=([],), kwargs={"feedback": [make_feedback(7)]}
        )
        writer.start()
        line = process.stdout.readline()
        writer.join()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=240)

    assert line == "feedback on turn_000000000007: good · 0.5 · comment 7\n"


def test_show_prints_feedback_safely(call, record):
    """Each on a line, the oldest first; control characters by their codes."""
    said = [make_feedback(2, turn_id="turn_000000000001"), make_feedback(1, comment="a\x1b[31mb")]
    record([make_turn(1)], feedback=said)

    out = call("show", "last").out
    assert "feedback\n  good · 0.5 · a\\x1b[31mb\n  good · 0.5 · comment 2\n" in out


def test_dead_letters_tell_feedback_from_turns(call, bury):
    """Both are listed, by the id of their own."""
    bury("http://127.0.0.1:9", make_turn(1), make_feedback(2, session_id="s"))
    first, second = call("dead", "--json").lines

    assert (first["turn"]["id"], first["feedback"]) == ("turn_000000000001", None)
    assert (second["turn"], second["feedback"]["turn_id"]) == (None, "turn_000000000002")
    assert (second["id"], second["session_id"]) == ("feedback_000000000002", "s")
    assert "feedback_000000000002" in call("dead").out


def test_dead_feedback_is_offered_again_byte_for_byte(call, bury, turns_api):
    """Among the turns; what is taken is a letter no more."""
    letters = bury(turns_api.url, make_turn(1), make_feedback(2))
    said = call("dead", "retry", "--all", "--json")

    assert said.json == {"delivered": 2, "refused": 0, "unsent": 0}
    assert list(turns_api.state.stored.values()) == [
        encode_turn(make_turn(1)).rstrip(),
        encode_feedback(make_feedback(2)).rstrip(),
    ]
    assert letters.list() == ()


def test_an_exporter_that_takes_no_feedback_is_offered_none(bury, capsys):
    """It stays where it is, and the turns beside it go."""
    letters = bury("plain", make_feedback(1), make_turn(2))
    counts = {"delivered": 0, "refused": 0, "unsent": 0}

    class Plain:
        name = "plain"

        def export(self, batch, *, timeout_s):
            assert [each.turn.id for each in batch] == ["turn_000000000002"]
            return Outcome()

    _offer(letters.list(), Plain(), letters, Settings(), counts)

    assert counts == {"delivered": 1, "refused": 0, "unsent": 1}
    assert [each.id for each in letters.list()] == ["feedback_000000000001"]
    assert "plain takes no feedback: feedback_000000000001 stays" in capsys.readouterr().err


def test_purge_erases_feedback_with_its_turns(call, record):
    """Nothing of what was said of them is left in the journal."""
    directory = record(
        [make_turn(1, session_id="a"), make_turn(2, session_id="b")],
        feedback=[make_feedback(1), make_feedback(2)],
    )
    said = call("purge", "--session", "a", "--yes", "--json")
    text = b"".join(path.read_bytes() for path in directory.journal.glob("*.ndjson"))

    assert said.json == {"erased": 1}
    assert (b"comment 1" in text, b"comment 2" in text) == (False, True)
