"""What strikes while our code runs, and is not ours to keep."""

from __future__ import annotations

__all__ = ["is_anothers"]


def is_anothers(error: BaseException) -> bool:
    """Whether ``error`` comes from a signal handler that happened to run while our code did.

    Handlers run wherever the program stands; what they raise belongs to the caller.
    """
    import signal  # here: only failures need it

    codes = set()
    traceback = error.__traceback__
    while traceback is not None:
        codes.add(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    return any(
        getattr(getattr(handler, "__func__", handler), "__code__", None) in codes
        for handler in handlers
    )
