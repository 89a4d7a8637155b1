"""The store itself, on both databases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from turnspan.clock import SystemClock
from turnspan.errors import StoreError
from turnspan.schema import Usage
from turnspan.server.store import migrations, open_store
from turnspan.server.store.port import (
    Answer,
    ConflictError,
    Incoming,
    SessionFilter,
    ToolUse,
    TurnFilter,
)
from turnspan.server.upkeep import Upkeep
from turnspan.testing.turns import START_NS, make_turn

SECOND = 10**9
HOUR = 3_600 * SECOND
ALL = TurnFilter()
EACH_STORE = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)


class Clock:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.at = START_NS

    def now_ns(self) -> int:
        return self.at

    def monotonic_ns(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url, clock) -> Iterator:
    opened = open_store(store_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def turns(store):
    """What one project has stored."""
    return store.of("ours")


def add(turns, *made):
    return [outcome.status for outcome in turns.add([Incoming.of(turn) for turn in made])]


def found(turns, where=ALL):
    return [each.turn.id for each in turns.turns(where, limit=100, newest_first=False).items]


# --- sessions and their state ----------------------------------------------------------------


@EACH_STORE
def test_a_session_is_made_by_its_first_turn(turns):
    """Turns that name a session make it, count in it, and stretch it."""
    add(turns, make_turn(3, user_id="ada"), make_turn(2))
    add(turns, make_turn(9), make_turn(4, session_id=None))

    (session,) = turns.sessions(SessionFilter(), limit=9).items

    assert (session.id, session.agent, session.user_id) == ("session-1", "assistant", "ada")
    assert (session.turn_count, session.last_number) == (3, 9)
    assert (session.first_at, session.last_at) == (
        make_turn(2).started_at,
        make_turn(9).started_at,
    )


@EACH_STORE
def test_a_session_is_made_changed_and_expires(turns, clock):
    """What a dialect says of a session is kept until it expires; then it is not found."""
    until = clock.at + HOUR
    made = turns.create_session(
        "s", agent="a", metadata={"tier": "gold"}, details={"toy": {"n": 1}}, expires_at=until
    )
    changed = turns.change_session("s", title="Talk", metadata={"tier": "silver"}, ended_at=5)
    with pytest.raises(ConflictError):
        turns.create_session("s")
    gold, silver = (
        [each.id for each in turns.sessions(SessionFilter(metadata={"tier": tier}), limit=9).items]
        for tier in ("gold", "silver")
    )
    clock.at = until

    assert (made.agent, dict(made.details), made.expires_at) == ("a", {"toy": {"n": 1}}, until)
    assert (changed.title, changed.ended_at, dict(changed.metadata)) == (
        "Talk",
        5,
        {"tier": "silver"},
    )
    assert (gold, silver) == ([], ["s"])
    assert turns.session("s") is None
    assert turns.change_session("s", title="late") is None
    assert turns.sessions(SessionFilter(), limit=9).items == []


@EACH_STORE
def test_sessions_are_paged(turns, clock):
    """Pages of sessions neither repeat nor hide one."""
    for index in range(7):
        clock.at += SECOND * (index % 2)
        turns.create_session(f"s{index}")
    seen, after, more = [], None, True
    while more:
        page = turns.sessions(SessionFilter(), limit=3, after=after)
        seen += [each.id for each in page.items]
        after, more = page.items[-1].position, page.has_more

    assert seen == [f"s{index}" for index in range(6, -1, -1)]


@EACH_STORE
def test_states_are_versions_that_are_never_written_over(turns):
    """Writing and rolling back only ever add: each version stays as it was."""
    turns.create_session("s", state={"a": 1})
    turns.change_state("s", lambda state: {**state, "b": 2}, by="ada")
    turns.change_state("s", lambda _: [1, "two", None])
    back = turns.restore_state("s", 1, reason="oops")
    relative = turns.restore_state("s", -1)

    history = turns.states("s", limit=9, newest_first=False)

    assert [each.state for each in history] == [
        {"a": 1},
        {"a": 1, "b": 2},
        [1, "two", None],
        {"a": 1, "b": 2},
        [1, "two", None],
    ]
    assert [each.version for each in history] == [0, 1, 2, 3, 4]
    assert (back.restored_from, back.reason, relative.restored_from) == (1, "oops", 2)
    assert history[1].by == "ada"
    assert turns.states("s", since_version=3, limit=1)[0].version == 4
    assert turns.restore_state("s", 99) is None
    assert turns.change_state("nobody", dict) is None


@EACH_STORE
def test_a_session_begins_empty_where_no_state_was_given(turns):
    """A session that turns made has a version 0 to go back to."""
    add(turns, make_turn(1))

    first = turns.state("session-1")
    turns.change_state("session-1", lambda state: {**state, "n": 1})

    assert (first.version, first.state) == (0, {})
    assert [each.state for each in turns.states("session-1", limit=9)] == [{"n": 1}, {}]
    assert turns.restore_state("session-1", 0).state == {}


@EACH_STORE
def test_a_fork_takes_what_was_there_at_its_version(turns):
    """The new session has that state and copies of the turns before the next version."""
    turns.create_session("s", agent="a", state={"n": 0}, metadata={"tier": "gold"})
    for number in (1, 2, 3):
        add(turns, make_turn(number, session_id="s"))
        turns.change_state("s", lambda state: {"n": state["n"] + 1})

    forked = turns.fork_session("s", "f", version=2, metadata={"forked_from": "s"})
    copies = turns.turns(TurnFilter(session_id="f"), limit=9, newest_first=False).items
    whole = turns.fork_session("s", "g")

    assert (forked.agent, dict(forked.metadata), forked.turn_count) == (
        "a",
        {"forked_from": "s"},
        3,
    )
    assert turns.state("f").state == {"n": 2}
    assert [each.turn.input for each in copies] == [make_turn(n).input for n in (1, 2, 3)]
    assert {each.turn.id for each in copies}.isdisjoint(found(turns, TurnFilter(session_id="s")))
    assert (whole.turn_count, turns.session("s").turn_count) == (3, 3)
    assert turns.fork_session("s", "h", version=9) is None
    assert turns.fork_session("nobody", "h") is None


@EACH_STORE
@pytest.mark.parametrize("erased", ["a user", "what is old"])
def test_a_fork_knows_turns_apart_from_those_that_were_erased(store, turns, clock, erased):
    """A turn that comes after an older one was removed is not taken for the older one."""
    turns.create_session("s", agent="a", user_id="bob", state={"n": 0})
    add(turns, make_turn(1, session_id="s", user_id="ada"))
    clock.at += HOUR
    turns.change_state("s", lambda _: {"n": 1})
    turns.change_state("s", lambda _: {"n": 2})
    if erased == "a user":
        turns.erase_user("ada")
    else:
        store.retire(make_turn(1).started_at + 1)
    add(turns, make_turn(2, session_id="s", user_id="bob"))

    forked = turns.fork_session("s", "f", version=1)

    assert forked.turn_count == 0
    assert turns.fork_session("s", "g").turn_count == 1


@EACH_STORE
def test_appended_turns_are_numbered_without_gaps(store_url, store):
    """Many threads that append to one session get each number once."""
    turns = store.of("ours")
    ids = [f"turn_{index}" for index in range(40)]

    def append(own):
        for id in own:
            turns.append("s", partial(make_turn, id=id, session_id="s"))

    threads = [threading.Thread(target=append, args=(ids[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    page = turns.turns(TurnFilter(session_id="s"), limit=100, newest_first=False)
    assert sorted(each.turn.number for each in page.items) == list(range(1, 41))
    assert sorted(each.turn.id for each in page.items) == sorted(ids)


# --- what hangs on turns ----------------------------------------------------------------------


@EACH_STORE
def test_artifacts_are_kept_with_their_turns(turns):
    """Artifacts are listed by session, turn and type, in order, each once, and counted."""
    said = [{"uri": f"s3://{n}", "type": "chart" if n else "parquet"} for n in range(4)]
    first = make_turn(1, session_id="s", metadata={"artifacts": said[:2]})
    second = make_turn(2, session_id="s", metadata={"artifacts": [7, *said[2:], {"uri": "u"}]})
    add(turns, first, second)
    add(turns, first)

    def uris(**asked):
        some, total = turns.artifacts("s", **asked)
        return [each.uri for each in some], total

    assert uris(limit=2, offset=1) == (["s3://1", "s3://2"], 4)
    assert uris(turn_ids=[second.id]) == (["s3://2", "s3://3"], 2)
    assert uris(type="parquet") == (["s3://0"], 1)
    assert turns.artifacts("other") == ([], 0)


@EACH_STORE
def test_artifacts_are_those_of_the_version_that_is_stored(turns):
    """A duplicate's are not taken; those of an interrupted turn give way with it."""
    made = [[{"uri": f"s3://{n}", "type": "chart"}] for n in range(3)]
    cut_off = make_turn(1, session_id="s", status="interrupted", metadata={"artifacts": made[0]})
    final = make_turn(1, session_id="s", metadata={"artifacts": made[1]})
    late = make_turn(1, session_id="s", metadata={"artifacts": made[2] * 2})

    assert add(turns, cut_off) + add(turns, final) + add(turns, late) == [
        "stored",
        "stored",
        "duplicate",
    ]
    assert [each.uri for each in turns.artifacts("s")[0]] == ["s3://1"]


