"""Where a turn stands in a trace, and what other code left on its spans."""

from typing import Any

from pydantic import Field

from turnspan.schema.value import Many, Value


class Link(Value):
    """Another span that this one belongs with."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any] = Field(default_factory=dict)


class Trace(Value):
    """The identity of a turn's root span; ids in lower-case hex."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    flags: int = 1
    state: str = Field(default="", description="W3C `tracestate`.")
    links: Many[Link] = ()
    sampled: bool = True
    mode: str = Field(
        default="own",
        description="Who makes the spans: `own` (built from this turn), `live` (already went "
        "through the application's provider) or `off`.",
    )


class SpanEvent(Value):
    """An event that other code added to a span."""

    name: str
    at: int = Field(description="Nanoseconds since the Unix epoch.")
    attributes: dict[str, Any] = Field(default_factory=dict)


class SpanNotes(Value):
    """What other code put on a span of ours; it comes out on the exported span."""

    name: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    events: Many[SpanEvent] = ()
    links: Many[Link] = ()
    status: str | None = Field(default=None, description="`ok` or `error`, where set.")
    status_description: str | None = None
