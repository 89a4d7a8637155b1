"""What `doctor` looks at. Nothing is changed, and nothing is sent to a destination."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from turnspan.cli._disk import appendable, room, to_be_made, writable
from turnspan.cli._finding import BROKEN, OK, WARNING, Finding
from turnspan.cli._output import counted, shown_length, shown_size, shown_time
from turnspan.errors import TurnspanError

if TYPE_CHECKING:
    from turnspan.journal import Directory, History
    from turnspan.ports import Exporter
    from turnspan.settings import Option, Settings

__all__ = ["Checkup", "SettingRow"]

CONNECT_S: Final = 2.0
_SECRET: Final = ("HEADERS", "KEY", "TOKEN", "CERTIFICATE", "SECRET", "PASSWORD")


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One option as it stands. ``value`` is fit to be shown."""

    name: str
    env: str
    value: Any
    source: str
    """`argument`, `environment` or `default`."""


class Checkup:
    """Looks at the settings that ``environ`` and ``directory`` make, and at what they name."""

    def __init__(self, environ: Mapping[str, str], directory: str | None) -> None:
        self._environ = environ
        self._given = {} if directory is None else {"directory": os.path.abspath(directory)}
        self._mistakes: list[Finding] = []
        self.settings = self._readable()
        self.exporters: list[Exporter] = []
        self.directory = _directory(self.settings)

    def rows(self) -> Iterator[SettingRow]:
        """Every option with its value and where that comes from, secrets hidden."""
        from turnspan.settings import options

        for option in options():
            value = getattr(self.settings, option.name)
            yield SettingRow(option.name, option.env, _shown(option, value), self._source(option))

    def opentelemetry(self) -> dict[str, str]:
        """The variables of OpenTelemetry that are set, values that may be secret hidden."""
        return {
            name: "(hidden)" if name.endswith(_SECRET) else _public(value)
            for name, value in sorted(self._environ.items())
            if name.startswith("OTEL_") and value
        }

    def findings(self) -> Iterator[Finding]:
        """What was found, one after the other; connections are tried on the way."""
        yield from self._mistakes or [Finding("settings", OK, "every option can be read")]
        yield from self._unknown()
        if self.settings.disabled:
            yield Finding(
                "recording", WARNING, "switched off by TURNSPAN_DISABLED", "unset TURNSPAN_DISABLED"
            )
        if self.settings.sample < 1:
            yield _sampling(self.settings)
        yield from self._of_directory()
        yield from self._of_exporters()
        yield from self._of_spans()
        if self.directory and self.directory.journal.is_dir():
            yield from self._of_journal(self.directory)

    def _readable(self) -> Settings:
        """The settings without what cannot be read of them, which is a mistake each."""
        from turnspan.capture.policy import Policy
        from turnspan.settings import Settings, options

        environ: dict[str, str] = {}
        for option in options():
            if option.env not in self._environ or option.name in self._given:
                continue
            one = {option.env: self._environ[option.env]}
            try:
                Policy.of(Settings.read(one, {}))
            except TurnspanError as error:
                self._mistakes.append(Finding("settings", BROKEN, error.what, error.fix))
            else:
                environ |= one
        self._read = frozenset(environ)
        return Settings.read(environ, self._given)

    def _source(self, option: Option) -> str:
        if option.name in self._given:
            return "argument"
        is_set = option.env in self._read and self._environ[option.env].strip()
        return "environment" if is_set else "default"

    def _unknown(self) -> Iterator[Finding]:
        from turnspan.settings import unknown

        for name, fix in unknown(self._environ).items():
            yield Finding("settings", WARNING, f"{name} is no variable of turnspan", fix)

    def _of_directory(self) -> Iterator[Finding]:
        from turnspan.journal.lock import HAS_LOCKS

        if self.directory is None:
            yield Finding(
                "directory",
                WARNING,
                "no directory: turns are kept in memory and are lost with the process",
                "set TURNSPAN_DIR",
            )
            return
        if not HAS_LOCKS:
            yield Finding(
                "directory",
                WARNING,
                "this system has no POSIX file locks: turns are kept in memory only",
                "nothing to do: what was not delivered is lost with the process",
            )
            return
        path = self.directory.path
        if not path.exists():
            yield to_be_made(path)
        elif not path.is_dir():
            yield Finding(
                "directory", BROKEN, f"{path} is a file", "name a directory in TURNSPAN_DIR"
            )
        else:
            yield writable(self.directory)
            yield from room(self.directory, self.settings.directory_bytes)

    def _of_exporters(self) -> Iterator[Finding]:
        from turnspan.exporters.registry import build, build_all

        if not self.settings.exporters:
            yield Finding(
                "exporters", OK, "none is configured here: the journal is the destination"
            )
        for url in self.settings.exporters:
            try:
                exporter = build(url, settings=self.settings)
            except TurnspanError as error:
                yield Finding("exporters", BROKEN, error.what, error.fix)
                continue
            self.exporters.append(exporter)
            yield _reached(exporter)
            exporter.close(timeout_s=0.0)
        try:
            build_all(self.exporters, settings=self.settings)
        except TurnspanError as error:  # two of one name: `configure` refuses them all
            yield Finding("exporters", BROKEN, error.what, error.fix)

    def _of_spans(self) -> Iterator[Finding]:
        from turnspan.telemetry.auto import check
        from turnspan.telemetry.limits import SpanLimits
        from turnspan.telemetry.sampling import Sampler
        from turnspan.telemetry.span_content import content_on_spans

        otlp = any(each.name.startswith("otlp+") for each in self.exporters)
        try:
            check(self.settings, otlp=otlp)
        except TurnspanError as error:
            yield Finding("spans", BROKEN, error.what, error.fix)
            return
        ignored: list[Finding] = []

        def found(what: str, fix: str) -> None:
            ignored.append(Finding("spans", WARNING, what, fix))

        Sampler.read(self._environ, ignored=found)
        SpanLimits.read(self._environ, ignored=found)
        yield from ignored
        yield Finding("spans", OK, self._maker(otlp=otlp))
        own = content_on_spans(self.settings, self._environ, live=False)
        live = content_on_spans(self.settings, self._environ, live=True)
        said = f"{_onoff(own)} spans of our own, {_onoff(live)} those of the application's provider"
        yield Finding("content", OK, said)

    def _maker(self, *, otlp: bool) -> str:
        mode = self.settings.spans
        if self._environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return "OTEL_SDK_DISABLED: none are made; turns are recorded all the same"
        if mode == "own" or otlp:
            why = "" if mode == "own" else ", for there is an otlp+… exporter"
            return f"own: built from the turns{why}"
        if mode == "live":
            return "live: through the application's tracer provider"
        return "auto: through the application's tracer provider where it has one, else our own"

    def _of_journal(self, directory: Directory) -> Iterator[Finding]:
        from turnspan.delivery.dead import DeadLetters
        from turnspan.journal import History

        history = History(directory)
        yield _owners(history)
        yield from self._owed(history)
        corrupt = history.count_corrupt()
        if corrupt:
            yield Finding(
                "journal",
                WARNING,
                f"{counted(corrupt, 'line')} cannot be read and are skipped",
                "nothing to do: a process was killed, or a disk full, while one was written",
            )
        yield from _nameless(history)
        yield from _dropped(directory)
        dead = len(DeadLetters(directory.path).list())
        if dead:
            said = f"{counted(dead, 'dead letter')}, refused by a destination"
            yield Finding("dead letters", WARNING, said, "see `turnspan dead list`")

    def _owed(self, history: History) -> Iterator[Finding]:
        for each in history.owed():
            left = f"{shown_size(each.size_bytes)} in {counted(each.segments, 'segment')}"
            if each.oldest_at is not None:
                left += f", the oldest turn for {shown_length(time.time_ns() - each.oldest_at)}"
            if each.size_bytes and not each.is_served:
                yield Finding(
                    "delivery",
                    WARNING,
                    f"{each.exporter} is owed {left}, and no running process serves it",
                    f"`turnspan drain --to {each.exporter}`, or `turnspan drain --forget "
                    f"{each.exporter}`",
                )
            else:
                said = (
                    f"owed {left}; a running process serves it" if each.size_bytes else "all of it"
                )
                yield Finding("delivery", OK, f"{each.exporter}: {said}")