@EACH_STORE
def test_a_job_whose_process_died_is_taken_again(store, clock):
    """While the lease holds nobody else gets it; afterwards the late one's word counts no more."""
    store.of("ours").enqueue("toy.paint", {"n": 1}, job_id="j")
    first = store.claim_job(["toy.paint"], lease_s=10)
    held = store.claim_job(["toy.paint"], lease_s=10)
    clock.at += 11 * SECOND
    second = store.claim_job(["toy.paint"], lease_s=10)
    store.finish_job(first, error="too late")
    store.finish_job(second, result={"n": 2})

    job = store.of("ours").job("j")

    assert (first.attempt, held, second.attempt) == (1, None, 2)
    assert (job.state, job.result, job.error) == ("done", {"n": 2}, None)
    assert store.claim_job(["toy.paint"], lease_s=10) is None
    assert store.of("theirs").job("j") is None


@EACH_STORE
def test_work_and_its_answer_are_committed_together(turns):
    """Work that fails leaves neither its writes nor its answer; done once, it is not done again."""

    def failing(within):
        within.create_session("s")
        raise LookupError

    def working(within):
        within.create_session("s")
        return Answer(status=201, body=b"made", headers={"location": "/s"}, session_id="s")

    with pytest.raises(LookupError):
        turns.once("k", "f", failing, route="r")
    assert turns.session("s") is None

    answers = [turns.once("k", "f", working, route="r") for _ in range(2)]

    assert [(each.body, each.headers, each.replayed) for each in answers] == [
        (b"made", {"location": "/s"}, False),
        (b"made", {"location": "/s"}, True),
    ]
    with pytest.raises(ConflictError):
        turns.once("k", "other", working, route="r")


