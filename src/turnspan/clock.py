"""The system's clocks."""

import time
from collections.abc import Callable
from typing import ClassVar

__all__ = ["SystemClock"]


class SystemClock:
    """Wall clock and monotonic clock of this machine."""

    now_ns: ClassVar[Callable[[], int]] = staticmethod(time.time_ns)
    monotonic_ns: ClassVar[Callable[[], int]] = staticmethod(time.monotonic_ns)
