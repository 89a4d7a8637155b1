"""How the lines of a journal begin, so that a reader chooses without decoding."""

from typing import Final

__all__ = ["FEEDBACK", "OPEN", "SCHEMA_VERSION", "SEGMENT", "STEP", "TURN"]

SCHEMA_VERSION: Final = 1
SEGMENT: Final = b'{"record":"segment",'
OPEN: Final = b'{"record":"open",'
STEP: Final = b'{"record":"step",'
TURN: Final = b'{"record":"turn",'
FEEDBACK: Final = b'{"record":"feedback",'