@EACH_STORE
def test_an_answer_is_given_again_for_a_day(turns, clock):
    """A key that is used again the day after is a new one."""
    answers = []
    for wait in (0, 23 * HOUR, 2 * HOUR):
        clock.at += wait
        body = str(len(answers)).encode()
        answers.append(
            turns.once("k", "f", lambda _, b=body: Answer(status=200, body=b), route="r")
        )

    assert [each.body for each in answers] == [b"0", b"0", b"2"]


# --- erasure and retention --------------------------------------------------------------------


def furnish(turns):
    """Ada's sessions with everything that can hang on them, and Bob's with a turn of Ada's."""
    secret = "rhubarb"
    artifact = {"uri": "s3://x", "type": "chart", "title": secret}
    made = {"artifacts": [artifact]}
    add(
        turns,
        make_turn(1, session_id="a", user_id="ada", reasoning=secret, metadata=made),
        make_turn(2, session_id="a", user_id="ada"),
        make_turn(3, session_id="b", user_id="bob"),
        make_turn(4, session_id="b", user_id="ada", reasoning=secret),
    )
    turns.change_state("a", lambda _: {"secret": secret})
    turns.put_feedback(make_turn(1).id, comment=secret)
    turns.put_feedback(make_turn(3).id, comment="fine")
    turns.enqueue("toy.paint", {"secret": secret}, session_id="a")
    answer = Answer(status=200, body=secret.encode(), session_id="a")
    turns.once("k", "f", lambda _: answer, route="r")


