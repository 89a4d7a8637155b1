"""Settings: each option is declared once, and everything else is derived from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from turnspan.errors import SettingsError
from turnspan.option import Option, from_argument, from_text, size_of

__all__ = ["Option", "Settings", "options", "size_of", "unknown"]

_OTHERS = ("TURNSPAN_STORE",)  # a variable of `turnspan serve`, no option of the library


def _option(
    default: Any,
    doc: str,
    *,
    env: str,
    unit: str = "",
    one_of: tuple[str, ...] = (),
    **marks: bool,
) -> Any:
    """Declare one option: its default, description, environment variable and unit."""
    metadata = {"env": env, "doc": doc, "unit": unit, "one_of": one_of, **marks}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every option of the library. Arguments win over the environment, it over defaults."""

    exporters: tuple[str, ...] = _option(
        (), "Where turns go: URLs, separated by spaces or commas.", env="TURNSPAN_EXPORTERS"
    )
    directory: str | None = _option(
        ".turnspan",
        "Where the journal lives. `none`: keep turns in memory only, in a bounded ring.",
        env="TURNSPAN_DIR",
        path=True,
    )
    service_name: str | None = _option(
        None, "`service.name` of the recorded process.", env="OTEL_SERVICE_NAME"
    )
    disabled: bool = _option(False, "Make every decorator a plain call.", env="TURNSPAN_DISABLED")
    content: bool | tuple[str, ...] = _option(
        True,
        "Record what was said: `true`; `false` or `shape` for its type, size and keys; `none`; or "
        "one of these for each field that is named: `input=shape reasoning=none`. See "
        "[privacy.md](privacy.md).",
        env="TURNSPAN_CONTENT",
    )
    hide: tuple[str, ...] = _option(
        (),
        "Names (`password`) and paths (`input.user.card`) of secrets.",
        env="TURNSPAN_HIDE",
    )
    redact: tuple[str, ...] = _option(
        (),
        "Patterns of secrets that are looked for in every text: `api_key`, `bearer`, `email`, "
        "`card`, `private_key`.",
        env="TURNSPAN_REDACT",
    )
    spans: str = _option(
        "auto",
        "Who makes the spans: `own` builds them from turns, `live` uses the application's "
        "provider, `auto` decides by what is there. `adopt` makes none, and has turns take those "
        "of other instrumentations: see [propagation.md](propagation.md).",
        env="TURNSPAN_SPANS",
        one_of=("auto", "own", "live", "adopt"),
    )
    span_content: bool | None = _option(
        None,
        "Put content on spans. Unset: in own mode as `content` says, in live mode not.",
        env="TURNSPAN_SPAN_CONTENT",
    )
    profiles: tuple[str, ...] = _option(
        (),
        "Keys of vendors that spans carry beside the standard ones: `langsmith`, `laminar`, "
        "`langfuse`, `openinference`. See [traces.md](traces.md).",
        env="TURNSPAN_PROFILES",
    )
    orphans: str = _option(
        "skip",
        "What a tool, model or step outside a turn does: `skip` records nothing, `turn` opens "
        "a turn of its own.",
        env="TURNSPAN_ORPHANS",
        one_of=("skip", "turn"),
    )
    sample: float = _option(
        1.0,
        "The share of sessions that is recorded, from 0 to 1. A session is recorded whole or not "
        "at all, by a hash of its id, in every process alike; a turn without one by its own id.",
        env="TURNSPAN_SAMPLE",
        share=True,
    )
    keep_errors: bool = _option(
        False,
        "Record turns that end in `error`, though `sample` leaves them out.",
        env="TURNSPAN_KEEP_ERRORS",
    )
    baggage_keys: tuple[str, ...] = _option(
        (), "W3C baggage entries copied onto a turn's metadata.", env="TURNSPAN_BAGGAGE_KEYS"
    )
    api_key: str | None = _option(
        None,
        "The key of a Turns API, where its URL holds none: for exporters other than `otlp+…`, and "
        "for `turnspan.read`.",
        env="TURNSPAN_API_KEY",
        secret=True,
    )
    max_value_bytes: int = _option(
        2**20, "Longest value kept whole.", env="TURNSPAN_MAX_VALUE_BYTES", unit="bytes"
    )
    max_turn_bytes: int = _option(
        8 * 2**20,
        "Beyond this, contents and errors of steps are cut; so are steps beyond one for each 512 "
        "bytes.",
        env="TURNSPAN_MAX_TURN_BYTES",
        unit="bytes",
    )
    media: bool = _option(
        False,
        "Keep base64 media over 32 KiB; otherwise its hash, type and size.",
        env="TURNSPAN_MEDIA",
    )
    durability: str = _option(
        "process",
        "`process` survives the death of the process, `disk` (a group fsync) also power loss.",
        env="TURNSPAN_DURABILITY",
        one_of=("process", "disk"),
    )
    segment_bytes: int = _option(
        64 * 2**20, "Size of a journal segment.", env="TURNSPAN_SEGMENT_BYTES", unit="bytes"
    )
    directory_bytes: int = _option(
        2 * 2**30, "Budget of the directory.", env="TURNSPAN_DIRECTORY_BYTES", unit="bytes"
    )
    ring_bytes: int = _option(
        16 * 2**20,
        "Turns kept in memory where there is no disk to write to.",
        env="TURNSPAN_RING_BYTES",
        unit="bytes",
    )
    retain_s: float = _option(
        7 * 86400.0, "How long delivered turns stay readable.", env="TURNSPAN_RETAIN_S", unit="s"
    )
    batch_turns: int = _option(
        512, "Most turns in one request.", env="TURNSPAN_BATCH_TURNS", unit="turns"
    )
    batch_bytes: int = _option(
        2 * 2**20, "Most bytes in one request.", env="TURNSPAN_BATCH_BYTES", unit="bytes"
    )
    batch_delay_s: float = _option(
        1.0, "Longest a turn waits for company.", env="TURNSPAN_BATCH_DELAY_S", unit="s"
    )
    timeout_s: float = _option(
        10.0, "Longest one request may take.", env="TURNSPAN_TIMEOUT_S", unit="s"
    )
    exit_s: float = _option(
        2.0, "Longest the exit of the process waits for delivery.", env="TURNSPAN_EXIT_S", unit="s"
    )
    on_sigterm: bool = _option(
        False,
        "On SIGTERM deliver what is recorded, for `exit_s` at most; then the signal takes its "
        "usual course.",
        env="TURNSPAN_ON_SIGTERM",
    )

    @classmethod
    def read(cls, environ: Mapping[str, str], given: Mapping[str, Any]) -> Settings:
        """Arguments over ``environ`` over defaults.

        Raises:
            SettingsError: an argument is unknown, or a value is unreadable.
        """
        known = {option.name: option for option in options()}
        for name in given:
            if name not in known:
                fix = _meant(name, known) or f"one of: {', '.join(sorted(known))}"
                raise SettingsError(f"there is no option {name!r}", fix=fix)
        found = {
            option.name: from_text(option, text)
            for option in known.values()
            if option.name not in given and (text := environ.get(option.env, "").strip())
        }
        found |= {name: from_argument(known[name], value) for name, value in given.items()}
        return cls(**found)


def options() -> tuple[Option, ...]:
    """Every option, in the order of its declaration."""
    return tuple(
        Option(name=f.name, default=f.default, kind=str(f.type), **f.metadata)
        for f in fields(Settings)
    )


def unknown(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that are named as ours are and are none, and what to do about each."""
    known = [*(option.env for option in options()), *_OTHERS]
    return {
        name: _advice(name, known)
        for name in sorted(environ)
        if name.startswith("TURNSPAN_") and name not in known
    }


def _advice(name: str, known: Sequence[str]) -> str:
    return _meant(name, known) or "unset it, or see docs/settings.md"


def _meant(name: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # here: few are misspelt

    close = get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else None
