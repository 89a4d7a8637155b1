"""Turns and feedback for tests: the same ids and times in every run."""

import random
from collections.abc import Mapping
from typing import Any, Final, get_args

from turnspan.ports import JournalledFeedback, JournalledTurn
from turnspan.schema import (
    Agent,
    Content,
    Cut,
    Error,
    Feedback,
    Message,
    MessagePart,
    Model,
    Status,
    Step,
    StepKind,
    Tool,
    Trace,
    Turn,
    Usage,
    encode_feedback,
    encode_turn,
)

__all__ = [
    "START_NS",
    "make_feedback",
    "make_step",
    "make_turn",
    "raw_feedback",
    "raw_turn",
    "sample_turns",
]

START_NS: Final = 1_700_000_000_000_000_000
"""When turn 0 began; each turn after it begins a second later and takes half of one."""

_MS: Final = 1_000_000
_STATUSES: Final = tuple(status for status in get_args(Status) if status != "open")
_TEXTS: Final = (
    "What is the weather in Oslo?",
    "",
    "two\nlines",
    "ünïcödé, 漢字, 👩‍🚀",
    '{"city":"Oslo"}',
    "[bold]not markup[/]",
    "\x1b[31mnot red",
    "long " * 200,
)


def make_turn(index: int = 1, /, **changes: Any) -> Turn:
    """Turn number ``index`` of session `session-1`: a question, one tool call, an answer.

    ``changes`` replace fields; what depends on ``index`` alone (id, number, times, trace) is
    the same in every run and different from that of any other ``index``.

    Raises:
        TypeError: a turn has no such field.
    """
    started_at = START_NS + index * 1_000 * _MS
    fields: dict[str, Any] = {
        "id": f"turn_{index:012d}",
        "session_id": "session-1",
        "number": index,
        "agent": Agent(name="assistant"),
        "started_at": started_at,
        "ended_at": started_at + 500 * _MS,
        "input": Content(content=f"question {index}"),
        "output": Content(content=f"answer {index}"),
        "steps": (make_step(index),),
        "trace": Trace(trace_id=f"{index + 1:032x}", span_id=f"{index + 1:016x}"),
        "resource": {"service.name": "tests"},
    }
    return Turn(**_changed(fields, changes, Turn.model_fields))


def make_step(index: int = 1, /, **changes: Any) -> Step:
    """A tool call of the turn ``index``, 100 ms after its start and 200 ms long.

    Raises:
        TypeError: a step has no such field.
    """
    started_at = START_NS + index * 1_000 * _MS + 100 * _MS
    fields: dict[str, Any] = {
        "id": f"{(1 << 32) + index:016x}",
        "kind": "tool",
        "name": "look_up",
        "started_at": started_at,
        "ended_at": started_at + 200 * _MS,
        "input": Content(content='{"key":"value"}', mime_type="application/json"),
        "output": Content(content='{"found":true}', mime_type="application/json"),
    }
    return Step(**_changed(fields, changes, Step.model_fields))


def raw_turn(index: int = 1, /, **changes: Any) -> JournalledTurn:
    """`make_turn` as the journal hands it to an exporter."""
    return JournalledTurn(encode_turn(make_turn(index, **changes)))


def make_feedback(index: int = 1, /, **changes: Any) -> Feedback:
    """Feedback on the turn ``index``, given a second after it ended.

    Raises:
        TypeError: feedback has no such field.
    """
    fields: dict[str, Any] = {
        "id": f"feedback_{index:012d}",
        "turn_id": f"turn_{index:012d}",
        "at": START_NS + index * 1_000 * _MS + 1_500 * _MS,
        "rating": "good",
        "score": 0.5,
        "comment": f"comment {index}",
        "resource": {"service.name": "tests"},
    }
    return Feedback(**_changed(fields, changes, Feedback.model_fields))


def raw_feedback(index: int = 1, /, **changes: Any) -> JournalledFeedback:
    """`make_feedback` as the journal hands it to an exporter."""
    return JournalledFeedback(encode_feedback(make_feedback(index, **changes)))


