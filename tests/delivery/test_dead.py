"""Dead letters keep the turn as it was, and several may write and rewrite at once."""

import json
import stat
import subprocess
import sys
import threading

from turnspan.delivery.dead import DeadLetter, DeadLetters
from turnspan.ports import JournalledTurn

EXPORTER = "https://turns.example/base"


def raw(number, session="s1"):
    return b'{"record":"turn","id":"turn_%d","session_id":"%s","n":1.50}\n' % (
        number,
        session.encode(),
    )


def bury(dead, *numbers, exporter=EXPORTER):
    for number in numbers:
        dead.append(exporter, JournalledTurn(raw(number)), reason="422: no", at=number)


def test_a_letter_is_one_json_line_with_the_raw_turn(tmp_path):
    """`reason`, `at` and the turn's own bytes, in `dead/<exporter>/<owner>.ndjson`, 0600."""
    dead = DeadLetters(tmp_path, owner="host-1")
    bury(dead, 7)
    (path,) = (tmp_path / "dead").glob("*/*.ndjson")
    line = path.read_bytes()

    assert path.name == "host-1.ndjson"
    assert raw(7).strip() in line
    assert json.loads(line) == {
        "reason": "422: no",
        "at": 7,
        "exporter": EXPORTER,
        "turn": json.loads(raw(7)),
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_letters_are_listed_oldest_first_by_exporter(tmp_path):
    """Whole values come back, the raw line byte for byte."""
    dead = DeadLetters(tmp_path)
    bury(dead, 3, 1)
    bury(dead, 2, exporter="file:/x")

    assert dead.list(EXPORTER) == (
        DeadLetter(EXPORTER, "422: no", 1, raw(1), "turn_1", "s1"),
        DeadLetter(EXPORTER, "422: no", 3, raw(3), "turn_3", "s1"),
    )
    assert [letter.at for letter in dead.list()] == [1, 2, 3]


def test_retry_gives_the_turns_back_and_drop_ends_it(tmp_path):
    """A crash between the two loses nothing, for only `drop` deletes."""
    dead = DeadLetters(tmp_path)
    bury(dead, 1, 2, 3)

    assert [turn.raw for turn in dead.retry(EXPORTER, {"turn_2"})] == [raw(2)]
    assert [turn.raw for turn in dead.retry(EXPORTER)] == [raw(1), raw(2), raw(3)]
    assert dead.retry("file:/x") == ()
    assert dead.drop(EXPORTER, {"turn_2", "turn_9"}) == 1
    assert [letter.id for letter in dead.list()] == ["turn_1", "turn_3"]
    assert dead.drop() == 2
    assert dead.list() == ()


def test_a_line_that_is_no_json_is_kept_too(tmp_path):
    """It cannot stand in a JSON line as it is, and comes back byte for byte all the same."""
    dead = DeadLetters(tmp_path)
    broken = b'{"record":"turn","id":"turn_1","x":"\xff\n'
    dead.append(EXPORTER, JournalledTurn(broken), reason="unreadable \ud800", at=1)
    (letter,) = dead.list()

    assert letter.raw == broken
    assert letter.reason == "unreadable ?"


def test_the_word_turn_in_a_reason_is_no_turn(tmp_path):
    """The reason may hold anything."""
    dead = DeadLetters(tmp_path)
    reason = 'it said {"a",\\"turn":{}} ,"turn":1'
    dead.append(EXPORTER, JournalledTurn(raw(1)), reason=reason, at=1)

    assert [(letter.reason, letter.raw) for letter in dead.list()] == [(reason, raw(1))]


def test_a_torn_line_harms_no_other(tmp_path):
    """A line cut off by a crash is skipped, and the next one starts on its own."""
    dead = DeadLetters(tmp_path)
    bury(dead, 1)
    (path,) = (tmp_path / "dead").glob("*/*.ndjson")
    path.write_bytes(path.read_bytes() + b'{"reason":"cut of')
    bury(dead, 2)

    assert [letter.id for letter in dead.list()] == ["turn_1", "turn_2"]
    assert dead.drop() == 2


def test_two_names_never_share_a_folder(tmp_path):
    """Names that look alike once made safe for a file system are told apart."""
    dead = DeadLetters(tmp_path)
    bury(dead, 1, exporter="file:/a/b")
    bury(dead, 2, exporter="file:/a_b")

    assert len(list((tmp_path / "dead").iterdir())) == 2
    assert [letter.id for letter in dead.list("file:/a_b")] == ["turn_2"]


def test_writers_and_a_rewriter_lose_nothing_together(tmp_path):
    """Two processes and two threads bury while letters are dropped: the sum is right."""
    program = """
import sys
from pathlib import Path
from turnspan.delivery.dead import DeadLetters
from turnspan.ports import JournalledTurn
dead = DeadLetters(Path(sys.argv[1]), owner="shared")
for n in range(100):
    number = int(sys.argv[2]) * 1000 + n
    raw = b'{"record":"turn","id":"turn_%d"}' % number
    dead.append("x:", JournalledTurn(raw + chr(10).encode()), reason="no", at=number)
"""
    others = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(number)])
        for number in (1, 2)
    ]
    dead = DeadLetters(tmp_path, owner="shared")

    def write(start):
        bury(dead, *range(start, start + 100), exporter="x:")

    threads = [threading.Thread(target=write, args=(start,)) for start in (10_000, 20_000)]
    for thread in threads:
        thread.start()
    dropped = 0
    while any(other.poll() is None for other in others) or any(t.is_alive() for t in threads):
        dropped += dead.drop("x:", {f"turn_{n}" for n in range(1000, 30_000, 2)})
    for thread in threads:
        thread.join()

    assert [other.returncode for other in others] == [0, 0]
    assert dropped + len(dead.list("x:")) == 400