def _sampling(settings: Settings) -> Finding:
    errors = ", and of the others the turns that end in an error" * settings.keep_errors
    return Finding("sampling", OK, f"{settings.sample:.4g} of all sessions is recorded{errors}")


def _onoff(flag: bool) -> str:  # noqa: FBT001  # it is what is shown
    return "on" if flag else "not on"


def _directory(settings: Settings) -> Directory | None:
    from turnspan.journal import Directory

    return None if settings.directory is None else Directory(settings.directory)


def _public(value: str) -> str:
    """``value`` without the credentials that an address may hold."""
    from turnspan.exporters._address import without_credentials

    return without_credentials(value) if "://" in value else value


def _shown(option: Option, value: Any) -> Any:
    if option.secret and value is not None:
        return "(hidden)"
    if option.name == "exporters":
        from turnspan.exporters._address import without_credentials

        return [without_credentials(url) for url in value]
    return list(value) if isinstance(value, tuple) else value


def _reached(exporter: Exporter) -> Finding:
    """Can ``exporter`` be connected to? Only where its name is an address that can be tried."""
    from turnspan.cli._reach import reach
    from turnspan.exporters.file import FileExporter

    if isinstance(exporter, FileExporter):
        return appendable(exporter.name.removeprefix("file:"))
    problem = reach(exporter.name, timeout_s=CONNECT_S)
    if problem is None:
        return Finding("exporters", OK, f"{exporter.name} can be reached")
    if not problem:
        return Finding("exporters", OK, f"{exporter.name} is set up")
    return Finding(
        "exporters",
        BROKEN,
        f"{exporter.name} cannot be reached: {problem}",
        "start it or mend the address; turns are kept until it takes them",
    )


def _dropped(directory: Directory) -> Iterator[Finding]:
    from turnspan.journal import Losses

    lost = Losses(directory).read()
    if lost.counts:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.counts.items()))
        yield Finding(
            "dropped",
            WARNING,
            f"turns were dropped, last at {shown_time(lost.last_at_ns)}: {reasons}",
            "give them room (TURNSPAN_DIRECTORY_BYTES, TURNSPAN_RING_BYTES) or a destination "
            "that takes them; docs/delivery.md says what each reason means",
        )


def _nameless(history: History) -> Iterator[Finding]:
    if nameless := history.nameless():
        yield Finding(
            "journal",
            WARNING,
            f"{counted(nameless, 'segment')} cannot say whom it is owed to",
            "`turnspan drain --from-start --to URL` delivers all there is to one exporter",
        )


def _owners(history: History) -> Finding:
    states = [each.state for each in history.owners()]
    said = ", ".join(
        f"{states.count(state)} {state}" for state in ("live", "dead", "foreign") if state in states
    )
    return Finding("processes", OK, f"that recorded here: {said or 'none'}")
