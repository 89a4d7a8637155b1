"""A fork leaves nothing half done in the child."""

import os
import threading
import time
import warnings

import pytest

from turnspan import forks
from turnspan.forks import held_off

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A fork that waits for us in vain is seen to."""
    monkeypatch.setattr(forks, "LONGEST_S", 60.0)


def exit_status(child):
    """Forks; what ``child`` answered in the child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads
        pid = os.fork()
    if not pid:
        os._exit(child())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_fork_waits_until_another_thread_has_imported():
    """The child finds whole what was begun before it."""
    begun, whole = threading.Event(), threading.Event()

    def load():
        with held_off():
            begun.set()
            time.sleep(0.2)
            whole.set()

    thread = threading.Thread(target=load)
    thread.start()
    begun.wait()
    status = exit_status(whole.is_set)
    thread.join()

    assert status == 1


def test_whoever_imports_may_fork():
    """Its own fork does not wait for itself, and the child may import and fork again."""

    def child():
        with held_off():
            return exit_status(lambda: 7)

    began_s = time.monotonic()
    with held_off():
        status = exit_status(child)

    assert status == 7
    assert time.monotonic() - began_s < 30.0
