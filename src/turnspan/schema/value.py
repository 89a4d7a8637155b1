"""The frozen value that every part of a turn is."""

from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], Field(fail_fast=True)]
"""Any number of items, read up to the first that is wrong: a complaint about each of a million
would cost gigabytes."""


class Value(BaseModel):
    """Frozen and compared by its fields; fields of a newer version are passed over."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore", ser_json_inf_nan="null"
    )
