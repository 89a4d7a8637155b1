"""Long work in a thread of ours lets others run in between."""

import threading
import time

from turnspan.pace import Pace


def longest_wait_s(step):
    """How long another thread works at a stretch, as one that wakes again and again sees it."""
    until_s = time.monotonic() + 0.3
    over = threading.Event()

    def work():
        while not over.is_set():
            sum(range(100))
            step()

    worker = threading.Thread(target=work)
    worker.start()
    waits_s = []
    while time.monotonic() < until_s:
        began_s = time.monotonic()
        time.sleep(0.0001)
        waits_s.append(time.monotonic() - began_s)
    over.set()
    worker.join()
    return sorted(waits_s)[len(waits_s) // 2]


def test_others_run_within_a_slice():
    """A thread that keeps a pace is waited for a slice at the most, not a switch interval."""
    paced_s = longest_wait_s(Pace().step)
    unpaced_s = longest_wait_s(lambda: None)

    assert paced_s < unpaced_s / 2
