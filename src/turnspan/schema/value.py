"""The frozen value that every part of a turn is."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Frozen and compared by its fields; fields of a newer version are passed over."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="ignore", ser_json_inf_nan="null"
    )
