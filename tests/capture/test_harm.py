"""No value can harm the process it is recorded in. Each program here runs in one of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

HEAD = """
import enum, sys, threading, time
import turnspan
from turnspan.runtime import health

turnspan.configure(directory=None)

@turnspan.tool
def inner(value):
    return value

def recorded(value):
    with turnspan.turn():
        assert inner(value) is value

class Thing:
    def __init__(self):
        self.a = 1
"""


def run(body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", HEAD + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


CHANGING = """
def change():
    while not stop:
        {change}

stop = False
sys.setswitchinterval(1e-6)
thread = threading.Thread(target=change, daemon=True)
thread.start()
until = time.monotonic() + 0.6
while time.monotonic() < until:
    recorded(value)
stop = True
thread.join()
print(health().dropped)
"""


@pytest.mark.parametrize(
    "value, change",
    [
        (
            "{str(n): Thing() for n in range(200)}",
            "for n in range(4000): value.pop(f'x{n - 2000}', value.update({f'x{n % 2000}': 1}))",
        ),
        (
            "[Thing() for _ in range(200)]",
            "value.clear()\n        value.extend([Thing() for _ in range(200)])",
        ),
        (
            "{str(n): n for n in range(400)}",
            "for n in range(100): value.pop(f'x{n - 50}', value.update({f'x{n % 50}': 1}))",
        ),
        (
            "Thing()",
            "value.b = 1\n        del value.b",
        ),
        (
            "set(range(200))",
            "value.add(-1)\n        value.discard(-1)",
        ),
    ],
    ids=["dict of objects", "list of objects", "dict", "object", "set"],
)
def test_a_value_that_another_thread_changes_is_recorded(value, change):
    """In whatever form it had at the time; nothing crashes, and no call is lost."""
    assert run(f"value = {value}\n" + CHANGING.format(change=change)) == "{}\n"


def test_an_enumeration_is_not_asked_for_its_value():
    """Its stored value is kept; a property over it is the caller's code."""
    found = run(
        """
        class Loud(enum.Enum):
            A = "stored"

            @property
            def value(self):
                print("asked")
                raise ValueError

        for given in (Loud.A, [Loud.A], {"k": {"k": [Loud.A]}}):
            recorded(given)
        print(health().dropped)
        """
    )

    assert found == "{}\n"


def test_values_too_deep_for_the_stack_are_recorded():
    """Whether they are containers or objects."""
    found = run(
        """
        row, thing = [], Thing()
        for _ in range(200_000):
            row, outer = [row], Thing()
            outer.inner, thing = thing, outer
        recorded(row)
        recorded(thing)
        print(health().dropped)
        while row or getattr(thing, "inner", None):  # taken down by hand: deep ones break Python
            row = row[0] if row else row
            thing = getattr(thing, "inner", thing)
        """
    )

    assert found == "{}\n"
