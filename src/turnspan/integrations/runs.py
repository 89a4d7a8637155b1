"""Runs: what a framework's callbacks tell by run id becomes turns and steps.

A callback may end in another task or thread than it began in, twice, or never. So a parent is
named by its run id and never taken from context; context is asked once, whether a root stands
inside a turn that is already open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from turnspan.capture.active import active
from turnspan.capture.context import current_draft
from turnspan.capture.drafts import Draft, TurnDraft
from turnspan.capture.recorder import Recorder
from turnspan.integrations.attempts import reopened
from turnspan.integrations.border import contained
from turnspan.integrations.endings import Failure, close_run, keep_pieces, status_after
from turnspan.integrations.facts import Facts, known_fields
from turnspan.integrations.openings import Opening, Openings, Tentative, open_turn, put_opening
from turnspan.integrations.pauses import Waiting, link, pauses
from turnspan.integrations.run_tree import Run, RunTree

__all__ = ["Opening", "Runs", "Waiting"]

MAX_ROOTS: Final = 10_000
MAX_IDLE_S: Final = 3600.0
_NOTHING: Final[Mapping[str, Any]] = {}


class Runs(Facts):
    """The open runs of one framework, by the ids the framework gives them. Thread-safe.

    Every method is a border: nothing it meets is raised into the framework. A run that is not
    open, because it never began, has ended or is not recorded, is passed over. A run that
    begins twice begins once.

    A run whose parent is open stands under it. Any other is a root: inside a turn that was
    opened elsewhere (`turnspan.agent`) it becomes a step of it, and outside it is a turn.
    When a root ends, what is open below it ends too. Roots that never end are bounded: the
    one that was silent longest is ended as cancelled when there are more than ``max_roots``,
    and each after ``max_idle_s`` seconds of silence.
    """

    def __init__(
        self,
        *,
        recorder: Recorder | None = None,
        max_roots: int = MAX_ROOTS,
        max_idle_s: float = MAX_IDLE_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given = recorder
        self._tree = RunTree(monotonic_s)
        self._max_roots = max_roots
        self._max_idle_s = max_idle_s

    def __len__(self) -> int:
        """How many runs are open."""
        return len(self._tree)

    def __contains__(self, run_id: Hashable) -> bool:
        """Whether the run of that id is open."""
        return self._tree.find(run_id) is not None

    def about(self, run_id: Hashable) -> Any:
        """What the plugin noted of the open run of that id; None where there is none."""
        run = self._tree.find(run_id)
        return None if run is None else run.about

    def root_of(self, run_id: Hashable) -> Hashable:
        """The id of the root that the open run of that id is below, or is itself."""
        run = self._tree.find(run_id)
        return None if run is None else run.top.id

    def parent_of(self, run_id: Hashable) -> Hashable:
        """The id of the run that the open run of that id was begun below."""
        run = self._tree.find(run_id)
        return None if run is None or run.parent is None else run.parent.id

    def note(self, run_id: Hashable, about: object) -> None:
        """Have `about` answer with ``about``."""
        if (run := self._tree.find(run_id)) is not None:
            run.about = about

    @contained
    def start_agent(
        self,
        run_id: Hashable,
        opening: Openings,
        *,
        parent: Hashable | None = None,
        tentative: bool = False,
        about: object = None,
    ) -> None:
        """Begin the run of an agent: a turn, or a nested agent where one is open.

        A ``tentative`` root is recorded once something begins inside it, or if it fails.
        """
        if self._tree.find(run_id) is not None:
            return
        above = self._tree.find(parent)
        if tentative and above is None:
            self._start_tentative(run_id, opening, about)
            return
        if (under := self._under(above)) is None:
            if above is None and (turn := self._open_turn(opening)) is not None:
                self._hold(run_id, (turn,), turn, None, about)
        elif under.turn.left_out:
            self._hold(run_id, (), under, above, about)
        else:
            opening = opening if isinstance(opening, Opening) else opening()
            known = {"agent": {"name": opening.agent}}
            draft = under.recorder.open_step(under, "agent", opening.agent, known, activate=False)
            self._hold(run_id, (draft,), draft, above, about)
            put_opening(draft, opening)

    @contained
    def start_step(
        self,
        run_id: Hashable,
        kind: str,
        name: str,
        *,
        parent: Hashable | None = None,
        opening: Openings | None = None,
        facts: Mapping[str, Any] = _NOTHING,
        attempt: int = 1,
        activate: bool = False,
        about: object = None,
    ) -> None:
        """Begin a step of ``kind``: `model`, `tool`, `retrieval`, `agent` or `step`.

        Where no turn is open, ``opening`` begins one around it; without that the recorder's
        `orphans` setting decides, as it does for a decorated function. ``facts`` are what
        `set_model` or `set_tool` would say. An ``attempt`` after the first goes on with the
        step that failed before it. With ``activate`` it is current here until it ends.
        """
        if self._tree.find(run_id) is not None:
            return
        above = self._tree.find(parent)
        under = self._under(above)
        turn = None if under is not None or above is not None else self._turn_around(name, opening)
        if (over := under or turn) is None:
            return
        if over.turn.left_out:
            self._hold(run_id, () if turn is None else (turn,), over, above, about)
            return
        known = {kind: found} if facts and (found := known_fields(kind, facts)) else _NOTHING
        step: Draft | None = reopened(above, kind, name) if attempt > 1 else None
        if step is None:
            step = over.recorder.open_step(over, kind, name, known, activate=activate)
        above = above if turn is None else None
        self._hold(run_id, (step,) if turn is None else (turn, step), step, above, about)

    @contained
    def start_passage(self, run_id: Hashable, *, parent: Hashable, about: object = None) -> None:
        """Begin a run that is not recorded itself: its children stand under its parent."""
        above = self._tree.find(parent)
        if above is not None and self._tree.find(run_id) is None:
            self._hold(run_id, (), above.draft, above, about)

    @contained
    def promote(self, run_id: Hashable, opening: Openings) -> None:
        """What was begun as a passage, or tentatively, is an agent after all."""
        run = self._tree.find(run_id)
        if run is None or run.drafts:
            return
        if run.root is None:
            self._begin(run)
        elif (under := self._under(run)) is not None and not under.turn.left_out:
            opening = opening if isinstance(opening, Opening) else opening()
            known = {"agent": {"name": opening.agent}}
            draft = under.recorder.open_step(under, "agent", opening.agent, known, activate=False)
            run.draft, run.drafts = draft, (draft,)
            put_opening(draft, opening)

    @contained
    def pause(
        self, run_id: Hashable, waiting: Waiting | None = None, *, only_first: bool = False
    ) -> None:
        """This run waits for a person: if it ends well, its status is `paused`.

        ``waiting`` is for what, in ids by which the run that resumes it is known; with
        ``only_first`` what was said before stands.
        """
        if (run := self._tree.find(run_id)) is not None:
            run.paused = True
            run.waiting = run.waiting or waiting if only_first else waiting or run.waiting

    @contained
    def resume(self, run_id: Hashable, waiting: Waiting, *, certain: bool = True) -> None:
        """This run goes on where another waited for ``waiting``; or maybe from elsewhere."""
        run = self._recorded(run_id)
        if run is None:
            return
        turn = run.drafts[0].turn
        found = pauses.find(waiting, turn.source.directory, certain=certain)
        if found is not None or certain:
            turn.fields["resume_key"] = waiting.key if found is None else found.key
        if found is not None and found.turn_id != turn.id:
            turn.fields["resumes"] = found.turn_id
            link(turn.span, found)

    @contained
    def end(
        self,
        run_id: Hashable,
        *,
        status: str | None = None,
        error: Failure | None = None,
    ) -> None:
        """End a run, and with a root all that is still open below it.

        ``error`` is the exception that ended it, or `type` and `message` where there was
        none. Without ``status`` it is what ``error`` says, and `ok` without an error.
        """
        run = self._tree.take(run_id)
        if run is None:
            return
        status = status or ("paused" if run.paused and error is None else status_after(error))
        if run.root is None:
            if run.draft is None and status in {"error", "paused"}:
                self._begin(run)
            self._sweep(run, status)
        elif status == "error" and run.drafts and run.parent is not None:
            run.parent.failed = run.drafts[-1]  # should it be tried again, it is the same step
        waits = run.waiting if status == "paused" and run.root is None else None
        if waits is not None and run.drafts:
            run.drafts[0].turn.fields["resume_key"] = waits.key
        turn = run.drafts[0].turn if run.drafts else None
        close_run(run, status, error)
        if waits is not None and turn is not None:
            pauses.remember(waits, turn)

    def _start_tentative(self, run_id: Hashable, opening: Openings, about: object) -> None:
        if (recorder := self._recorder()) is not None:
            self._bound_roots()
            run = Run(run_id, (), None, None)
            run.tentative = Tentative(recorder, opening)
            run.about = about
            self._tree.add(run)

    def _begin(self, run: Run) -> None:
        """Have a tentative root be what it is."""
        with self._tree.lock:
            tentative, run.tentative = run.tentative, None
            if tentative is not None:
                run.draft = draft = tentative.open()
                run.drafts = (draft,)

    def _under(self, above: Run | None) -> Draft | None:
        """What a new run stands under: its parent's draft, or the turn that is open here."""
        if above is None:
            draft = current_draft.get()
        elif above.draft is not None:
            draft = above.draft
        else:
            top = above.top
            if top.draft is None:
                self._begin(top)
            draft = top.draft
        return None if draft is None or draft.turn.ended else draft

    def _sweep(self, root: Run, status: str) -> None:
        """What was still open when its root ended well is `open`; else it was cut off."""
        left = {"ok": "open", "error": "cancelled"}.get(status, status)
        for run in self._tree.sweep(root):
            keep_pieces(run)
            close_run(run, left, None)

    def _turn_around(self, name: str, opening: Openings | None) -> TurnDraft | None:
        if opening is None:
            recorder = self._recorder()
            if recorder is None or not recorder.orphans:
                return None
            opening = Opening(name)
        return self._open_turn(opening)

    def _open_turn(self, opening: Openings) -> TurnDraft | None:
        recorder = self._recorder()
        if recorder is None:
            return None
        self._bound_roots()
        return open_turn(recorder, opening if isinstance(opening, Opening) else opening())

    def _bound_roots(self) -> None:
        for run_id in self._tree.stale(self._max_roots - 1, self._max_idle_s):
            self.end(run_id, status="cancelled")

    def _hold(
        self,
        run_id: Hashable,
        drafts: tuple[Draft, ...],
        draft: Draft | None,
        above: Run | None,
        about: object,
    ) -> None:
        root = None if above is None else above.root or above
        run = Run(run_id, drafts, draft, root)
        run.parent = above
        run.about = about
        self._tree.add(run)

    def _recorder(self) -> Recorder | None:
        return self._given or active.recorder or active.awaken()