@EACH_STORE
def test_a_session_is_erased_with_all_that_hangs_on_it(store):
    """Nothing of it is left but a receipt that counts; others keep what is theirs."""
    turns, others = store.of("ours"), store.of("theirs")
    furnish(turns)
    furnish(others)

    receipt = turns.erase_session("a")

    counts = (receipt.turns, receipt.steps, receipt.sessions, receipt.states, receipt.feedback)
    assert counts == (2, 2, 1, 1, 1)
    assert (receipt.artifacts, receipt.jobs, receipt.answers) == (1, 1, 1)
    assert turns.receipt(receipt.id) == receipt
    assert others.receipt(receipt.id) is None
    assert found(turns) == [make_turn(3).id, make_turn(4).id]
    assert found(turns, TurnFilter(text="rhubarb")) == [make_turn(4).id]
    assert turns.erase_session("a") is None
    assert found(others) == [make_turn(n).id for n in (1, 2, 3, 4)]


@EACH_STORE
def test_what_is_stored_during_an_erasure_has_a_session(turns):
    """However an erasure and a flood of turns interleave, no turn is left without its session."""
    stop = threading.Event()

    def store_turns(numbers):
        for number in numbers:
            add(turns, make_turn(number, session_id="s", user_id="ada"))
            if stop.is_set():
                return

    own = [iter(range(start, 100_000, 3)) for start in range(3)]
    threads = [threading.Thread(target=store_turns, args=(each,)) for each in own]
    for thread in threads:
        thread.start()
    for index in range(30):
        if index % 2:
            turns.erase_user("ada")
        else:
            turns.erase_session("s")
    stop.set()
    for thread in threads:
        thread.join()

    session = turns.session("s")
    assert (session.turn_count if session else 0) == turns.count(TurnFilter(session_id="s"))


@EACH_STORE
def test_a_user_is_erased_from_other_sessions_too(turns):
    """Their turns go wherever they are, and the sessions they share are counted again."""
    furnish(turns)

    receipt = turns.erase_user("ada")

    assert (receipt.turns, receipt.sessions, receipt.feedback) == (3, 1, 1)
    assert found(turns) == [make_turn(3).id]
    assert found(turns, TurnFilter(text="rhubarb")) == []
    (left,) = turns.sessions(SessionFilter(), limit=9).items
    assert (left.id, left.turn_count) == ("b", 1)
    assert turns.erase_user("nobody").turns == 0


def test_what_was_erased_is_not_in_the_file(tmp_path):
    """Not in a table, nor in the search index, nor in a free page, nor in the log beside it."""
    store = open_store(str(tmp_path / "turns.db"))
    turns = store.of("ours")
    furnish(turns)
    assert any(b"rhubarb" in path.read_bytes() for path in tmp_path.iterdir())

    turns.erase_session("a")
    turns.erase_user("ada")
    held = [path.name for path in tmp_path.iterdir() if b"rhubarb" in path.read_bytes()]
    store.close()

    assert held == []