def sample_turns(count: int, *, seed: int = 0) -> list[Turn]:
    """``count`` different turns: every status and kind of step, nested steps, odd texts.

    The same ``seed`` draws the same turns.
    """
    draw = random.Random(seed)
    return [_sample(index, draw) for index in range(1, count + 1)]


def _changed(
    fields: dict[str, Any], changes: dict[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    if unknown := changes.keys() - known.keys():
        raise TypeError(f"there is no field {min(unknown)!r}")
    return fields | changes


def _sample(index: int, draw: random.Random) -> Turn:
    status = _STATUSES[index % len(_STATUSES)]
    session_id = draw.choice([None, "session-1", "session-2"])
    messages = _messages(draw)
    return make_turn(
        index,
        status=status,
        session_id=session_id,
        number=index if session_id else None,
        user_id=draw.choice([None, "ada"]),
        input=draw.choice([None, Content(content=draw.choice(_TEXTS))]),
        output=None if status == "interrupted" else Content(content=draw.choice(_TEXTS)),
        reasoning=draw.choice([None, "because"]),
        error=_error(draw) if status == "error" else None,
        messages=messages,
        input_messages=((0, len(messages) // 2),) if messages else (),
        output_messages=((len(messages) // 2, len(messages)),) if messages else (),
        steps=_steps(index, len(messages), draw),
        state_before=draw.choice([None, {"count": 1}]),
        state_after=draw.choice([None, {"count": 2, "items": [1, "two", None]}]),
        metadata=draw.choice([{}, {"tier": "gold", "nested": {"n": 1.5, "flag": True}}]),
        tags=draw.choice([(), ("test", "ünïcödé")]),
        usage=draw.choice([None, _usage(draw)]),
        truncated=draw.choice([(), (Cut(where="input", why="too long", size_bytes=2**21),)]),
    )


def _messages(draw: random.Random) -> tuple[Message, ...]:
    roles = ("system", "user", "assistant", "tool")
    return tuple(
        Message(
            role=draw.choice(roles),
            parts=(MessagePart.model_validate({"type": "text", "content": draw.choice(_TEXTS)}),),
        )
        for _ in range(draw.choice([0, 2, 5]))
    )


def _steps(index: int, message_count: int, draw: random.Random) -> tuple[Step, ...]:
    steps: list[Step] = []
    for position in range(draw.randrange(5)):
        parents = [None, *(step.id for step in steps)]
        steps.append(_step(index, position, draw.choice(parents), message_count, draw))
    return tuple(steps)


def _step(
    index: int, position: int, parent_id: str | None, message_count: int, draw: random.Random
) -> Step:
    kind: StepKind = draw.choice(get_args(StepKind))
    failed = draw.random() < 0.3
    asks = kind == "model" and message_count
    return make_step(
        index,
        id=f"{index * 100 + position + (1 << 32):016x}",
        parent_id=parent_id,
        kind=kind,
        name=f"{kind}_{position}",
        status="error" if failed else "ok",
        error=_error(draw) if failed else None,
        output=None if failed else Content(content=draw.choice(_TEXTS)),
        input_messages=((0, message_count - 1),) if asks else (),
        output_messages=((message_count - 1, message_count),) if asks else (),
        agent=Agent(name="helper", version="2") if kind == "agent" else None,
        model=_model(draw) if kind == "model" else None,
        tool=Tool(call_id="call_1", type="function") if kind == "tool" else None,
        usage=_usage(draw) if kind == "model" else None,
    )


def _model(draw: random.Random) -> Model:
    return Model(
        provider=draw.choice(["openai", "anthropic", None]),
        request_model="gpt-test",
        response_model=draw.choice([None, "gpt-test-2026"]),
        parameters=draw.choice([{}, {"temperature": 0.5, "max_tokens": 100}]),
        finish_reasons=("stop",),
    )


def _usage(draw: random.Random) -> Usage:
    return Usage(
        input_tokens=draw.randrange(10_000),
        output_tokens=draw.randrange(1_000),
        cost_usd=draw.choice([None, 0.0123]),
    )


def _error(draw: random.Random) -> Error:
    return Error(type=draw.choice(["ValueError", "httpx.ReadTimeout"]), message=draw.choice(_TEXTS))
