"""Each measurement runs, in small, and measures something that works."""

import pytest


@pytest.mark.parametrize("mode", ["own", "live", "live with content"])
def test_the_callers_cost_is_measured_without_a_complaint(program, capfd, mode):
    """In each mode there are figures for both sides, and nobody logged a failure."""
    found = program("overhead").caller_in_child(mode, 1)

    assert {kind: sorted(found[kind]) for kind in ("sync", "async")} == {
        "sync": ["hand", "ours", "ratio"],
        "async": ["hand", "ours", "ratio"],
    }
    assert found["sync"]["hand"] > found["bare"] > 0
    assert found["sync"]["ours"] > found["bare"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["", "otlp+"])
def test_cpu_is_measured_until_every_turn_has_arrived(program, capfd, scheme):
    """Warm rounds and one more of both sides arrive; fewer would have been an error."""
    overhead = program("overhead")

    found = overhead.cpu_in_child(scheme, 1)

    assert found["turns"] == (overhead.WARM_ROUNDS + 1) * 2 * overhead.CPU_CHUNK
    assert found["ratio"] == pytest.approx(found["ours"] / found["hand"])
    assert capfd.readouterr().err == ""


def test_growth_is_measured_of_both_lengths(program, capfd):
    """The messages of the longer turn are journalled, so it is the larger by their size."""
    growth = program("growth")

    found = program("child").measured(growth.grow, exporters=[], rounds=1)

    short_kb, long_kb = found["kb"]
    assert long_kb - short_kb > 100 * 2 * growth.MESSAGE_CHARS / 1000
    assert min(found["ms"]) > 0
    assert capfd.readouterr().err == ""


def test_memory_is_measured_with_every_turn_waiting(program, capfd):
    """The destination is down, so the measurement has seen to it that none was delivered."""
    memory = program("memory")
    if not memory.SMAPS.exists():
        pytest.skip("this system does not tell private memory")

    before_mb, highest_mb = program("child").measured(memory.grow, scheme="", turns=500)

    assert 0 < before_mb <= highest_mb
    assert capfd.readouterr().err == ""


def test_imports_are_measured_in_processes_that_imported_nothing(program, capfd):
    """Import and first call each take a time that an import takes, not none."""
    imports = program("imports")

    ((ours_ms, theirs_ms),) = imports.measure(1)

    assert min(ours_ms, theirs_ms, imports.first_call("")) > 1
    assert capfd.readouterr().err == ""