@EACH_STORE
def test_a_tool_that_waited_is_counted_where_it_answered(store, clock):
    """Its call stands in the turn that paused and in the one that resumed it, and is one call."""
    turns = store.of("ours")
    first, second = make_turn(1), make_turn(2)
    waited = [{**step, "status": "paused"} for step in first.model_dump(mode="json")["steps"]]
    add(turns, make_turn(1, steps=waited, status="paused"))
    add(turns, second)
    before = turns.tool_use(ALL)
    clock.at = make_turn(5_000).started_at + 1
    Upkeep(store, retain_s=3_600, clock=clock).once()

    assert before == turns.tool_use(ALL) == {"look_up": ToolUse(calls=1, errors=0)}


@EACH_STORE
def test_old_turns_become_numbers(store, clock):
    """After retirement the numbers are the same, and no id, user or content is left."""
    turns = store.of("ours")
    furnish(turns)
    add(turns, make_turn(5_000, usage={"input_tokens": 7, "cost_usd": 0.5}, status="error"))
    before = turns.statistics(ALL, by="hour", by_agent=True), turns.tool_use(ALL)
    clock.at = make_turn(5_000).started_at + 1
    upkeep = Upkeep(store, retain_s=3_600, clock=clock)

    retired = upkeep.once()

    assert retired == 4
    assert found(turns) == [make_turn(5_000).id]
    assert (turns.statistics(ALL, by="hour", by_agent=True), turns.tool_use(ALL)) == before
    assert turns.tool_use(ALL) == {"look_up": ToolUse(calls=5, errors=0)}
    assert turns.usage(START_NS, clock.at).turns == 5
    assert turns.feedback([make_turn(1).id]) == []
    assert [each.turns for each in turns.statistics(TurnFilter(session_id="a"))] == []
    assert upkeep.once() == 0


def test_retirement_adds_up_with_what_was_retired_before(tmp_path):
    """Turns that arrive late for an hour that was retired are added to its numbers."""
    store = open_store(str(tmp_path / "turns.db"))
    turns = store.of("ours")
    for index in (1, 2, 3):
        add(turns, make_turn(index))
        store.retire(START_NS + HOUR)

    (numbers,) = turns.statistics(ALL)
    store.close()

    assert (numbers.turns, numbers.latency_ms["mean"]) == (3, 500.0)


@EACH_STORE
def test_what_hangs_on_no_turn_is_dropped_at_the_same_age(store, clock):
    """Old sessions without turns, stray feedback and jobs that are done go; the rest stays."""
    turns = store.of("ours")
    for id, expires_at in [("old", None), ("lasting", clock.at + 9 * HOUR), ("busy", None)]:
        turns.create_session(id, state={"secret": id}, expires_at=expires_at)
    add(turns, make_turn(1, session_id="busy", started_at=clock.at + 5 * HOUR))
    turns.put_feedback("nowhere", comment="secret")
    turns.put_feedback(make_turn(1).id, comment="fine")
    turns.enqueue("toy.paint", {}, job_id="done", user_id="ada")
    store.finish_job(store.claim_job(["toy.paint"], lease_s=1), result={})
    turns.enqueue("toy.paint", {}, job_id="queued", user_id="ada")
    clock.at += 2 * HOUR

    store.retire(clock.at - HOUR)

    ids = ["old", "lasting", "busy"]
    assert [turns.session(id) is not None for id in ids] == [False, True, True]
    assert [len(turns.states(id, limit=9)) for id in ids] == [0, 1, 1]
    assert turns.feedback(["nowhere"]) == []
    assert [each.comment for each in turns.feedback([make_turn(1).id])] == ["fine"]
    assert [turns.job(id) is not None for id in ("done", "queued")] == [False, True]


