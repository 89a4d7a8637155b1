"""What stands between the rules and a library: how it decorates, and what it recorded."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["KINDS", "Adapter", "Record"]

KINDS: Final = ("agent", "tool", "model", "retrieval", "step")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One call as a library recorded it. What it doesn't tell stays as it is here.

    ``name`` is the function's bare name, ``input`` and ``output`` are whatever text the
    library made of them, ``ended`` is False where it was recorded as still going on.
    """

    id: str
    name: str
    parent_id: str | None = None
    status: str | None = None
    input: str | None = None
    output: str | None = None
    ended: bool = True
    has_first_chunk: bool = False
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """A library as the rules see it.

    ``decorate(kind, target)`` answers with the decorated target; ``collect()`` with every
    record since the adapter was made. ``tells`` names what records say, of `parent`,
    `input`, `output`, `status`, `first_chunk` and `cut`: rules that need more are not
    applicable. ``statuses`` are the words in use for a status; `cancelled` and `abandoned`
    are asked for only where they are among them. ``kinds`` are those the library knows, the
    outermost first.

    ``carry`` takes a function into a thread in the context of now. ``trouble`` is a context
    manager inside which the library cannot record, whatever it tries.
    """

    decorate: Callable[[str, Any], Any]
    collect: Callable[[], Sequence[Record]] | None = None
    tells: frozenset[str] = frozenset({"parent", "input", "output", "status"})
    statuses: frozenset[str] = frozenset({"ok", "error"})
    kinds: tuple[str, ...] = KINDS
    carry: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    trouble: Callable[[], AbstractContextManager[Any]] | None = None

    def can(self, need: str) -> bool:
        """Whether a rule that needs ``need`` applies."""
        if need in ("carry", "trouble"):
            return getattr(self, need) is not None
        return self.collect is not None and (need == "records" or need in self.tells)
