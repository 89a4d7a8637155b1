"""A trial: one rule held against one adapter."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from turnspan.testing.decorator_rules.adapter import Adapter, Record

__all__ = ["Trial", "require"]


class Trial:
    """Decorates, calls and looks up what was recorded, for one rule."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.kinds: tuple[str, ...] = adapter.kinds
        self.can: Callable[[str], bool] = adapter.can
        self._before: set[str] = set()
        self.mark()

    def carry(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call`` with the context of now, by the library's own means, where it has any."""
        return call if self._adapter.carry is None else self._adapter.carry(call)

    def trouble(self) -> AbstractContextManager[Any]:
        """Inside it the library cannot record, where its adapter can bring that about."""
        return nullcontext() if self._adapter.trouble is None else self._adapter.trouble()

    def mark(self) -> None:
        """Forget what was recorded so far."""
        self._before = {record.id for record in self._collected()}

    def decorate(self, kind: str, target: Any) -> Any:
        """``target``, decorated; a decorator that refuses it breaks the rule."""
        try:
            return self._adapter.decorate(kind, target)
        except Exception as exc:
            raise AssertionError(f"{kind}: decorating raised {shown(exc)}") from exc

    def outermost(self, target: Any) -> Any:
        """``target`` decorated as what has a record of its own wherever it is called."""
        return self.decorate(self.kinds[0], target)

    def within(self, kind: str, work: Callable[[], Any]) -> Any:
        """What ``work`` answers where a call of ``kind`` is recorded: at home or in an agent."""
        self.mark()
        if kind == self.kinds[0]:
            return work()
        answers: list[Any] = []  # not returned: what comes out of a decorated call is on trial

        def surrounding() -> None:
            answers.append(work())

        self.outermost(surrounding)()
        return answers[0]

    def answer(self, kind: str, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What ``call`` answers, in `within`."""
        return self.within(kind, lambda: call(*args, **kwargs))

    def awaited(self, kind: str, call: Callable[..., Any], /, *args: Any) -> Any:
        """What ``call`` answers, awaited in an event loop of its own, in `within`."""
        return asyncio.run(self.within_async(kind, lambda: call(*args)))

    def read(self, kind: str, made: Callable[..., Any], /, *args: Any) -> list[Any]:
        """Every item of the stream that ``made`` gives, in `within`."""
        items: list[Any] = self.within(kind, lambda: list(made(*args)))
        return items

    async def within_async(self, kind: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """`within`, awaited."""
        self.mark()
        if kind == self.kinds[0]:
            return await work()
        answers: list[Any] = []

        async def surrounding() -> None:
            answers.append(await work())

        await self.outermost(surrounding)()
        return answers[0]

    def recorded(self) -> list[Record]:
        """What was recorded since the last mark, which every `within` makes."""
        return [record for record in self._collected() if record.id not in self._before]

    def records(self, name: str) -> list[Record]:
        """All calls of ``name`` among them."""
        return [record for record in self.recorded() if record.name == name]

    def record(self, name: str) -> Record:
        """The one call of ``name`` among them, which has ended."""
        found = self.records(name)
        names = [record.name for record in self.recorded()]
        require(len(found) == 1, f"{len(found)} records of {name!r} among {names}")
        require(found[0].ended, f"{name!r} is recorded as still going on")
        return found[0]

    def answered(self, kind: str, answer: Any, wanted: Any) -> None:
        """Require that a call answered what it should, of the very type."""
        require(type(answer) is type(wanted), f"{kind}: it answered a {type(answer).__name__}")
        require(answer == wanted, f"{kind}: it answered {answer!r}, not {wanted!r}")

    def is_nested(self, name: str, depth: int) -> None:
        """Require that so many calls of ``name`` stand each in the one before it."""
        found = {record.id: record for record in self.records(name)}
        inner = [record for record in found.values() if record.parent_id in found]
        parents = {record.parent_id for record in inner}
        holds = len(found) == depth and len(inner) == len(parents) == depth - 1
        require(holds, f"{len(found)} records of {name!r}, {len(inner)} of them in another one")

    def outside_id(self, kind: str) -> str | None:
        """The id of what surrounds a call in `within`; None where nothing does."""
        return None if kind == self.kinds[0] else self.record("surrounding").id

    def keeps(
        self,
        name: str,
        *,
        input: Sequence[str] = (),
        output: Sequence[str] = (),
        status: str | None = None,
    ) -> None:
        """Require one record of ``name`` with these words in it, as far as records tell."""
        if not self.can("records"):
            return
        record = self.record(name)
        for what, words in (("input", input), ("output", output)):
            said = getattr(record, what)
            missing = [word for word in words if word not in (said or "")]
            holds = not missing or not self.can(what)
            require(holds, f"the {what} of {name!r} lacks {missing}: {brief(said)}")
        if status is not None and self.can("status"):
            self.stands(record, status)

    def stands(self, record: Record, status: str) -> None:
        """Require ``status``, or the nearest word that the library has."""
        known = self._adapter.statuses
        wanted = status if status in known else "error"
        if status == "abandoned" and wanted != status:
            return  # without a word for it, that it ended is all one can ask
        said = record.status
        require(said == wanted, f"{record.name!r} is recorded as {said!r}, not {wanted!r}")

    def is_clean(self, when: str) -> None:
        """Require that what is called now is nobody's child."""
        if not self.can("parent"):
            return
        self.mark()

        def afterwards() -> None:
            pass

        self.outermost(afterwards)()
        parent = self.record("afterwards").parent_id
        require(parent is None, f"{when}, the next call is recorded as a child of it")

    def _collected(self) -> Sequence[Record]:
        return () if self._adapter.collect is None else self._adapter.collect()


def require(holds: bool, seen: str) -> None:  # noqa: FBT001  # it stands where `assert` would
    """Raise what was seen unless the rule ``holds``; `python -O` strips no function."""
    if not holds:
        raise AssertionError(seen)


def shown(error: BaseException) -> str:
    """An exception on one line, whatever its own methods do."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # border: the exception may be one of the nasty values
        said = "<cannot be shown>"
    return f"{type(error).__name__}: {brief(said)}"


def brief(said: str | None) -> str:
    """Enough of a text to recognise it."""
    if said is None:
        return "nothing"
    line = " ".join(said[:500].split())
    return f"{line[:160]}…" if len(line) > 160 or len(said) > 500 else line
