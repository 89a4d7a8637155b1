"""Work after the answer: a thread that takes queued jobs and has their dialects do them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.server.dialect import Dialect, JobHandler
    from turnspan.server.store.port import Job, Store

__all__ = ["JobRunner"]

LEASE_S: Final = 300.0
PAUSE_S: Final = 0.1
SHOWN_CHARS: Final = 200
MAX_ATTEMPTS: Final = 3


class JobRunner:
    """Does the jobs of all dialects, one at a time; several processes share the queue.

    A job whose process died is taken again when its lease has run out, at most
    `MAX_ATTEMPTS` times.
    """

    def __init__(self, store: Store, dialects: Mapping[str, Dialect]) -> None:
        self._store = store
        self._handlers: dict[str, JobHandler] = {
            kind: handler for each in dialects.values() for kind, handler in each.jobs.items()
        }
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, if there is anything that could be done."""
        if self._handlers:
            self._thread = threading.Thread(target=self._run, name="turnspan-jobs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish the job at hand and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        kinds = sorted(self._handlers)
        while not self._stopping.is_set():
            try:
                job = self._store.claim_job(kinds, lease_s=LEASE_S)
                if job is not None:
                    self._do(job)
                    continue
            except Exception as error:  # noqa: BLE001  # border: the thread lives on
                say("server jobs", "the job queue failed: %s", type(error).__qualname__)
                self._stopping.wait(1.0)
            self._stopping.wait(PAUSE_S)

    def _do(self, job: Job) -> None:
        if job.attempt > MAX_ATTEMPTS:
            self._store.finish_job(job, error="it was begun several times and never ended")
            return
        try:
            result = self._handlers[job.kind](self._store.of(job.project), job)
        except Exception as error:  # noqa: BLE001  # border: a dialect's or a plug-in's code
            say(f"server job {job.kind}", "a %s failed: %s", job.kind, type(error).__qualname__)
            said = f"{type(error).__qualname__}: {error}"[:SHOWN_CHARS]
            self._store.finish_job(job, error=said)
        else:
            self._store.finish_job(job, result=result)
