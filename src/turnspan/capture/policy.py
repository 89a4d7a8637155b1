"""What may be recorded."""

from dataclasses import dataclass

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Applied before the journal: what it hides is never written anywhere.

    With ``content`` off a turn has its names, times, status, tokens and structure, and none
    of what was said: no input, output, reasoning, messages, state, or text of errors.
    """

    content: bool = True
