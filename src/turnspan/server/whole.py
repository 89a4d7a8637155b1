"""Whole numbers in JSON: `5.0` is one too.

Source: https://json-schema.org/draft/2020-12 (validation, 6.1.1): a number whose fractional part
is zero is an integer.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BeforeValidator

__all__ = ["WHOLE"]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE: Final = BeforeValidator(_whole)
"""Marks an `int` of a body, behind its bounds."""
