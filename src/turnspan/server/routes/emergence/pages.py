"""Numbered pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

__all__ = ["Limit", "PageNumber", "paged"]

PageNumber = Annotated[int, Query(ge=1)]
Limit = Annotated[int, Query(ge=1, le=100)]


def paged(data: Sequence[Any], *, page: int, limit: int, total: int) -> dict[str, Any]:
    """A page of a listing; one past the end is empty, and no error."""
    pages = -(-total // limit)
    return {
        "data": list(data),
        "pagination": {
            "page": page,
            "limit": limit,
            "total_items": total,
            "total_pages": pages,
            "next_page": page + 1 if page < pages else None,
            "prev_page": page - 1 if page > 1 else None,
        },
    }
