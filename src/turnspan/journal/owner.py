"""Who writes a segment: one process, told apart from every other that ever was."""

from __future__ import annotations

import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner"]

_NAME = re.compile(r"([A-Za-z0-9_]+)-([0-9a-f]+)-(\d+)-(\d+)-([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Owner:
    """The identity of one journal in one process, and its form in a file name."""

    host: str
    boot: str
    """First 12 hex digits of the kernel's boot id; `0` where there is none."""
    started_ms: int
    """When the process started, milliseconds since the Unix epoch."""
    pid: int
    suffix: str
    """Random, so that a second journal of the same process has another name."""

    @classmethod
    def here(cls) -> Owner:
        """A new owner in this process."""
        return cls(_host(), _boot(), _started_ms(), os.getpid(), os.urandom(4).hex())

    @classmethod
    def parse(cls, name: str) -> Owner | None:
        """Read an owner from its file name; None where it is not one of ours."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        return cls(match[1], match[2], int(match[3]), int(match[4]), match[5])

    def __str__(self) -> str:
        return f"{self.host}-{self.boot}-{self.started_ms}-{self.pid}-{self.suffix}"

    @property
    def is_of_this_host(self) -> bool:
        """Can a lock of this owner be judged here?

        The same kernel will do: a container changes its host name at every start.
        """
        return self.host == _host() or (self.boot != "0" and self.boot == _boot())

    @property
    def is_gone(self) -> bool:
        """Do boot and process id show that it has ended? False proves nothing."""
        if self.host != _host():
            return False
        if self.boot != _boot():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", socket.gethostname())[:40] or "host"


def _boot() -> str:
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return "0"
    return re.sub(r"[^0-9a-f]", "", text)[:12] or "0"


def _started_ms() -> int:
    now_ms = time.time_ns() // 1_000_000
    try:
        stat = Path("/proc/self/stat").read_text()
        ticks = int(stat.rpartition(")")[2].split()[19])
        since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return now_ms - int((since_boot_s - ticks / os.sysconf("SC_CLK_TCK")) * 1000)
    except (OSError, AttributeError, ValueError, IndexError):
        return now_ms  # no /proc: when the journal was opened will do
