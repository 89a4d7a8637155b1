"""Which turn a line holds, read from its bytes."""

import pytest

from turnspan.exporters.identity import is_interrupted, turn_id
from turnspan.schema import Content, encode_turn
from turnspan.testing import make_step, make_turn, sample_turns


def test_every_encoded_turn_tells_its_id():
    """Whatever is in a turn, its line begins with its id."""
    turns = sample_turns(60)

    assert [turn_id(encode_turn(turn)) for turn in turns] == [turn.id for turn in turns]


@pytest.mark.parametrize(
    "line,found",
    [
        (b'{"id": "turn_1", "record": "turn"}\n', "turn_1"),
        (b'{ "record":"turn", "id":"turn_1"}', "turn_1"),
        (b'{"id":"turn_1"}\n', "turn_1"),
        (b'{"record":"turn","id":"a\\u0062"}\n', "ab"),
        (b'{"record":"open","id":"turn_1"}\n', None),
        (b'{"record":"turn","id":7}\n', None),
        (b'{"record":"turn","id":""}\n', None),
        (b'{"record":"turn","id":"turn_1', None),
        (b"[1]\n", None),
        (b"\xff\xfe", None),
        (b"", None),
    ],
)
def test_lines_of_other_shapes_are_decoded_or_have_no_id(line, found):
    """What does not begin as our lines do is read as JSON; nonsense has no id."""
    assert turn_id(line) == found


def test_only_the_status_of_the_turn_itself_counts():
    """An interrupted step, or the words in a text, do not make a turn an interrupted one."""
    step = make_step(status="interrupted")
    text = Content(content='"status":"interrupted"')

    assert is_interrupted(encode_turn(make_turn(status="interrupted")))
    assert not is_interrupted(encode_turn(make_turn(steps=(step,), input=text)))
    assert not is_interrupted(encode_turn(make_turn(metadata={"status": "interrupted"})))
    assert not is_interrupted(b'{"status":"interrupted"')
