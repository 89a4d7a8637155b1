"""A blocking call beside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["run_aside"]

T = TypeVar("T")


async def run_aside(call: Callable[[], T]) -> T:
    """What ``call`` returns, from a daemon thread of its own.

    Not from the loop's executor: that may be full of the application's work, and the end of
    `asyncio.run` would wait for it.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = call()
        except BaseException as exc:  # noqa: BLE001  # handed to whoever waits
            settle(answer.set_exception, exc)
        else:
            settle(answer.set_result, result)

    def settle(how: Callable[[T], None] | Callable[[BaseException], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: answer.done() or how(what))  # type: ignore[arg-type]  # each gets its own

    threading.Thread(target=run, name="turnspan aside", daemon=True).start()
    return await answer
