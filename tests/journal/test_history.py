"""Looking into a directory."""

import threading

from journal_records import EXPORTER, deliver, eventually, number_of, open_line, turn_line

from turnspan.journal import Directory, History, Owed


def test_turns_of_all_owners_come_in_the_order_they_ended(make, directory):
    """Two writers are merged."""
    first, second = make(), make()
    for n in range(6):
        (first if n % 2 else second).log.append(turn_line(n))

    assert [number_of(t.raw) for t in History(directory).turns()] == list(range(6))


def test_a_turn_is_found_by_its_id_and_a_final_version_wins(make, directory):
    """An interrupted version gives way."""
    log = make().log
    log.append(turn_line(1, status="interrupted"))
    log.append(turn_line(1, status="ok"))
    log.append(turn_line(1, status="error"))
    history = History(directory)

    assert history.find("turn_000000000001").turn.status == "ok"
    assert history.find("turn_nowhere") is None


def test_sessions_are_summed_up(make, directory):
    """Turns, times, agents and statuses of each."""
    log = make().log
    log.append(turn_line(1, session="a"))
    log.append(turn_line(4, session="b", status="error"))
    log.append(turn_line(3, session="a"))
    first, second = History(directory).sessions()

    assert (first.id, first.turns, first.first_at, first.last_at) == ("a", 2, 1, 4)
    assert (second.id, second.agents, second.statuses) == ("b", {"a"}, {"error": 1})


def test_following_gives_what_is_written_from_now_on(make, directory):
    """Every kind of record, new segments too."""
    log = make().log
    log.append(turn_line(1))
    history, got, stop = History(directory), [], threading.Event()
    ready = threading.Event()

    def follow():
        got.extend(history.follow(poll_s=0.01, until=lambda: ready.set() or stop.is_set()))

    reader = threading.Thread(target=follow)
    reader.start()
    ready.wait(5)
    log.append(open_line(2))
    log.rotate()
    log.append(turn_line(2))

    assert eventually(lambda: len(got) >= 3)
    stop.set()
    reader.join()
    assert [line for line in got if b'"segment"' not in line] == [open_line(2), turn_line(2)]


def test_owners_and_what_is_owed_are_told(make, directory, child):
    """The dead, the living, and exporters nobody serves any more."""
    child('opened(exporters=("file:/gone",)).log.append(turn_line(1)); os._exit(0)')
    journal = make()
    journal.log.append(turn_line(2))
    deliver(journal)
    history = History(directory)

    assert sorted((o.state, o.service, o.segments) for o in history.owners()) == [
        ("dead", "s", 1),
        ("live", "s", 1),
    ]
    dead_size = min(o.size_bytes for o in history.owners() if o.state == "dead")
    assert history.owed() == [
        Owed("file:/gone", dead_size, 1, is_served=False, oldest_at=2),
        Owed(EXPORTER, 0, 0, is_served=True),
    ]


def test_an_empty_directory_has_no_history(tmp_path):
    """And is no error."""
    history = History(Directory(tmp_path))

    assert (list(history.turns()), history.sessions(), history.owners()) == ([], [], [])
    assert history.count_corrupt() == 0
