"""What type checkers make of decorated callables; never run."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, assert_type, overload

import turnspan


@turnspan.agent
def answer(question: str, /, *parts: int, tone: str = "dry") -> list[str]:
    return [question]


@turnspan.agent(name="later", version="2")
async def answer_later(question: str) -> int:
    return len(question)


@turnspan.session("s", user_id="ada")
@turnspan.model(provider="openai")
def ask(messages: list[dict[str, str]]) -> dict[str, int]:
    return {}


@overload
def find(key: int) -> int: ...
@overload
def find(key: str) -> str: ...
@turnspan.tool
def find(key: int | str) -> int | str:
    return key


@turnspan.session("s")
@turnspan.agent
def tell(question: str) -> Iterator[str]:
    yield question


@turnspan.agent
async def tell_later(question: str) -> AsyncIterator[str]:
    yield question


class Desk:
    @property  # mypy takes no decorator above it
    @turnspan.tool
    def open(self) -> bool:
        return True

    @turnspan.tool
    def look(self, key: str) -> bytes:
        return key.encode()

    @turnspan.step
    @classmethod
    def make(cls, size: int) -> "Desk":
        return cls()

    @staticmethod
    @turnspan.retrieval
    def fetch(query: str) -> float:
        return 1.0


assert_type(answer("why", 1, 2, tone="warm"), list[str])
awaitable: Callable[[str], Coroutine[Any, Any, int]] = answer_later
assert_type(ask([{"role": "user"}]), dict[str, int])
assert_type(find(1), int)
assert_type(find("1"), str)
assert_type(Desk().look("a"), bytes)
assert_type(Desk().open, bool)
assert_type(tell("why"), Iterator[str])
assert_type(tell_later("why"), AsyncIterator[str])
assert_type(Desk.make(1), Desk)
assert_type(Desk.fetch("a"), float)
assert_type(turnspan.carry(answer)("why"), list[str])

with turnspan.turn(agent="desk") as turn:
    assert_type(turn, turnspan.OpenTurn)
assert_type(turnspan.current_step(), turnspan.OpenStep)

wrong: Callable[[int], int] = answer  # type: ignore[assignment]
answer(1)  # type: ignore[arg-type]
Desk().look(1)  # type: ignore[arg-type]
turnspan.agent(nmae="x")  # type: ignore[call-overload]
