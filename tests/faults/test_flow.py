"""Several destinations, outages, backlogs and floods: each goes at its own pace, all is told."""

import json

import pytest


def said(out):
    return [{k: v for k, v in json.loads(line).items() if k != "at_s"} for line in out.splitlines()]


@pytest.fixture
def server(turns_api):
    """Makes further destinations."""
    made = []

    def server():
        made.append(type(turns_api)())
        return made[-1]

    yield server
    for each in made:
        each.close()


@pytest.mark.parametrize("mode", ["down", "silent", "trickle", "slow"])
def test_a_destination_in_trouble_holds_back_no_other(turns_api, server, ended, drain, mode):
    """The good one has everything before the program ends; the other gets it later."""
    troubled = server()
    troubled.be(mode, **({"delay_s": 60.0} if mode == "slow" else {}))
    program = """
        import sys, time
        from producer import ask, question, say
        import turnspan

        turnspan.configure(exporters=sys.argv[1:], directory="turns")
        for number in range(300):
            ask(question(number))

        def delivered():
            return turnspan.health().exporters[sys.argv[1]].delivered

        until_s = time.monotonic() + 30
        while delivered() < 300 and time.monotonic() < until_s:
            time.sleep(0.02)
        health = turnspan.health().exporters
        say(good=health[sys.argv[1]].delivered, other=health[f"otlp+{sys.argv[2][5:]}"].delivered)
        """
    status, out, _ = ended(program, turns_api.url, f"otlp+{troubled.url}", hurried=True)
    troubled.be("ok")
    drain([f"otlp+{troubled.url}"])

    assert (status, said(out)) == (0, [{"good": 300, "other": 0}])
    assert turns_api.whole == list(range(300))
    assert troubled.whole == list(range(300))


def test_a_backlog_drains_while_new_turns_come(both, produce):
    """After an outage old and new arrive while the program goes on recording."""
    both.be("down")
    produce(both.to, turns=3000, end="kill")
    both.be("ok")
    done = produce(both.to, first=10_000, turns=600, rate=200, end="flush")

    assert done.lines[-1]["flushed"]
    assert both.whole == [[*range(3000), *range(10_000, 10_600)]] * 2
    assert both.resent == [0, 0]


def test_an_event_loop_is_never_held_up(both, ended, drain):
    """A coroutine that records, and one that only ticks, beside a silent destination."""
    both.be("silent")
    program = """
        import asyncio, sys, time
        from producer import question, say
        import turnspan

        @turnspan.agent
        async def ask(text):
            await asyncio.sleep(0)
            return text

        async def tick(late):
            while True:
                began_s = time.monotonic()
                await asyncio.sleep(0.005)
                late.append(time.monotonic() - began_s - 0.005)

        async def main():
            turnspan.configure(exporters=sys.argv[1:], directory="turns", timeout_s=0.2)
            late = []
            ticking = asyncio.create_task(tick(late))
            for number in range(300):
                await ask(question(number))
                await asyncio.sleep(0.005)
            report = await turnspan.aflush(0.5)
            ticking.cancel()
            say(ticks=len(late) > 100, unsent=report.unsent, late=sorted(late)[len(late) // 2])

        asyncio.run(main())
        """
    status, out, _ = ended(program, *both.to, hurried=True)
    [told] = said(out)

    assert (status, told["ticks"], told["unsent"]) == (0, True, 600)
    assert told["late"] < 0.05


def test_turns_that_memory_has_no_room_for_are_counted_and_said(turns_api, ended, doctor):
    """Directory full, destination down, memory full: the oldest go, by number, in the open."""
    turns_api.be("down")
    program = """
        import sys, time
        from producer import ask, question, say
        import turnspan

        runtime = turnspan.configure(exporters=sys.argv[1:], directory="turns",
                                     directory_bytes=65536, ring_bytes=16384)
        for number in range(200):
            ask(question(number))
            runtime.journal.maintain() if not number % 5 else None
        health = turnspan.health()
        runtime.journal.maintain()
        say(recorded=health.recorded, unsent=health.unsent, dropped=dict(health.dropped))
        """
    status, out, err = ended(program, turns_api.url)
    [told] = said(out)
    dropped = told["dropped"]["ring_full"]

    assert status == 0
    assert dropped > 0
    assert (told["recorded"], told["unsent"] + dropped) == (200, 200)
    assert "turns are dropped" in err
    found = doctor()
    assert any("were dropped" in line for line in found["dropped"])
