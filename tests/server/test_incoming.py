"""What `POST /v1/turns` makes of bodies that are odd, broken, or meant to hurt."""

from __future__ import annotations

import json

import orjson
import pytest

from turnspan.schema import decode_turn, encode_turn
from turnspan.server.incoming import MAX_RECORDS, records
from turnspan.testing.turns import make_turn

NDJSON = "application/x-ndjson"
FIELDS = json.loads(encode_turn(make_turn(1))) | {"record": None}
del FIELDS["record"]


def read(body, media_type=NDJSON):
    """What becomes of the records of ``body`` before they are stored."""
    return records(body, media_type, 7)[0]


def told(items):
    return [(each.index, each.id, each.status, each.error) for each in items]


@pytest.mark.parametrize("metadata", [{}, {"record": "turn"}, {"a": 1, "record": "turn"}])
@pytest.mark.parametrize("place", ["first", "last", "between", "nowhere"])
def test_a_turn_is_kept_as_it_came_wherever_it_says_that_it_is_one(metadata, place):
    """Only the top level's own `record` moves to the front; a nested one stays where it is."""
    own = {} if place == "nowhere" else {"record": "turn"}
    fields = FIELDS | {"metadata": metadata}
    parts = {"first": (own, {}), "between": ({"tags": []}, own), "last": ({}, {})}
    before, between = parts.get(place, ({}, {}))
    body = json.dumps(before | between | fields | own, indent=1).encode()

    (item,) = read(body, "application/json")

    assert item.turn.raw.startswith(b'{"record":"turn",')
    assert item.turn.raw.count(b"\n") == 1
    assert orjson.loads(item.turn.raw) == {"record": "turn", **before, **fields}
    assert decode_turn(item.turn.raw) == make_turn(1, metadata=metadata)


@pytest.mark.parametrize("media_type", [NDJSON, "application/json"])
def test_numbers_are_kept_as_they_were_written(media_type):
    """A number that no 64 bits hold stays as it is, in an array as on a line."""
    number = "123456789012345678901234567890.10"
    line = json.dumps(FIELDS | {"metadata": {"n": "N"}}).replace('"N"', number).encode()

    (item,) = read(line if media_type == NDJSON else b" [ %s ] " % line, media_type)

    assert b'"n": ' + number.encode() + b"}" in item.turn.raw


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
@pytest.mark.parametrize("kind", ["turn", "feedback"])
def test_a_number_that_is_not_finite_is_refused_alone(kind, number):
    """What nobody could read back is not stored, whichever field it is in."""
    turn = encode_turn(make_turn(1, metadata={"n": "N"})).replace(b'"N"', number.encode())
    said = b'{"record":"feedback","id":"f1","turn_id":"t","score":%s}' % number.encode()
    line = turn if kind == "turn" else said + b"\n"

    items = read(line + encode_turn(make_turn(2)))

    assert told(items) == [
        (0, make_turn(1).id if kind == "turn" else "f1", "refused", "a record is not JSON"),
        (1, make_turn(2).id, "unread", None),
    ]


@pytest.mark.parametrize("number", ["1" + "0" * 30, "-9223372036854775809"])
@pytest.mark.parametrize("field", [b"chunks", b"schema_version", b"first_chunk_at"])
def test_an_integer_that_nobody_could_read_back_is_refused_alone(field, number):
    """One such turn would be in the way of every listing that it is in."""
    line = encode_turn(make_turn(1))[:-2] + b',"%s":%s}\n' % (field, number.encode())

    items = read(line + encode_turn(make_turn(2)))

    assert [each.status for each in items] == ["refused", "unread"]
    assert field.decode() in items[0].error


@pytest.mark.parametrize("name", ["steps", "messages", "tags", "input_messages", "truncated"])
def test_a_list_of_mistakes_is_read_up_to_the_first(name):
    """A million wrong items cost one complaint, not gigabytes of them."""
    body = encode_turn(make_turn(1))[:-2] + b',"%s":[%s1]}' % (name.encode(), b"1.5," * 1_000_000)

    (item,) = read(body)

    assert item.status == "refused"
    assert item.error.startswith(f"{name}.0")


def test_too_many_records_are_counted_before_they_are_read(serve):
    """An array of millions is answered with 413 at once."""
    reply = serve().post(
        "/v1/turns", b"[" + b"1," * 5_000_000 + b"1]", headers={"content-type": "application/json"}
    )

    assert reply.status == 413
    assert reply.json["detail"] == f"a request may hold {MAX_RECORDS} records; send it in parts"


def test_an_array_nested_too_deep_is_a_bad_request(serve):
    """Whatever depth is sent, the answer is 4xx or names the record; never a failure of ours."""
    api = serve()
    depths = [100, 500, 990, 1020, 5000]

    replies = [
        api.post(
            "/v1/turns", b"[" * depth + b"]" * depth, headers={"content-type": "application/json"}
        )
        for depth in depths
    ]

    assert {reply.status for reply in replies} <= {200, 400}
    assert replies[0].json["results"][0]["error"] == "a record is not a JSON object"
