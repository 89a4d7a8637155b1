"""Reading lines of a segment."""

import os

import orjson
import pytest
from journal_records import deliver, turn_line

from turnspan.journal.reader import ended_at, is_whole, lines


@pytest.mark.parametrize("chunk", [1, 7, 64, 2**20])
def test_lines_are_the_same_whatever_the_chunk(tmp_path, chunk):
    """A line longer than the chunk is read too, and none past the last newline."""
    path = tmp_path / "f"
    path.write_bytes(b"one\n\nthree is longer\n" + b"x" * 500 + b"\nopen end")
    fd = os.open(path, os.O_RDONLY)

    read = list(lines(fd, 0, chunk_bytes=chunk))
    os.close(fd)
    assert read == [
        (4, b"one\n"),
        (5, b"\n"),
        (21, b"three is longer\n"),
        (522, b"x" * 500 + b"\n"),
    ]


def test_reading_goes_on_from_an_offset(tmp_path):
    """Offsets are those of the file."""
    path = tmp_path / "f"
    path.write_bytes(b"one\ntwo\n")
    fd = os.open(path, os.O_RDONLY)

    assert list(lines(fd, 4)) == [(8, b"two\n")]
    os.close(fd)


@pytest.mark.parametrize(
    "line", [b"\n", b'{"record":"turn"\n', b'{"x":1}\n', b"\xff\xfe}\n", b" \n"]
)
def test_what_is_no_record_is_told_at_a_glance(line):
    """No JSON is decoded for it."""
    assert not is_whole(line)


def test_corrupt_lines_are_skipped_and_counted_once(make):
    """Reading them again, for another exporter or another batch, counts nothing twice."""
    journal = make(exporters=("a", "b"))
    journal.log.append(turn_line(1))
    with open(journal.log.chain.active.path, "ab") as file:
        file.write(b'{"record":"turn","id":"turn_0000\nnonsense\n\n')
    journal.log.append(turn_line(2))

    assert deliver(journal, "a", batch=1) == [1, 2]
    assert deliver(journal, "b") == [1, 2]
    assert journal.counts().corrupt_lines == 2


STEP = b',"steps":[{"id":"a","ended_at":8}]'


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b',"metadata":{"ended_at":5}',
        b',"metadata":{"arguments":{"ended_at":5,"steps":[]}}',
        b',"metadata":{"a":1,"steps":[{"ended_at":5}]}',
        b',"state_before":{"ended_at":5,"metadata":1}',
        b',"trace":{"links":[{"attributes":{"ended_at":5}}]}',
        b',"metadata":{"a":"\\"ended_at\\":5"}',
        b',"input":{"content":"{\\"metadata\\":{\\"ended_at\\":5}}"}',
    ],
)
@pytest.mark.parametrize("steps", [b"", STEP], ids=["", "steps"])
def test_when_a_turn_ended_is_its_own_time_whatever_was_said_in_it(said, steps):
    """Metadata, state and the attributes of links may have entries of the same name."""
    line = b'{"record":"turn","id":"t"' + said + b',"status":"ok","ended_at":7' + steps + b"}\n"

    assert ended_at(line) == orjson.loads(line)["ended_at"] == 7


def test_a_turn_that_cannot_be_read_ended_at_no_time():
    """Where the time that was found may be another's."""
    line = b'{"record":"turn","metadata":{"ended_at":5},"ended_at":7,"x"}\n'

    assert ended_at(line) is None
