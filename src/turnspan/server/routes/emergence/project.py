"""The project that a request says it is about: said in a header, and the caller's own."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Header

from turnspan.server.call import Calling
from turnspan.server.problem import Problem

__all__ = ["OWN"]


def _owned(
    call: Calling, x_project_id: Annotated[str, Header(min_length=1, max_length=200)]
) -> None:
    if not call.caller.owns(x_project_id):
        raise Problem(403, "forbidden", "this key belongs to another project", param="x-project-id")


OWN: Final[list[Any]] = [Depends(_owned)]
"""Every route asks for it."""
