"""Which runs of a framework are open, under which root, and since when nothing was heard."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from turnspan.integrations.transcript import transcript_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from turnspan.capture.drafts import Draft
    from turnspan.integrations.openings import Tentative
    from turnspan.integrations.pauses import Waiting
    from turnspan.integrations.transcript import Transcript

__all__ = ["Run", "RunTree"]


class Run:
    """One open run. ``drafts`` are its own; ``draft`` is what its children stand under.

    ``draft`` is None below a root that is not recorded yet.
    """

    # Defaults live on the class: a store for each would cost every run.
    paused: bool = False
    tentative: Tentative | None = None  # what it will be, should anything happen inside
    waiting: Waiting | None = None  # for what, if it is paused
    failed: Draft | None = None  # the step directly below that failed last
    parent: Run | None = None  # as far as it is open
    chunks: int = 0
    counted_by: object = None  # who counts the chunks, where several tell of them
    pieces: list[str] | None = None  # what a stream has said so far
    about: Any = None  # whatever the plugin wants to know of it

    def __init__(
        self, id: Hashable, drafts: tuple[Draft, ...], draft: Draft | None, root: Run | None
    ) -> None:
        self.id: Hashable = id
        self.drafts: tuple[Draft, ...] = drafts
        self.draft: Draft | None = draft
        self.root: Run | None = root
        if root is None:
            self.members: dict[Hashable, Run] = {}  # the open runs below it
            self.heard_s: float = 0.0
            self.messages: Transcript | None = None

    @property
    def top(self) -> Run:
        """The root, which it may be itself."""
        return self.root or self

    @property
    def transcript(self) -> Transcript:
        """The messages of the turn it belongs to; only where it is recorded."""
        top = self.root or self
        if top.messages is None:
            assert top.draft is not None  # noqa: S101  # whoever asks has seen it
            top.messages = transcript_of(top.draft.turn)
        return top.messages

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held while what is shared by the turn's runs is changed."""
        return self.transcript.lock


class RunTree:
    """The open runs of one handler. Thread-safe; a forked child starts with none."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self.start_over()
        _trees.add(self)

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run) -> None:
        """Remember ``run`` until `take`; its root counts as heard of."""
        with self.lock:
            self._runs[run.id] = run
            if run.root is None:
                self._roots[run.id] = run
                run.heard_s = self._monotonic_s()
            else:
                run.root.members[run.id] = run
                self._hear(run.root)

    def take(self, run_id: Hashable) -> Run | None:
        """Forget the run of that id, so that it is ended once."""
        with self.lock:
            run = self._runs.pop(run_id, None)
            if run is None:
                return None
            if run.root is None:
                self._roots.pop(run_id, None)
            else:
                run.root.members.pop(run_id, None)
                self._hear(run.root)
            if not self._runs:
                self._shrink()
            return run

    def sweep(self, root: Run) -> list[Run]:
        """Forget the runs below ``root`` that never ended; the innermost come first."""
        with self.lock:
            left = list(root.members.values())[::-1]
            root.members.clear()
            for run in left:
                self._runs.pop(run.id, None)
            if not self._runs:
                self._shrink()
            return left

    def stale(self, max_roots: int, max_idle_s: float) -> list[Hashable]:
        """Ids of roots nothing was heard of for too long, or that are too many."""
        ids: list[Hashable] = []
        with self.lock:
            surplus = len(self._roots) - max_roots
            since_s = self._monotonic_s() - max_idle_s
            for run_id, root in self._roots.items():
                if surplus <= len(ids) and root.heard_s > since_s:
                    break
                ids.append(run_id)
        return ids

    def start_over(self) -> None:
        """Know no run; the lock of before may be held by a thread that is not there any more."""
        self.lock: AbstractContextManager[bool] = threading.RLock()
        self._runs: dict[Hashable | None, Run] = {}
        self._roots: OrderedDict[Hashable, Run] = OrderedDict()
        self.find: Callable[[Hashable | None], Run | None] = self._runs.get

    def _shrink(self) -> None:
        """Give back the tables of the many that were open once: emptying them does not."""
        self._runs.clear()
        self._roots.clear()

    def _hear(self, root: Run) -> None:
        if root.id in self._roots:
            root.heard_s = self._monotonic_s()
            self._roots.move_to_end(root.id)


_trees: WeakSet[RunTree] = WeakSet()


def _start_over() -> None:
    for tree in list(_trees):
        tree.start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)
