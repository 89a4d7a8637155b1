"""A process that is killed loses nothing: real processes, SIGKILL, `turnspan drain`."""

import json
import os
import signal
import threading

import pytest

import turnspan

TURNS = 5000

PRODUCER = """
    import os, signal, sys
    import turnspan

    @turnspan.tool
    def look_up(number):
        return {"number": number}

    @turnspan.agent
    def ask(question):
        return look_up(question)["number"]

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    for number in range(int(sys.argv[2])):
        ask(str(number))
    os.kill(os.getpid(), signal.SIGKILL)
"""

CUT_OFF = """
    import os, signal, sys, time
    import turnspan

    @turnspan.tool
    def look_up(word):
        return word.upper()

    @turnspan.model(name="scripted")
    def chat(messages):
        return {
            "choices": [{"message": {"role": "assistant", "content": "hm"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        }

    @turnspan.agent
    def ask(question):
        if sys.argv[2] == "early":
            look_up("early")
        time.sleep(1.05)
        look_up("late")
        chat([{"role": "user", "content": "hm?"}])
        os.kill(os.getpid(), signal.SIGKILL)

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    with turnspan.session("s"):
        ask("what happened?")
"""


def killed(process):
    """Waits for a program that kills itself."""
    _, err = process.communicate(timeout=240)

    assert (process.returncode, err) == (-signal.SIGKILL, "")


@pytest.fixture
def cut_off(start, turns_api, drain):
    """A turn whose process was killed in its middle, as it arrives."""

    def cut_off(*args):
        killed(start(CUT_OFF, turns_api.url, *args))
        drain(turns_api.url)
        [line] = turns_api.state.stored.values()
        return json.loads(line)

    return cut_off


@pytest.mark.parametrize("mode", ["down", "ok"])
def test_every_turn_arrives_once_after_a_sigkill(start, turns_api, drain, mode):
    """5,000 of 5,000, whether the destination was away or took some while they were recorded."""
    turns_api.be("silent" if mode == "down" else mode)
    killed(start(PRODUCER, turns_api.url, str(TURNS)))
    before = len(turns_api.ids)
    turns_api.be("ok")
    said = drain(turns_api.url)
    turns = [json.loads(line) for line in turns_api.state.stored.values()]

    assert said["delivered"] == TURNS - before + turns_api.state.duplicates
    assert (said["refused"], said["unsent"]) == (0, 0)
    assert [turn["input"]["content"] for turn in turns] == [str(n) for n in range(TURNS)]
    assert len({turn["id"] for turn in turns}) == len(turns_api.ids) == TURNS
    assert {(turn["status"], len(turn["steps"])) for turn in turns} == {("ok", 1)}


def test_a_living_owner_keeps_its_lock_whenever_upkeep_looks(monkeypatch, tmp_path):
    """Without its lock nobody could tell that it died, and its turns would wait for ever."""
    runtime = turnspan.configure(directory="journal")
    rename = os.rename

    def rename_and_look(source, target):
        rename(source, target)
        if str(target).endswith(".lock"):  # the owner has a lock, and no segment yet
            thread = threading.Thread(target=runtime.journal.maintain)
            thread.start()
            thread.join(1.0)

    monkeypatch.setattr(os, "rename", rename_and_look)
    with turnspan.turn(agent="a", input="hello"):
        pass

    assert len(list(tmp_path.glob("journal/journal/*.ndjson"))) == 1
    assert len(list(tmp_path.glob("journal/journal/*.lock"))) == 1


def test_draining_again_finds_nothing_to_do(start, turns_api, drain):
    """The cursors remember what was delivered."""
    killed(start(PRODUCER, turns_api.url, "20"))
    drain(turns_api.url)
    again = drain(turns_api.url)

    assert again == {"delivered": 0, "refused": 0, "unsent": 0, "error": None}
    assert len(turns_api.ids) == 20


def test_a_turn_cut_off_arrives_interrupted_with_the_steps_it_had_done(cut_off):
    """Older than a second: input, both steps, their usage, and the end of the last one."""
    turn = cut_off("late")
    steps = turn["steps"]

    assert (turn["status"], turn["session_id"], turn["number"]) == ("interrupted", "s", 1)
    assert turn["input"] == {"type": "text", "content": "what happened?"}
    assert [(step["kind"], step["name"], step["status"]) for step in steps] == [
        ("tool", "look_up", "ok"),
        ("model", "scripted", "ok"),
    ]
    assert steps[0]["output"] == {"type": "tool_result", "content": "LATE"}
    assert turn["usage"] == {"input_tokens": 3, "output_tokens": 1}
    assert turn["ended_at"] == steps[1]["ended_at"]
    assert "output" not in turn


def test_a_turn_cut_off_has_the_steps_of_its_first_second_too(cut_off):
    """A long turn arrives with everything it had done, not only what it did late."""
    turn = cut_off("early")

    assert [step["output"]["content"] for step in turn["steps"]] == ["EARLY", "LATE", "hm"]


def test_a_short_turn_cut_off_arrives_with_its_input(start, turns_api, drain):
    """Nobody saw it end, but it is known that it began, and with what."""
    program = """
    import os, signal, sys
    import turnspan

    turnspan.configure(exporters=[sys.argv[1]], directory="journal")
    with turnspan.turn(agent="brief", input="hello?"):
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed(start(program, turns_api.url))
    drain(turns_api.url)
    [line] = turns_api.state.stored.values()
    turn = json.loads(line)

    assert (turn["status"], turn["input"]["content"]) == ("interrupted", "hello?")
    assert turn["ended_at"] == turn["started_at"]
    assert "steps" not in turn


def test_the_next_process_delivers_without_being_asked(start, run, turns_api):
    """`configure` adopts what a dead process left."""
    turns_api.be("silent")
    killed(start(PRODUCER, turns_api.url, "20"))
    turns_api.be("ok")
    run(
        """
        import sys
        import turnspan

        turnspan.configure(exporters=[sys.argv[1]], directory="journal")
        turnspan.flush(60.0)
        """,
        turns_api.url,
    )

    assert len(turns_api.ids) == 20
