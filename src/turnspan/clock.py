"""The system's clocks."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Wall clock and monotonic clock of this machine."""

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)
