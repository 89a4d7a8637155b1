"""A forked child that does one thing, and is put an end to where it doesn't come back."""

import os
import pickle
import select
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

__all__ = ["Ended", "apart", "forking_allowed", "in_fork"]

_LOOK_S: Final = 0.05
_TAIL_BYTES: Final = 2000
_is_child = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: with an ``answer``, or with a ``failure`` and what it had printed."""

    answer: Any = None
    failure: str | None = None
    printed: str = ""


def in_fork(work: Callable[[], Any], timeout_s: float) -> Ended:
    """What ``work`` answers in a forked child, which is killed after ``timeout_s``.

    The child has the parent's memory and none of its threads. The answer must be picklable.
    """
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as printed, forking_allowed():
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _child(work, writer, printed)
        os.close(writer)
        try:
            return _await(pid, reader, timeout_s, printed)
        finally:
            os.close(reader)
            _end(pid)


def apart(work: Callable[[], Any], timeout_s: float) -> Ended:
    """What ``work``, after which a process is of no use, answers: here, if this is a child.

    A process that is the rule's own already has its threads, which another fork would lose.
    """
    return Ended(work()) if _is_child else in_fork(work, timeout_s)


@contextmanager
def forking_allowed() -> Iterator[None]:
    """Python warns of a fork beside threads; here it is meant, and the child is short-lived."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _child(work: Callable[[], Any], writer: int, printed: BinaryIO) -> None:
    """Never returns: what the parent would do after it must not be done twice."""
    global _is_child  # noqa: PLW0603  # it says something of the process
    _is_child = True
    try:
        os.setsid()  # so that what it starts in turn can be ended with it
        for descriptor in (1, 2):
            os.dup2(printed.fileno(), descriptor)
        data = pickle.dumps(work())
        framed = len(data).to_bytes(8, "big") + data
        while framed:
            framed = framed[os.write(writer, framed) :]
    except BaseException:  # noqa: BLE001  # told by what is printed, and by no answer
        import traceback

        with suppress(BaseException):
            os.write(printed.fileno(), traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(0)


def _await(pid: int, reader: int, timeout_s: float, printed: BinaryIO) -> Ended:
    until_s = time.monotonic() + timeout_s
    data, code = b"", None
    while time.monotonic() < until_s:
        if select.select([reader], [], [], _LOOK_S if code is None else 0)[0]:
            more = os.read(reader, 1 << 16)
            data += more
            if len(data) >= 8 and len(data) - 8 >= int.from_bytes(data[:8], "big"):
                return Ended(pickle.loads(data[8:]), printed=_tail(printed))  # noqa: S301  # our own child's
            if more:
                continue
        if code is not None:
            how = f"signal {-code}" if code < 0 else f"exit status {code}"
            return Ended(failure=f"the process ended by itself, {how}", printed=_tail(printed))
        code = _exit_code(pid)
    return Ended(failure=f"it had not come back after {timeout_s:g} s", printed=_tail(printed))


def _exit_code(pid: int) -> int | None:
    """How the child ended, if it has: then it is gone."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _end(pid: int) -> None:
    """Put an end to the child, if it is still there, and to what it had started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        if _exit_code(pid) is None:  # before it had a group of its own
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _tail(printed: BinaryIO) -> str:
    printed.seek(0, os.SEEK_END)
    printed.seek(max(0, printed.tell() - _TAIL_BYTES))
    return printed.read().decode(errors="replace").strip()
