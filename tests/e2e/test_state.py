"""What an application knew before and after a turn, however the turn ended."""

import pytest

import turnspan
from turnspan.exporters.memory import MemoryExporter


@pytest.mark.parametrize("fails", [False, True])
def test_a_turn_has_its_state_before_and_after(fails):
    """As it was at those moments; a failed turn's state is the one people look for."""
    known = {"step": 0}

    @turnspan.agent(state=lambda: known)
    def work():
        known["step"] = 1
        if fails:
            raise ValueError("half done")

    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None)
    try:
        work()
    except ValueError:
        pass
    known["step"] = 2
    [turn] = memory.turns

    assert turn.status == ("error" if fails else "ok")
    assert (turn.state_before, turn.state_after) == ({"step": 0}, {"step": 1})
    assert turn.state_diff() == [{"op": "replace", "path": "/step", "value": 1}]