@EACH_STORE
def test_no_number_stops_reckoning_or_retirement(store, clock):
    """The largest numbers that are taken add up to large numbers, not to a failure."""
    ends = {"started_at": -(2**62) + 1, "ended_at": 2**62 - 1}
    usage = Usage(input_tokens=2**62 - 1, output_tokens=2**62 - 1, cost_usd=1e100)
    huge = [make_turn(index, usage=usage, steps=(), **ends) for index in range(2_500)]
    turns = store.of("ours")
    add(turns, *huge)

    (before,) = turns.statistics(ALL)
    retired = store.retire(clock.at)
    (after,) = turns.statistics(ALL)

    assert before.input_tokens == pytest.approx(2_500 * 2**62)
    assert before.latency_ms["mean"] == pytest.approx(2**63 / 1e6)
    assert (retired, after.turns) == (2_500, 2_500)
    assert after.input_tokens == 2**63 - 1


@EACH_STORE
def test_periods_are_those_of_the_calendar(turns):
    """Weeks begin on Monday and months on their first, in UTC."""
    add(turns, make_turn(1))  # Tuesday, 14 November 2023

    starts = {
        period: turns.statistics(ALL, by=period)[0].period_start // SECOND
        for period in ("hour", "day", "week", "month")
    }

    assert starts == {
        "hour": 1699999200,
        "day": 1699920000,
        "week": 1699833600,
        "month": 1698796800,
    }


# --- what may stand in a turn -----------------------------------------------------------------


@EACH_STORE
def test_text_that_no_column_holds_is_kept_in_the_turn(turns):
    """A NUL in an id, a name or a content loses nothing, and is found again."""
    odd = make_turn(
        1,
        session_id="a\0b",
        user_id="u\0",
        agent={"name": "n\0"},
        input={"content": "one\0two"},
        metadata={"k\0": "v\0"},
    )
    add(turns, odd)

    (session,) = turns.sessions(SessionFilter(), limit=9).items

    assert turns.turn(odd.id).turn == odd
    assert found(turns, TurnFilter(session_id="a\0b", user_id="u\0", agent="n\0")) == [odd.id]
    assert found(turns, TurnFilter(metadata={"k\0": "v\0"})) == [odd.id]
    assert session.turn_count == 1


@EACH_STORE
def test_numbers_that_cannot_be_reckoned_with_are_refused(turns):
    """What no column holds is refused, with its name, and harms no other turn."""
    big = make_turn(1, started_at=2**70, ended_at=2**70)

    dear = make_turn(3, usage=Usage(cost_usd=1e101))

    outcomes = turns.add([Incoming.of(big, b"{}\n"), Incoming.of(dear), Incoming.of(make_turn(2))])

    assert [(each.status, each.error) for each in outcomes] == [
        ("refused", "a number is beyond 62 bits"),
        ("refused", "a cost is beyond 1e+100 USD"),
        ("stored", None),
    ]


# --- the database -----------------------------------------------------------------------------


@EACH_STORE
def test_what_was_stored_is_there_after_a_restart(store_url):
    """A store that is opened again has everything, keys included."""
    first = open_store(store_url)
    add(first.of("ours"), make_turn(1))
    key, secret = first.create_key(project="ours", name="k", scopes=frozenset({"read"}))
    first.close()

    again = open_store(store_url)
    held, known = found(again.of("ours")), again.key_for(secret)
    again.close()

    assert held == [make_turn(1).id]
    assert known == key


@pytest.mark.parametrize("version", range(1, migrations.NEWEST))
def test_a_file_of_an_older_version_is_brought_forward(tmp_path, version):
    """Whatever version a file is of, it is migrated when it is opened, with what it holds."""
    from turnspan.server.store import sqlite

    path = tmp_path / "old.db"
    engine = sqlite._engine(f"sqlite+pysqlite:///{path}", "BEGIN IMMEDIATE")
    with engine.begin() as connection:
        taken = migrations.migrate(connection, sqlite._WORDS, now_ns=1, to=version)
        connection.exec_driver_sql(
            "INSERT INTO turns VALUES (1,'ours','t','s',1,'a',NULL,'ok',5,6,0,1,1,NULL,NULL,5)"
        )
        connection.exec_driver_sql("INSERT INTO details VALUES (1, ?)", (b"{}",))
    engine.dispose()

    store = open_store(str(path))
    turns = store.of("ours")
    outcome = add(turns, make_turn(1))
    turns.put_feedback("t", rating="good")
    store.retire(10)
    count = [each.turns for each in turns.statistics(ALL)]
    store.close()

    assert taken == version
    assert (outcome, count) == (["stored"], [2])


