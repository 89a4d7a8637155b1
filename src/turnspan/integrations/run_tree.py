"""Which runs of a framework are open, under which root, and since when nothing was heard."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turnspan.capture.drafts import Draft
    from turnspan.integrations.transcript import Transcript

__all__ = ["Run", "RunTree"]


class Run:
    """One open run. ``drafts`` are its own; ``draft`` is what its children stand under."""

    __slots__ = ("draft", "drafts", "heard_s", "id", "members", "paused", "root", "transcript")

    def __init__(
        self,
        id: Hashable,
        drafts: tuple[Draft, ...],
        draft: Draft,
        transcript: Transcript,
        root: Run | None,
    ) -> None:
        self.id: Hashable = id
        self.drafts: tuple[Draft, ...] = drafts
        self.draft: Draft = draft
        self.transcript: Transcript = transcript
        self.root: Run | None = root
        self.members: dict[Hashable, Run] = {}  # of a root: the open runs below it
        self.paused: bool = False
        self.heard_s: float = 0.0


class RunTree:
    """The open runs of one handler. Thread-safe; a forked child starts with none."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._start()

    def __len__(self) -> int:
        return len(self._runs)

    def find(self, run_id: Hashable | None) -> Run | None:
        """The open run of that id; its root counts as heard of."""
        if self._pid != os.getpid():
            self._start()
        run = self._runs.get(run_id)
        if run is not None:
            self._hear(run.root or run)
        return run

    def add(self, run: Run) -> None:
        """Remember ``run`` until `take`."""
        with self._lock:
            self._runs[run.id] = run
            if run.root is None:
                self._roots[run.id] = run
                run.heard_s = self._monotonic_s()
            else:
                run.root.members[run.id] = run

    def take(self, run_id: Hashable) -> Run | None:
        """Forget the run of that id, so that it is ended once."""
        if self._pid != os.getpid():
            self._start()
        with self._lock:
            run = self._runs.pop(run_id, None)
            if run is None:
                return None
            if run.root is None:
                self._roots.pop(run_id, None)
            else:
                run.root.members.pop(run_id, None)
            return run

    def sweep(self, root: Run) -> list[Run]:
        """Forget the runs below ``root`` that never ended; the innermost come first."""
        with self._lock:
            left = list(root.members.values())[::-1]
            root.members.clear()
            for run in left:
                self._runs.pop(run.id, None)
            return left

    def stale(self, max_roots: int, max_idle_s: float) -> list[Hashable]:
        """Ids of roots nothing was heard of for too long, or that are too many."""
        ids: list[Hashable] = []
        with self._lock:
            surplus = len(self._roots) - max_roots
            since_s = self._monotonic_s() - max_idle_s
            for run_id, root in self._roots.items():
                if surplus <= len(ids) and root.heard_s > since_s:
                    break
                ids.append(run_id)
        return ids

    def _hear(self, root: Run) -> None:
        with self._lock:
            if root.id in self._roots:
                root.heard_s = self._monotonic_s()
                self._roots.move_to_end(root.id)

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._runs: dict[Hashable | None, Run] = {}
        self._roots: OrderedDict[Hashable, Run] = OrderedDict()
