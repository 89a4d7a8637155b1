"""`dead`: what was refused can be looked at, offered again and dropped."""

import pytest

from turnspan.schema import encode_turn
from turnspan.testing import make_turn


def test_the_refused_are_listed_with_the_reason(call, bury):
    """One object a letter, the turn whole in it; for people a line and the reason."""
    bury("http://127.0.0.1:9", make_turn(1), make_turn(2))
    listed = call("dead", "--json").lines
    shown = call("dead", "list", "--id", "turn_000000000002").out

    assert [(each["id"], each["reason"], each["at"]) for each in listed] == [
        ("turn_000000000001", "reason 1", 1),
        ("turn_000000000002", "reason 2", 2),
    ]
    assert listed[0]["exporter"] == "http://127.0.0.1:9"
    assert listed[0]["turn"]["input"] == {"content": "question 1"}
    assert "turn_000000000002" in shown
    assert "    reason 2\n" in shown
    assert "reason 1" not in shown


def test_none_are_said_to_be_none(call, bury):
    """Nothing on the output, a word beside it."""
    bury("http://127.0.0.1:9")
    said = call("dead")

    assert (said.status, said.out, said.err) == (0, "", "nothing was refused\n")


@pytest.mark.parametrize("what", ["retry", "drop"])
def test_which_ones_must_be_said(what, call, bury):
    """Nothing is dropped or sent by an incomplete command."""
    letters = bury("http://127.0.0.1:9", make_turn(1))
    said = call("dead", what)

    assert said.status == 2
    assert "--id ID, --exporter NAME or --all" in said.err
    assert len(letters.list()) == 1


@pytest.mark.parametrize("what", ["retry", "drop", "list"])
def test_a_bare_name_is_answered_with_the_options_it_wants(what, call, bury):
    """It could be an exporter's or a turn's."""
    bury("http://127.0.0.1:9", make_turn(1))
    said = call("dead", what, "http://127.0.0.1:9")

    assert said.status == 2
    assert f"{what} --exporter NAME or {what} --id ID" in said.err


def test_those_that_are_taken_now_are_letters_no_more(call, bury, turns_api):
    """Byte for byte what was journalled; one that is refused again stays, and takes no other."""
    turns = [make_turn(n) for n in range(1, 4)]
    letters = bury(turns_api.url, *turns)
    turns_api.be("refuse", ids=("turn_000000000002",))
    said = call("dead", "retry", "--all", "--json")

    assert said.status == 3
    assert said.json == {"delivered": 2, "refused": 1, "unsent": 0}
    assert "turn_000000000002 is refused again: not wanted" in said.err
    assert [each.id for each in letters.list()] == ["turn_000000000002"]
    assert list(turns_api.state.stored.values()) == [encode_turn(turns[n]).rstrip() for n in (0, 2)]


def test_a_destination_that_is_down_keeps_its_letters(call, bury, turns_api):
    """They are unsent, not gone."""
    letters = bury(turns_api.url, make_turn(1), make_turn(2))
    turns_api.be("status", status=503)
    said = call("dead", "retry", "--exporter", turns_api.url)

    assert (said.status, said.out) == (3, "0 delivered, 0 refused, 2 unsent\n")
    assert len(letters.list()) == 2


def test_they_can_be_offered_to_another(call, bury, turns_api):
    """`--to` sends them elsewhere; taken there, they are done with."""
    letters = bury("file:gone.jsonl", make_turn(1), make_turn(2))
    said = call("dead", "retry", "--id", "turn_000000000001", "--to", turns_api.url)

    assert (said.status, said.out) == (0, "1 delivered, 0 refused, 0 unsent\n")
    assert turns_api.ids == ["turn_000000000001"]
    assert [each.id for each in letters.list()] == ["turn_000000000002"]


def test_an_exporter_nobody_can_build_is_a_mistake(call, bury):
    """The fix is to name one."""
    bury("somewhere else", make_turn(1))
    said = call("dead", "retry", "--all")

    assert said.status == 2
    assert "--to URL" in said.err


def test_dropping_counts_what_went(call, bury):
    """By id, by exporter, or all."""
    letters = bury("http://127.0.0.1:9", *(make_turn(n) for n in range(1, 5)))
    one = call("dead", "drop", "--id", "turn_000000000003", "--json")
    others = call("dead", "drop", "--exporter", "nobody")
    rest = call("dead", "drop", "--all")

    assert one.json == {"dropped": 1}
    assert others.out == "0 dead letters dropped\n"
    assert rest.out == "3 dead letters dropped\n"
    assert letters.list() == ()


@pytest.mark.parametrize("what", ["retry", "drop"])
def test_a_letter_that_is_not_there_is_named(call, bury, what):
    """A mistyped id or exporter would look like something done."""
    bury("memory", make_turn(1))
    by_id = call("dead", what, "--id", "turn_mistyped", "--json")
    by_exporter = call("dead", what, "--exporter", "memroy", "--json")

    assert (by_id.status, by_exporter.status) == (0, 0)
    assert by_id.err == "turnspan: no dead letter here is called 'turn_mistyped'\n"
    assert by_exporter.err == "turnspan: there is no dead letter of an exporter 'memroy'\n"
