"""What a dead process left is completed and delivered."""

import signal
import threading
import time

import orjson
import pytest
from journal_records import EXPORTER, deliver, number_of, open_line, step_line, turn_line

from turnspan.journal.chain import Source
from turnspan.journal.lock import OwnerLock
from turnspan.journal.owner import Owner
from turnspan.journal.recovery import RecoveryStoppedError, recover
from turnspan.journal.segment import Header, segment_name
from turnspan.schema.wire import decode_turn

RESOURCE = {"service.name": "s"}


def plant(directory, *segments, owner=None, exporters=(EXPORTER,), locked=True):
    """Write the segments of an owner that is dead; its name."""
    directory.prepare()
    owner = owner or str(Owner.here())
    for seq, content in enumerate(segments):
        header = Header(owner, seq, 5, "s", RESOURCE, exporters, "0")
        (directory.journal / segment_name(owner, seq)).write_bytes(header.encode() + content)
    if locked:
        directory.lock(owner).write_bytes(b"")
    return owner


def adopted(make, **options):
    journal = make()
    journal.backlog(EXPORTER)
    journal.adopt(**options)
    return journal


def raw_turns(journal):
    return [t.raw for t in journal.backlog(EXPORTER).read(max_turns=100, max_bytes=2**20)]


def test_a_turn_that_was_cut_off_arrives_with_its_steps(make, directory):
    """Opened in one segment, with steps in two: interrupted, usage summed, latest time known."""
    plant(
        directory,
        open_line(10, session="s") + step_line(10, "a" * 16, ended_at=50, tokens=3),
        step_line(10, "b" * 16, ended_at=70, tokens=4),
    )
    journal = adopted(make)

    (raw,) = raw_turns(journal)
    turn = decode_turn(raw)
    assert raw.startswith(
        b'{"record":"turn","id":"turn_000000000010","session_id":"s","number":10,'
    )
    assert (turn.status, turn.started_at, turn.ended_at) == ("interrupted", 10, 70)
    assert [step.id for step in turn.steps] == ["a" * 16, "b" * 16]
    assert turn.usage.input_tokens == 7
    assert turn.input.content == "hi"
    assert turn.resource == {"k": "v"}


def test_a_turn_that_was_cut_off_has_the_resource_of_its_process(make, directory):
    """An `open` record that names none leaves it to the head of its segment."""
    record = orjson.loads(open_line(10))
    del record["resource"]
    plant(directory, orjson.dumps(record) + b"\n" + open_line(11))

    first, second = (decode_turn(raw) for raw in raw_turns(adopted(make)))
    assert (first.status, first.resource) == ("interrupted", RESOURCE)
    assert second.resource == {"k": "v"}


def message(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    "ranges, kept",
    [
        ([(0, "ab"), (2, "c")], "abc"),
        ([(0, "ab"), (1, "Bc")], "aBc"),
        ([(0, "abc"), (0, "A")], "Abc"),
        ([(0, "ab"), (5, "f"), (2, "c")], "abc"),
        ([(2, "c"), (0, "ab")], "abc"),
        ([(1, "b")], ""),
        ([(-1, "z"), (0, "a")], "a"),
        ([("0", "z"), (0, "a")], "a"),
        ([], ""),
    ],
)
def test_a_turn_that_was_cut_off_keeps_its_messages(directory, ranges, kept):
    """Joined by index over segments; what a torn record left without a beginning is dropped."""
    lines = [
        step_line(
            10, f"{n:016d}", ended_at=50 + n, messages_from=start, messages=[*map(message, texts)]
        )
        for n, (start, texts) in enumerate(ranges)
    ]
    owner = plant(directory, open_line(10) + b"".join(lines[:1]), b"".join(lines[1:]))
    names = directory.owners()[owner]
    recover(directory, names)
    turn = orjson.loads((directory.journal / names[1]).read_bytes().splitlines()[-1])

    assert turn.get("messages", []) == [message(text) for text in kept]
    assert [step["id"] for step in turn.get("steps", [])] == [
        f"{n:016d}" for n in range(len(ranges))
    ]


