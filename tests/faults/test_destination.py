"""A destination in trouble: what it answers, or does not, costs no turn."""

import time
from email.utils import formatdate

import pytest

BRISK = '{"timeout_s": 0.5}'
TROUBLES = {
    "down": ("down", {"for_s": 0.5}),
    "slow": ("slow", {"delay_s": 0.2, "times": 3}),
    "slower than the timeout": ("slow", {"delay_s": 1.0, "times": 1}),
    "silent": ("silent", {"times": 1}),
    "half closing": ("half_closing", {"times": 1}),
    "a byte at a time": ("trickle", {"times": 1}),
    "garbage": ("garbage", {"times": 2}),
    "elsewhere": ("redirect", {"location": "http://127.0.0.2:9/v1", "status": 307, "times": 2}),
    "moved in a circle": ("circle", {"times": 12}),
    **{
        str(status): ("status", {"status": status, "times": 2})
        for status in (401, 403, 404, 408, 425, 429, 500, 503)
    },
    "429 in seconds": ("status", {"status": 429, "retry_after": "1", "times": 1}),
    "503 in seconds": ("status", {"status": 503, "retry_after": "1", "times": 1}),
    "503 in words": ("status", {"status": 503, "retry_after": "soon", "times": 1}),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_trouble_of_the_destination_costs_a_turn(both, produce, trouble):
    """Each for a while, with either exporter: all arrive, none of them twice."""
    mode, options = TROUBLES[trouble]
    both.be(mode, **options)
    done = produce(both.to, turns=60, end="flush", patience=60, settings=BRISK)

    assert (done.status, done.lines[-1]["flushed"]) == (0, True)
    assert both.whole == [list(range(60))] * 2
    assert both.duplicates == [0, 0]


def test_a_moved_destination_is_followed_within_its_origin(both, produce):
    """A path may change; the turns go there."""
    both.be("redirect", location="/v1/traces/", status=308)
    both.http.be("redirect", location="/elsewhere", status=308)
    both.otlp.be("redirect", location="/elsewhere/v1/traces", status=308)
    done = produce(both.to, turns=20, end="flush")

    assert done.lines[-1]["flushed"]
    assert both.whole == [list(range(20))] * 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_destination_is_left_alone_for_as_long_as_it_asks(both, produce, form):
    """`Retry-After` in both its forms: nobody comes back before."""
    until = int(time.time() + 5.0)
    until_s = time.monotonic() + until - time.time()
    asked = "2" if form == "seconds" else formatdate(until, usegmt=True)
    both.be("status", status=429, retry_after=asked, times=1)
    produce(both.to, turns=20, linger=6.0, end="flush")
    waits = [server.state.requests[:2] for server in (both.http, both.otlp)]

    for first, second in waits:
        assert second.at_s > (first.at_s + 2.0 if form == "seconds" else until_s) - 0.05
    assert both.whole == [list(range(20))] * 2


def test_a_large_turn_costs_its_neighbours_nothing(both, produce, doctor, tmp_path):
    """413 above 4 MB, one turn of 5 MB among 100: the 100 arrive, it is kept with its reason."""
    both.be("too_large", limit_bytes=4_000_000)
    raised = '{"max_value_bytes": 6000000, "max_turn_bytes": 12000000}'
    done = produce(both.to, turns=101, big=50, big_size=5_000_000, end="flush", settings=raised)
    dead = [each.read_text() for each in sorted(tmp_path.glob("turns/dead/*/*.ndjson"))]

    assert done.lines[-1]["flushed"]
    assert both.whole == [[number for number in range(101) if number != 50]] * 2
    assert [text.count("\n") for text in dead] == [1, 1]
    assert all(done.recorded[50] in text and "413" in text for text in dead)
    assert doctor()["dead letters"] == ["2 dead letters, refused by a destination"]


def test_a_large_turn_that_may_travel_alone_does(both, produce):
    """Where it fits by itself, it arrives like the others."""
    both.http.be("too_large", limit_bytes=6_000_000)
    both.otlp.be("too_large", limit_bytes=12_000_000)  # a span has its input in two conventions
    raised = '{"max_value_bytes": 6000000, "max_turn_bytes": 12000000}'
    produce(both.to, turns=101, big=50, big_size=5_000_000, end="flush", settings=raised)

    assert both.whole == [list(range(101))] * 2
    assert both.resent == [0, 0]


def test_refused_items_cost_their_neighbours_nothing(both, produce, start_again, tmp_path):
    """422 for whatever holds one of three turns, in the answer or for the request."""
    both.be("down")
    done = produce(both.to, turns=40, end="kill")
    both.http.be("refuse", ids=tuple(done.recorded[::15]))
    both.otlp.be("poison", ids=tuple(done.recorded[::15]), status=422)
    start_again(both.to)
    left = [number for number in range(40) if number % 15]
    dead = [path.read_text() for path in tmp_path.glob("turns/dead/*/*.ndjson")]

    assert both.whole == [left, left]
    assert [text.count("\n") for text in dead] == [3, 3]
