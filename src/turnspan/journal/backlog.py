"""What one exporter has yet to deliver: dead owners' segments, our own, then the ring."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from turnspan.journal.bell import Sleep
from turnspan.journal.chain import OwnSegment
from turnspan.journal.cursors import Cursors
from turnspan.journal.log import JournalLog
from turnspan.journal.reader import TURNS, CorruptLines, Kinds, ended_at
from turnspan.journal.ring import RingReader
from turnspan.journal.tail import Room, Tail, Waiting
from turnspan.ports import Journalled, Unsent, journalled

__all__ = ["JournalBacklog"]

STRAGGLER_S = 60.0
"""How long a sealed segment is looked at again: a write that was under way at the rotation
may land in it late, after the reader went on to the next."""


class JournalBacklog:
    """A `turnspan.ports.Backlog` over a journal. Made by `Journal.backlog`."""

    def __init__(
        self,
        cursors: Cursors,
        corrupt: CorruptLines,
        log: JournalLog,
        *,
        kinds: Kinds = TURNS,
        on_done: Callable[[Tail], None],
        postponed: Callable[[], Sequence[Tail]] = tuple,
        adopt_more: Callable[[], bool] = bool,
    ) -> None:
        self.exporter: str = cursors.exporter
        self.kinds: Kinds = kinds
        self.dropped: Counter[str] = log.dropped
        self._cursors = cursors
        self._corrupt = corrupt
        self._log = log
        self._sleep = Sleep(log)
        self._ring = log.ring.reader(kinds)
        self._on_done = on_done
        self._postponed = postponed
        self._adopt_more = adopt_more
        self._adopted: tuple[Tail, ...] = ()
        self._own: dict[str, Tail | None] = {}  # None: done with
        self._last: list[tuple[Tail | RingReader, int]] = []  # where each turn last read ends
        self._lock = threading.Lock()  # of the two above, not of the reading

    def adopt(self, tails: Sequence[Tail]) -> None:
        """Deliver ``tails`` too, before our own. Any thread."""
        if tails:
            with self._lock:
                self._adopted = (*self._adopted, *tails)
            self._sleep.wake()

    def read(self, *, max_turns: int, max_bytes: int) -> Sequence[Journalled]:
        """The next turns; see `turnspan.ports.Backlog`."""
        self._sleep.seen = self._log.appended
        room = Room(max_turns, max_bytes)
        turns: list[Journalled] = []
        self._last = []
        looking = True
        while looking:  # some of the dead may owe nothing, and room is made for the next of them
            tails = self._tails()
            for tail in tails:
                for end, line in tail.read(room):
                    turns.append(journalled(line))
                    self._last.append((tail, end))
                if room.is_full:
                    return turns
            self._finish()
            looking = not turns and self._has_more(tails)
        for end, line in self._ring.read(room):
            turns.append(journalled(line))
            self._last.append((self._ring, end))
        return turns

    def commit(self, turns: int) -> None:
        """The first ``turns`` of the last `read` are done."""
        ends = dict(self._last[: max(turns, 0)])  # the last of each place: one cursor a segment
        for place, end in ends.items():
            place.commit(end)

    def wait(self, timeout_s: float | None, *, min_bytes: int = 1) -> None:
        """Sleep until there is more to read, `wake`, or the time."""
        self._sleep.wait(timeout_s, min_bytes)

    def wake(self) -> None:
        """End the current or the next `wait`."""
        self._sleep.wake()

    @property
    def appended(self) -> int:
        """Bytes appended by this process so far."""
        return self._log.appended

    def unsent(self, *, count: bool = False) -> Unsent:
        """How much is waiting; sizes over 64 KiB are rounded up unless turns are counted."""
        waiting = Waiting()
        for tail in self._tails():
            waiting += tail.waiting(count=count)
        for tail in self._postponed():
            waiting += tail.waiting(count=True) if count else Waiting(1, tail.left_bytes())
        if lines := self._ring.unread():
            waiting += Waiting(len(lines), sum(map(len, lines)), ended_at(lines[0]))
        return Unsent(
            size_bytes=waiting.size_bytes,
            turns=waiting.turns if count or not waiting.turns else None,
            oldest_at_ns=waiting.oldest_at_ns,
        )

    def close(self) -> None:
        """Release files. What was not committed stays for the next reader."""
        with self._lock:
            tails = (*self._adopted, *filter(None, self._own.values()))
            self._adopted = ()
            self._own = {}
        for tail in tails:
            tail.close()
        self._ring.close()
        self._sleep.close()

    def leave(self) -> None:
        """In a forked child: this reader is the parent's; only close what was inherited."""
        for tail in (*self._adopted, *filter(None, self._own.values())):
            tail.abandon()

    def owes(self, path: Path) -> bool:
        """Is there more to read of our own segment at ``path``, deleted or not? Any thread."""
        if path.name not in self._own:
            return True  # the reader has yet to look
        tail = self._own[path.name]
        return tail is not None and not tail.is_at_end

    def _tails(self) -> list[Tail]:
        with self._lock:
            for segment in self._log.chain.segments:
                if segment.path.name not in self._own:
                    self._own[segment.path.name] = self._tail_of(segment)
            return [*self._adopted, *filter(None, self._own.values())]

    def _has_more(self, tails: Sequence[Tail]) -> bool:
        """Is there anything beside ``tails``, handed over here or by another thread meanwhile?"""
        if self._postponed():
            self._adopt_more()
        return any(tail not in tails for tail in self._tails())

    def _tail_of(self, segment: OwnSegment) -> Tail:
        tail = Tail(
            segment.path,
            self._cursors,
            self._corrupt,
            position=0,
            kinds=self.kinds,
            deleted=self._log.descriptor_of,
        )
        tail.open()  # at once: the directory may be deleted before its turn comes
        return tail

    def _finish(self) -> None:
        """Let go of segments nothing more can come from."""
        now_s = time.monotonic()
        with self._lock:
            adopted = [tail for tail in self._adopted if tail.is_at_end]
            self._adopted = tuple(tail for tail in self._adopted if tail not in adopted)
            segments = self._log.chain.segments
            forgotten = self._own.keys() - {segment.path.name for segment in segments}
            own = [tail for name in forgotten if (tail := self._own.pop(name)) is not None]
            for segment in segments:
                tail = self._own.get(segment.path.name)
                if tail is None or segment.sealed_at_s is None or not tail.is_at_end:
                    continue
                if tail.save() and now_s - segment.sealed_at_s > STRAGGLER_S:
                    self._own[segment.path.name] = None
                    own.append(tail)
        for tail in (*adopted, *own):
            self._let_go(tail)

    def _let_go(self, tail: Tail) -> None:
        if tail.is_gone:
            self.dropped["segment_gone"] += 1
        else:
            tail.save()
        tail.close()
        self._on_done(tail)