def test_ranges_of_messages_that_were_not_kept_are_dropped(make, directory):
    """A step that names them would show others, or none."""
    record = orjson.loads(step_line(10, "a" * 16, ended_at=50))
    record["step"] |= {"input_messages": [[0, 1], [1, 3]], "output_messages": [[3, 4]]}
    record |= {"messages_from": 0, "messages": [message("a"), message("b")]}
    opened = orjson.loads(open_line(10)) | {"input_messages": [[0, 2]]}
    plant(directory, orjson.dumps(opened) + b"\n" + orjson.dumps(record) + b"\n")

    (raw,) = raw_turns(adopted(make))
    turn = decode_turn(raw)
    assert turn.input_messages == ((0, 2),)
    assert [(s.input_messages, s.output_messages) for s in turn.steps] == [(((0, 1),), ())]


def test_a_turn_that_was_cut_off_keeps_the_tools_its_models_were_offered(make, directory):
    """The last record that names tools names them all; ranges beyond them are dropped."""
    tools = [{"type": "function", "name": name} for name in "ab"]
    first, second = (orjson.loads(step_line(10, c * 16, ended_at=50)) for c in "ab")
    first["step"] |= {"input_tools": [[0, 1]], "system_instructions": [[0, 1]]}
    second["step"] |= {"input_tools": [[1, 2], [2, 3]]}
    records = [
        orjson.loads(open_line(10)),
        first | {"tool_definitions": tools[:1]},
        second | {"tool_definitions": tools},
    ]
    plant(directory, b"".join(orjson.dumps(record) + b"\n" for record in records))

    (raw,) = raw_turns(adopted(make))
    turn = decode_turn(raw)
    assert list(turn.tool_definitions) == tools
    assert [step.input_tools for step in turn.steps] == [((0, 1),), ((1, 2),)]
    assert [step.system_instructions for step in turn.steps] == [(), ()]


def test_an_end_in_a_later_segment_is_paired(make, directory):
    """A rotation in the middle of a turn cuts nothing off."""
    plant(directory, open_line(1), turn_line(1))

    assert raw_turns(adopted(make)) == [turn_line(1)]


def test_recovering_twice_writes_the_same_once(directory):
    """Two recoveries in a row leave the bytes of one."""
    owner = plant(directory, open_line(1) + step_line(1, "a" * 16, ended_at=9))
    (name,) = directory.owners()[owner]
    assert recover(directory, [name]) == 1
    first = (directory.journal / name).read_bytes()

    assert recover(directory, [name]) == 0
    assert (directory.journal / name).read_bytes() == first


@pytest.mark.parametrize("cut", [1, 9, 20, 60, -20, -2])
def test_a_torn_end_is_closed_skipped_and_counted(make, directory, cut):
    """Wherever the last write was cut, the turns before and after it arrive."""
    plant(directory, turn_line(1) + open_line(3) + turn_line(2)[:cut])
    journal = adopted(make)

    assert [number_of(raw) for raw in raw_turns(journal)] == [1, 3]
    assert journal.counts().corrupt_lines == 1


def test_a_last_line_that_only_lacks_its_newline_is_kept(make, directory):
    """It is whole."""
    plant(directory, turn_line(1) + turn_line(2)[:-1])

    assert raw_turns(adopted(make)) == [turn_line(1), turn_line(2)]


def test_a_turn_left_open_by_a_clean_exit_is_cut_off_too(make):
    """Closing is no end of a turn."""
    journal = make()
    journal.log.append(open_line(4))
    journal.close()

    (raw,) = raw_turns(adopted(make))
    assert orjson.loads(raw)["status"] == "interrupted"


