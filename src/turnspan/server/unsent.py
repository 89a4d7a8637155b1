"""What a client has not taken yet of what was written to it.

The system takes megabytes at once from the program, and asks for more only when a third of it is
gone: by what the program holds, a client that takes its answer slowly takes nothing of it.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["unsent_bytes"]

_SO_NWRITE: Final = 0x1024
"""Source: https://github.com/apple-oss-distributions/xnu (bsd/sys/socket.h, 699cd480)."""


def unsent_bytes(transport: asyncio.Transport) -> int:
    """How much of it the program holds, and how much the system, as far as that tells."""
    held: Any = transport.get_extra_info("socket")
    unsent = transport.get_write_buffer_size()
    with suppress(OSError, ValueError):  # it is closed, or the system does not tell
        unsent += _of_system(held)
    return unsent


def _of_system(held: Any) -> int:
    if sys.platform == "linux":
        from array import array
        from fcntl import ioctl
        from termios import TIOCOUTQ

        told = array("i", [0])
        ioctl(held.fileno(), TIOCOUTQ, told)
        return told[0]
    if sys.platform == "darwin":
        return int(held.getsockopt(socket.SOL_SOCKET, _SO_NWRITE))
    return 0
