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


@pytest.mark.parametrize("scheme", [None, "", "otlp+"])
def test_throughput_is_measured_with_every_turn_acknowledged(program, capfd, scheme):
    """Of either side; fewer that arrived would have been an error."""
    assert program("throughput").rate_in_child(scheme, 1500) > 100
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["", "otlp+"])
def test_a_loop_is_watched_while_a_backlog_drains(program, capfd, scheme):
    """It wakes later than asked, with and without; a drained backlog would have been an error."""
    lag = program("lag")

    found = program("child").measured(lag.drain, scheme=scheme, watched_s=0.3, turns=40_000)

    assert sorted(found) == ["p50", "p99"]
    assert all(each > 0 for pair in found.values() for each in pair)
    assert found["p50"][0] <= found["p99"][0]
    assert capfd.readouterr().err == ""


def test_a_burst_is_measured_until_every_turn_has_arrived(program, capfd):
    """Hardly one call in a hundred is longer than the p99, half of them than the p50."""
    p99_us, p50_us = program("lag").burst_in_child("", 500)

    assert 1 < p50_us <= p99_us
    assert capfd.readouterr().err == ""


def test_an_idle_process_is_measured_after_its_work(program, capfd):
    """Its threads sleep: less goes by than a hundredth of the time."""
    assert 0 <= program("lag").idle_in_child(0.5) < 10
    assert capfd.readouterr().err == ""


def test_a_flood_is_counted_to_the_turn(program, capfd):
    """What arrives when the destination is back, and what was dropped, is all there was."""
    flood = program("flood")
    if not flood.SMAPS.exists():
        pytest.skip("this system does not tell private memory")

    found = program("child").measured(flood.flood, scheme="", turns=30_000, budget_bytes=16 * 2**20)

    assert found["missing"] == 0
    assert found["dropped"] > 0
    assert found["arrived"] + found["dropped"] == 30_000 + flood.WARM_TURNS
    assert found["directory_bytes"] <= 16 * 2**20
    assert capfd.readouterr().err == ""


def test_imports_are_measured_in_processes_that_imported_nothing(program, capfd):
    """Import and first call each take a time that an import takes, not none."""
    imports = program("imports")

    ((ours_ms, theirs_ms),) = imports.measure(1)

    assert min(ours_ms, theirs_ms, imports.first_call("")) > 1
    assert capfd.readouterr().err == ""