@EACH_STORE
def test_tables_are_as_the_newest_migration_leaves_them(store):
    """The statements are built on what the migrations really make."""
    from sqlalchemy import inspect

    from turnspan.server.store.tables import metadata

    def columns(connection):
        looked = inspect(connection)
        return {
            table.name: {each["name"]: each["nullable"] for each in looked.get_columns(table.name)}
            for table in metadata.tables.values()
        }

    made = store._backend.read(columns)

    assert {name: sorted(each) for name, each in made.items()} == {
        table.name: sorted(column.name for column in table.columns)
        for table in metadata.tables.values()
    }


def test_a_file_of_a_later_version_is_left_alone(tmp_path):
    """A store that a later turnspan made is refused, with the fix, and not touched."""
    path = tmp_path / "turns.db"
    open_store(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_versions VALUES (?, 1)", (migrations.NEWEST + 1,))
    connection.close()

    with pytest.raises(StoreError, match=r"version 5, and this turnspan knows 4\n  fix: upgrade"):
        open_store(str(path))


@pytest.mark.parametrize(
    "url, what",
    [
        ("mysql://localhost/turns", "a store cannot be mysql://"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be reached"),
        ("/proc/turns.db", "cannot be opened as a store"),
    ],
)
def test_a_store_that_cannot_be_is_a_mistake_with_a_fix(url, what):
    """An unusable URL is told at once, without what it holds of secrets."""
    with pytest.raises(StoreError, match=what) as caught:
        open_store(url)

    assert "nobody" not in str(caught.value)


def test_a_file_that_is_no_store_is_told_so(tmp_path):
    """Another program's file is refused and left as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("shopping list " * 100)

    with pytest.raises(StoreError, match="cannot be opened as a store"):
        open_store(str(path))

    assert path.read_text() == "shopping list " * 100


def test_the_file_is_its_owner_s_alone(tmp_path):
    """A new store can be read by nobody else."""
    path = tmp_path / "new" / "turns.db"
    open_store(str(path)).close()

    assert path.stat().st_mode & 0o777 == 0o600


def test_two_processes_may_share_one_file(tmp_path):
    """Two stores on one SQLite file take turns; ids stay unique between them."""
    path = str(tmp_path / "turns.db")
    stores = [open_store(path), open_store(path)]

    def flood(store, first):
        for index in range(first, first + 40):
            add(store.of("ours"), make_turn(index))

    threads = [
        threading.Thread(target=flood, args=(store, first))
        for store, first in zip(stores, (1, 21), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = stores[0].of("ours").count(ALL)
    for store in stores:
        store.close()

    assert count == 60


@EACH_STORE
def test_the_same_turns_from_many_sides_are_stored_once(store):
    """Threads that bring the same turns at one time store each once and fail never."""
    turns = store.of("ours")
    outcomes: list[str] = []

    def bring():
        for start in range(1, 101, 20):
            made = [make_turn(index) for index in range(start, start + 20)]
            outcomes.extend(add(turns, *made))

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (outcomes.count("stored"), outcomes.count("duplicate")) == (100, 300)
    assert turns.count(ALL) == 100
    assert turns.session("session-1").turn_count == 100


def test_a_system_clock_is_taken_unless_one_is_given(tmp_path):
    """What is stored without a clock of the caller's is stamped by the machine's."""
    store = open_store(str(tmp_path / "turns.db"))
    before = SystemClock.now_ns()
    session = store.of("ours").create_session("s")
    store.close()

    assert before <= session.created_at <= SystemClock.now_ns()
