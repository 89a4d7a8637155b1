"""Which patterns of one's own are taken: those that provably take linear time."""

from __future__ import annotations

import re
import time

import pytest

from turnspan.capture.linear import why_not_linear

TAKEN = [
    r"\d{3}-\d{2}-\d{4}",
    r"(?i)customer[ -]?no\.? ?\d{6,10}",
    r"\bid-[0-9a-f]{8,32}\b",
    r"token=\S+",
    r"(?:red|green|blue)+",
    r"[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}",
    r"(?<![a-z])x{0,20}y",
    r"(?=[a-z]{1,20}\d)[a-z\d]{4,40}",
    r"(?>a{1,100})b",
    r"a|b|c",
    r"",
]
REFUSED = [
    (r"(a+)+b", "has a repeat without an end before its end"),
    (r"a+b", "has a repeat without an end before its end"),
    (r"a*+b", "has a repeat without an end before its end"),
    (r"(?:a|a)*b", "has a repeat without an end before its end"),
    (r"(?:a*b)*", "has a repeat without an end before its end"),
    (r"(?=.*x)y", "has a repeat without an end before its end"),
    (r"(?:a{0,10}){0,10}b", "may take over 1000 steps"),
    (r"(?:a|a|a){12}b", "may take over 1000 steps"),
    (r"[a-z]{1,64}[a-z]{1,64}@", "may take over 1000 steps"),
    (r"a{0,5000}b", "repeats up to 5000 times"),
    (r"(a)b\1", "refers back to a group"),
    (r"(a)?(?(1)b|c)", "refers back to a group"),
]


@pytest.mark.parametrize("pattern", TAKEN)
def test_a_pattern_of_bounded_work_is_taken(pattern):
    """Whatever it looks for."""
    assert why_not_linear(re.compile(pattern)) is None


@pytest.mark.parametrize("pattern, why", REFUSED)
def test_a_pattern_that_may_take_long_is_refused(pattern, why):
    """With what is wrong and how to mend it."""
    what, fix = why_not_linear(re.compile(pattern)) or ("", "")

    assert what.startswith(why)
    assert fix


@pytest.mark.parametrize("pattern", TAKEN)
@pytest.mark.parametrize("piece", ["a", "x", "1", "-", "id-", "token=", "red", "a@a.", "a1"])
def test_what_is_taken_takes_linear_time(pattern, piece):
    """Eight times the text, at most some twenty times as long."""
    known = re.compile(pattern)

    def spent_s(chars: int) -> float:
        text = (piece * chars)[:chars]
        times = []
        for _ in range(3):
            start_s = time.process_time()
            known.sub("", text)
            times.append(time.process_time() - start_s)
        return min(times)

    short_s, long_s = (max(spent_s(chars), 0.0005) for chars in (8_000, 64_000))

    assert long_s / short_s < 20
