"""What is being recorded here and now, and how it travels into threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context, ContextVar, Token, copy_context
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from turnspan.capture.elsewhere import awaited_in, consumed_in
from turnspan.capture.relay import alike, called, is_stream, relayed
from turnspan.capture.texts import MAX_SHORT, plain_text, short
from turnspan.errors import CaptureError
from turnspan.notices import say

if TYPE_CHECKING:
    from turnspan.capture.drafts import Draft

__all__ = ["Session", "carry", "current_draft", "current_session", "session"]

P = ParamSpec("P")
R = TypeVar("R")

MAX_SESSION_CHARS = 200

current_draft: ContextVar[Draft | None] = ContextVar("turnspan_draft", default=None)
current_session: ContextVar[Session | None] = ContextVar("turnspan_session", default=None)


@dataclass(frozen=True, slots=True)
class Session:
    """The conversation that turns belong to, and what they all carry."""

    id: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


class session:  # noqa: N801  # a context manager that reads as a verb at the call site
    """Turns recorded inside belong to session ``id``; a context manager and a decorator.

    Sessions nest: the inner one is in force. An empty id or None means no session; an id
    over 200 characters is kept as its first 160 and a hash.

    One instance may be entered again, in other threads and tasks, too. Of ``metadata`` and
    ``tags`` what has no string for a name, or is none, is left out; so is what is no mapping
    or list.

    Raises:
        TypeError: ``id`` or ``user_id`` is no string.
    """

    __slots__ = ("_session", "_tokens")

    def __init__(
        self,
        id: str | None,  # the glossary's word
        *,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        self._session = Session(
            _session_id(id), _user_id(user_id), _metadata(metadata), _tags(tags)
        )
        self._tokens: list[Token[Session | None]] = []

    @property
    def entered(self) -> Session:
        """What is in force inside."""
        return self._session

    def __enter__(self) -> None:
        self._tokens.append(current_session.set(self._session))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Other tasks may have entered it since: theirs are tokens of other contexts.
        for token in reversed(self._tokens):
            if _left(token):
                self._tokens.remove(token)
                return
        if self._tokens and current_session.get() is self._session:
            # In a generator whose steps are taken in several contexts: it is in force here, too.
            before = self._tokens.pop().old_value
            current_session.set(before if isinstance(before, Session) else None)
            return
        say("session", "a session was left in another context than it was entered in")

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """Record every turn of a call of ``fn`` in this session.

        The code of a generator is in it, the code that consumes the generator is not.

        Raises:
            CaptureError: ``fn`` is no callable.
        """
        if isinstance(fn, staticmethod | classmethod):
            descriptor: Any = type(fn)
            return descriptor(self(fn.__func__))  # type: ignore[no-any-return]  # as it came
        if not callable(fn):
            raise CaptureError(
                f"session() cannot decorate {fn!r}", fix="decorate a function or method"
            )
        return _in_session(self._session, fn)


def _in_session(entered: Session, fn: Callable[P, R]) -> Callable[P, R]:
    if iscoroutinefunction(called(fn)):

        @functools.wraps(fn)
        async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            token = current_session.set(entered)
            try:
                return await fn(*args, **kwargs)  # type: ignore[misc]  # R is awaitable
            finally:
                _left(token)

        return run_async  # type: ignore[return-value]  # R is the coroutine that it awaits
    streams = is_stream(fn)

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        token = current_session.set(entered)
        try:
            result = fn(*args, **kwargs)
        finally:
            _left(token)
        return relayed(result, _Visit(entered)) if streams else result

    return functools.wraps(fn)(alike(run, fn))


class _Visit:
    """Has a session in force while the code of one generator runs."""

    __slots__ = ("_inside", "_outside", "_running")

    def __init__(self, session: Session) -> None:
        self._inside: Session | None = session
        self._outside: Session | None = None
        self._running = False

    def resume(self) -> None:
        self._outside = current_session.get()
        self._running = True
        current_session.set(self._inside)

    def pause(self, _item: object, /) -> None:
        if self._running:
            self._running = False
            self._inside = current_session.get()
            current_session.set(self._outside)

    def end(self, _value: object, _left: bool, /) -> None:  # noqa: FBT001  # as `Watch` has it
        self.pause(None)

    def fail(self, _error: BaseException, /) -> None:
        self.pause(None)


def _left(token: Token[Session | None]) -> bool:
    """Put back what was in force before; False in another context than it was entered in."""
    try:
        current_session.reset(token)
    except ValueError:
        return False
    return True


def carry(fn: Callable[P, R]) -> Callable[P, R]:
    """Make ``fn`` run in the context of this moment, whichever thread calls it.

    What it records becomes part of the turn that is open now. Safe to call from several
    threads at once: each call runs in a copy of its own. So does the code of a coroutine or
    generator, whoever awaits or consumes it, in whichever event loop.

    Raises:
        CaptureError: ``fn`` is no callable.
    """
    if not callable(fn):
        raise CaptureError(f"carry() cannot take {fn!r} along", fix="carry a function")
    here = copy_context()
    if iscoroutinefunction(called(fn)):
        return _carried_coroutine(fn, here)
    streams = is_stream(fn)

    def carried(*args: P.args, **kwargs: P.kwargs) -> Any:
        context = here.copy()
        result = context.run(fn, *args, **kwargs)
        return consumed_in(context, result) if streams else result

    return functools.wraps(fn)(alike(carried, fn))


def _carried_coroutine(fn: Callable[P, Any], here: Context) -> Callable[P, Any]:
    @functools.wraps(fn)
    async def carried(*args: P.args, **kwargs: P.kwargs) -> Any:
        return await awaited_in(here.copy(), fn(*args, **kwargs))

    return carried


def _session_id(given: object) -> str | None:
    if given is not None and not isinstance(given, str):
        raise TypeError(f"a session id is a string or None, not {type(given).__name__}")
    if not given:
        return None
    if len(given) <= MAX_SESSION_CHARS:
        return given
    say("session id", "a session id has %d characters: kept as 160 and a hash", len(given))
    return _digested(given)


def _user_id(given: object) -> str | None:
    if given is not None and not isinstance(given, str):
        raise TypeError(f"a user id is a string or None, not {type(given).__name__}")
    return (given if len(given) <= MAX_SHORT else _digested(given)) if given else None


def _digested(given: str) -> str:
    """An id that is too long as its beginning and a hash, so that it stays apart from others."""
    import hashlib  # here: long ids are rare

    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{given[:160]}-{digest[:32]}"


def _metadata(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        say("metadata", "metadata is a mapping, not %s: left out", type(given).__name__)
        return {}
    entries = dict(given or {})
    named = ((plain_text(key), item) for key, item in entries.items())
    known = {short(key): item for key, item in named if key is not None}
    if len(known) < len(entries):
        say("metadata", "names of metadata are strings: %d left out", len(entries) - len(known))
    return known


def _tags(given: Sequence[str]) -> tuple[str, ...]:
    """Its tags; a single string is one tag, not one for each of its characters."""
    if given is not None and not isinstance(given, Iterable):
        say("tags", "tags are a list of strings, not %s: left out", type(given).__name__)
        return ()
    tags = (given,) if isinstance(given, str) else tuple(given or ())
    known = tuple(short(text) for tag in tags if (text := plain_text(tag)) is not None)
    if len(known) < len(tags):
        say("tags", "a tag is a string: %d left out", len(tags) - len(known))
    return known
