"""Everything turnspan raises on purpose.

TurnspanError
├── SettingsError      an option holds a value we refuse to guess about; raised by configure()
├── CaptureError       a callable cannot be recorded; raised where it is decorated
├── ExporterError      a destination cannot be built from what was given; raised by configure()
├── IntegrationError   an agent framework could not be hooked; raised where it is switched on
├── JournalError       a command was given a directory that holds no journal it can use
├── ReaderError        a place cannot be read from, or does not answer; raised by read()
├── ServerError        the server cannot start as it was asked to
├── StoreError         a store cannot be opened: unknown URL, missing driver, later version
└── WireError          bytes that were to be read as a turn are none

A failed export is not here: it is counted, logged, and never raised into the caller's code.
"""

__all__ = [
    "CaptureError",
    "ExporterError",
    "IntegrationError",
    "JournalError",
    "ReaderError",
    "ServerError",
    "SettingsError",
    "StoreError",
    "TurnspanError",
    "WireError",
]


class TurnspanError(Exception):
    """``what`` went wrong, in one sentence, and the ``fix`` to try first."""

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(f"{what}\n  fix: {fix}")
        self.what = what
        self.fix = fix

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.fix)


def _rebuild(kind: type[TurnspanError], what: str, fix: str) -> TurnspanError:
    return kind(what, fix=fix)


class SettingsError(TurnspanError):
    """An option, argument or environment variable holds a value that cannot be read."""


class CaptureError(TurnspanError):
    """A callable cannot be recorded; nothing was wrapped."""


class ExporterError(TurnspanError):
    """A destination cannot be built: unknown scheme, malformed URL or missing extra."""


class IntegrationError(TurnspanError):
    """An agent framework could not be hooked; nothing stays patched."""


class JournalError(TurnspanError):
    """A directory that should hold a journal does not, or cannot be read."""


class ReaderError(TurnspanError):
    """Turns cannot be read from a place: an unusable URL, no answer, or a refusal."""


class ServerError(TurnspanError):
    """The server cannot start as it was asked to; nothing listens."""


class StoreError(TurnspanError):
    """A store cannot be opened; nothing of it was changed."""


class WireError(TurnspanError):
    """Bytes that were to be read as a turn are not one."""
