"""A turn as a tree that a person can read.

Everything in a turn may come from a stranger: nothing in it is read as markup, and control
characters (a terminal obeys some of them) are shown by their codes.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import orjson
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from turnspan.schema import Content, Error, Feedback, Message, Step, Turn, Usage

__all__ = ["feedback_line", "judgement", "one_line", "safe_text", "turn_tree"]

_STATUS_STYLE: Final = {
    "ok": "green",
    "error": "bold red",
    "interrupted": "red",
    "cancelled": "yellow",
    "abandoned": "yellow",
    "paused": "cyan",
    "open": "cyan",
}
_KIND_STYLE: Final = {"model": "magenta", "tool": "blue", "retrieval": "blue", "agent": "cyan"}
_INDENT: Final = 10  # `reasoning`, the longest label, and a space
_MAX_DEPTH: Final = 8  # steps nested deeper hang here, or they would leave the screen
_MAX_TEXT_CHARS: Final = 600
_MAX_TEXT_LINES: Final = 12
_MAX_NAME_CHARS: Final = 32
_UNSAFE: Final = re.compile(
    # C0 but tab and newline, DEL, C1; line separators; overrides of the writing
    # direction; half surrogate pairs, which no terminal can encode
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def turn_tree(turn: Turn) -> Tree:
    """``turn`` with its steps, for any console of rich; it fits itself to the width."""
    tree = Tree(_header(turn), guide_style="dim")
    _add_text(tree, "input", _shown(turn.input, turn.messages_at(turn.input_messages)))
    _add_text(tree, "reasoning", turn.reasoning)
    _add_steps(tree, turn)
    _add_error(tree, turn.error)
    _add_text(tree, "output", _shown(turn.output, turn.messages_at(turn.output_messages)))
    for cut in turn.truncated:
        size = f" ({cut.size_bytes:,} bytes)" if cut.size_bytes is not None else ""
        _add_text(tree, "cut", f"{cut.where}: {cut.why}{size}", "yellow")
    return tree


def feedback_line(feedback: Feedback) -> str:
    """``feedback`` on one line, the turn it is on included."""
    user = f" by {_name(feedback.user_id)}" if feedback.user_id else ""
    return f"feedback on {_name(feedback.turn_id)}{user}: {judgement(feedback)}"


def judgement(feedback: Feedback) -> str:
    """What ``feedback`` says, on one line."""
    score = None if feedback.score is None else f"{feedback.score:g}"
    said = (feedback.rating, score, feedback.comment)
    text = " · ".join(one_line(each) for each in said if each)
    return f"{text[:_MAX_TEXT_CHARS]}…" if len(text) > _MAX_TEXT_CHARS else text


def _header(turn: Turn) -> "_Wrapped":
    number = f" #{turn.number}" if turn.number is not None else ""
    session = f"{_name(turn.session_id)}{number}" if turn.session_id else ""
    first = _joined(
        (_name(turn.agent.name), "bold"),
        (session, ""),
        (turn.status, _STATUS_STYLE.get(turn.status, "")),
        (_duration(turn.duration_ms), ""),
        (_stream(turn), ""),
        *((fact, "") for fact in _usage(turn.usage)),
    )
    user = f"user {_name(turn.user_id)}" if turn.user_id else ""
    tags = " ".join(f"[{_name(tag)}]" for tag in turn.tags)
    resumes = f"resumes {_name(turn.resumes)}" if turn.resumes else ""
    second = ((fact, "dim") for fact in (_name(turn.id), user, tags, resumes))
    return _Wrapped(first.append("\n").append_text(_joined(*second)))


def _joined(*facts: tuple[str, str]) -> Text:
    joined = Text()
    for fact, style in facts:
        if fact:
            joined.append(" · " if joined else "", "dim").append(fact, style)
    return joined


def _duration(duration_ms: float) -> str:
    if duration_ms < 0:
        return ""  # a clock that was set back between the halves of a recovered turn
    if duration_ms < 1:
        return f"{duration_ms * 1000:.0f} µs"
    if duration_ms < 1000:
        return f"{duration_ms:.0f} ms"
    if duration_ms < 60_000:
        return f"{duration_ms / 1000:.2f} s"
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    return f"{minutes} min {seconds} s"


def _stream(what: Turn | Step) -> str:
    """How soon and how often a stream yielded."""
    if what.first_chunk_at is None:
        return ""
    first = _duration((what.first_chunk_at - what.started_at) / 1e6)
    if what.chunks is None:
        return f"first chunk after {first}"
    return f"{what.chunks:,} chunk{'' if what.chunks == 1 else 's'}, the first after {first}"


def _usage(usage: Usage | None) -> Iterator[str]:
    if usage is None:
        return
    if usage.input_tokens is not None or usage.output_tokens is not None:
        yield f"{usage.input_tokens or 0:,} → {usage.output_tokens or 0:,} tokens"
    if usage.cost_usd is not None:
        yield f"${usage.cost_usd:.4f}"


def _add_steps(tree: Tree, turn: Turn) -> None:
    ids = {step.id for step in turn.steps}
    children: dict[str | None, list[Step]] = defaultdict(list)
    for step in sorted(turn.steps, key=lambda step: step.started_at)[::-1]:
        children[step.parent_id if step.parent_id in ids else None].append(step)
    roots = children.pop(None, [])
    while roots:
        pending = [(tree, step, 0) for step in roots]
        while pending:
            above, step, depth = pending.pop()
            branch = _add_step(above, step, turn)
            below = branch if depth < _MAX_DEPTH else above
            pending += [(below, child, depth + 1) for child in children.pop(step.id, [])]
        # What is left named one another as parents; begin with any of them.
        roots = children.pop(next(iter(children))) if children else []


def _add_step(above: Tree, step: Step, turn: Turn) -> Tree:
    branch = above.add(_step_line(step))
    _add_call(branch, step, turn)
    _add_text(branch, "reasoning", step.reasoning)
    _add_error(branch, step.error)
    return branch


def _step_line(step: Step) -> "_Wrapped":
    model = (step.model.response_model or step.model.request_model or "") if step.model else ""
    status = "" if step.status == "ok" else step.status
    line = Text(step.kind, _KIND_STYLE.get(step.kind, "dim"))
    facts = _joined(
        (_name(step.name), "bold"),
        ("" if model == step.name else _name(model), ""),
        (status, _STATUS_STYLE.get(status, "")),
        (_duration(step.duration_ms), ""),
        (_stream(step), ""),
        *((fact, "") for fact in _usage(step.usage)),
    )
    return _Wrapped(Text.assemble(line, " ", facts))


def _add_call(branch: Tree, step: Step, turn: Turn) -> None:
    given = _shown(step.input, ())
    if given is None and step.input_messages:
        count = len(turn.messages_at(step.input_messages))
        given = f"{count} message{'' if count == 1 else 's'}"
    answer = _shown(step.output, turn.messages_at(step.output_messages))
    if given or answer:
        branch.add(_Call(given or "", answer or ""))


def _shown(content: Content | None, messages: tuple[Message, ...]) -> str | None:
    if content is None:
        return " ".join(_message(message) for message in messages) or None
    told_by_step = content.type in ("text", "tool_call", "tool_result")
    return content.content if told_by_step else f"[{content.type}] {content.content}"


def _message(message: Message) -> str:
    calls = (
        f"{part.fields.get('name', part.type)}({_arguments(part.fields.get('arguments'))})"
        for part in message.parts
        if part.type == "tool_call"
    )
    return " ".join(part for part in (message.text, *calls) if part)


def _arguments(given: object) -> str:
    if given is None or isinstance(given, str):
        return given or ""
    return orjson.dumps(given).decode()


def _add_text(tree: Tree, label: str, text: str | None, style: str = "") -> None:
    if text:
        before = Text(label.ljust(_INDENT), style or "dim")
        tree.add(_Wrapped(Text(_paragraph(text), style), label=before))


def _add_error(tree: Tree, error: Error | None) -> None:
    if error is not None:
        said = f"{error.type}: {error.message}" if error.message else error.type
        _add_text(tree, "error", said, "red")


def safe_text(text: str) -> str:
    """``text`` with what a terminal would obey shown by its code."""
    return _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _name(text: str) -> str:
    line = one_line(text[: _MAX_NAME_CHARS + 1])
    return line if len(line) <= _MAX_NAME_CHARS else line[: _MAX_NAME_CHARS - 1] + "…"


def one_line(text: str) -> str:
    """``text`` as `safe_text` shows it, every run of white space as one space."""
    return safe_text(" ".join(text.split()))


def _paragraph(text: str) -> str:
    text = text.replace("\r\n", "\n").strip("\n")
    kept = "\n".join(text[:_MAX_TEXT_CHARS].split("\n")[:_MAX_TEXT_LINES])
    left_out = len(text) - len(kept)
    return f"{safe_text(kept)}… ({left_out:,} more characters)" if left_out else safe_text(kept)


class _Wrapped:
    """A text wrapped to the width, with nothing after the last word of a line."""

    def __init__(self, text: Text, *, label: Text | None = None) -> None:
        self._text = text
        self._label = label or Text()  # stands before the first line; the others are indented

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        before = self._label
        for line in self._text.wrap(console, max(options.max_width - before.cell_len, _INDENT)):
            line.rstrip()
            yield Text.assemble(before, line, no_wrap=True, overflow="fold")
            before = Text(" " * self._label.cell_len)


class _Call:
    """What a step was given and what came of it, on one line, each side shortened to fit."""

    def __init__(self, given: str, answer: str) -> None:
        self._given = given
        self._answer = answer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        given, answer = _start(self._given, width), _start(self._answer, width)
        arrow = Text(" → " if given and answer else "", style="dim")
        room = max(width - arrow.cell_len, 2)
        given.truncate(max(room // 2, room - answer.cell_len), overflow="ellipsis")
        answer.truncate(max(room - given.cell_len, 1), overflow="ellipsis")
        yield Text.assemble(given, arrow, answer, no_wrap=True, overflow="crop")


def _start(text: str, width: int) -> Text:
    """More of ``text`` than ``width`` shows, but not the megabytes behind it."""
    most = 4 * width
    return Text(one_line(text[:most]) + ("…" if len(text) > most else ""))