def test_killed_in_the_middle_of_a_turn(child, make):
    """The real thing: SIGKILL between the opening and the end."""
    child(
        """
        log = opened().log
        log.append(turn_line(1))
        log.append(open_line(2))
        log.append(step_line(2, "c" * 16, ended_at=8))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        expect=-signal.SIGKILL,
    )

    first, second = (decode_turn(raw) for raw in raw_turns(adopted(make)))
    assert (first.status, second.status, second.ended_at) == ("ok", "interrupted", 8)


def test_what_is_owed_to_others_is_left_alone(make, directory):
    """Neither delivered nor completed by a process that has no use for it."""
    owner = plant(directory, open_line(1) + turn_line(2), exporters=("file:/other",))
    before = (directory.journal / directory.owners()[owner][0]).read_bytes()
    journal = adopted(make)

    assert raw_turns(journal) == []
    assert (directory.journal / directory.owners()[owner][0]).read_bytes() == before


def test_from_start_delivers_what_was_written_before_an_exporter_was_named(make, directory):
    """As `drain --from-start` asks."""
    plant(directory, turn_line(2), exporters=("file:/other",))

    assert deliver(adopted(make, from_start=True)) == [2]


def test_another_hosts_owner_is_taken_only_when_asked(make, directory):
    """Its lock says nothing here."""
    plant(directory, turn_line(1), owner="elsewhere-abc-1-2-ff")
    journal = adopted(make)
    assert raw_turns(journal) == []

    journal.adopt(all_hosts=True)
    assert raw_turns(journal) == [turn_line(1)]


def test_an_owner_without_a_lock_file_is_not_judged(make, directory):
    """It may live where nothing can be locked."""
    plant(directory, turn_line(1), locked=False)
    journal = adopted(make)
    assert raw_turns(journal) == []

    journal.adopt(all_hosts=True)
    assert raw_turns(journal) == [turn_line(1)]


def test_dead_owners_come_oldest_first_and_only_one_process_takes_each(make, directory, child):
    """While one delivers to an exporter, another that has it too keeps away."""
    plant(directory, turn_line(1))
    journal = adopted(make)
    keep_away = "journal = opened(); journal.backlog(EXPORTER); print(journal.adopt())"
    assert child(keep_away).stdout == "0\n"

    journal.close()
    assert child(keep_away).stdout == "1\n"


def test_one_exporter_being_down_holds_up_no_other_process(make, directory, child):
    """Delivery of an owner is taken exporter by exporter."""
    plant(directory, turn_line(1), exporters=(EXPORTER, "file:/other"))
    adopted(make)

    done = child(
        """
        journal = opened(exporters=("file:/other",)); journal.backlog("file:/other")
        print(journal.adopt(), deliver(journal, "file:/other"))
        """
    )
    assert done.stdout == "1 [1]\n"


def test_forgetting_an_exporter_takes_everything_as_delivered(make, directory):
    """Nothing is sent to it, and retention may delete."""
    plant(directory, turn_line(1))
    journal = make()

    assert journal.forget(EXPORTER) == 1
    assert deliver(adopted(make)) == []


def test_a_lock_is_one_descriptor_however_many_use_it(directory):
    """Opening the file again would drop the lock when it is closed."""
    directory.prepare()
    lock = OwnerLock.create(directory.lock("o"))
    again = OwnerLock.open(directory.lock("o"))

    assert again is lock
    assert not again.take(0)
    again.close()
    assert not lock.take(0)
    lock.close()
    assert Source().exporters == ()


def test_a_recovery_that_is_over_writes_nothing_and_another_completes_it(directory):
    """Who asked for it may close in the middle."""
    owner = plant(directory, open_line(1))
    name = segment_name(owner, 0)
    before = (directory.journal / name).read_bytes()
    with pytest.raises(RecoveryStoppedError):
        recover(directory, [name], is_over=lambda: True)

    assert (directory.journal / name).read_bytes() == before
    assert recover(directory, [name]) == 1


def test_a_journal_closed_while_it_adopts_keeps_nothing_for_itself(make, directory):
    """The next one in the same process takes over what it was about to."""
    plant(directory, b"".join(turn_line(number) for number in range(300_000)), open_line(300_000))
    first, second = make(), make()
    first.backlog(EXPORTER)
    second.backlog(EXPORTER)
    adopting = threading.Thread(target=first.adopt)
    adopting.start()
    time.sleep(0.1)
    first.close()
    adopting.join()

    assert second.adopt() == 1
