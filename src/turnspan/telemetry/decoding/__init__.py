"""Spans → turns: what `turnspan.telemetry` writes, and what other libraries do, read back."""

from turnspan.telemetry.decoding.from_json import from_json, from_json_value
from turnspan.telemetry.decoding.from_protobuf import from_protobuf
from turnspan.telemetry.decoding.received import Received, ReceivedSpan
from turnspan.telemetry.decoding.turns import Decoded, decode_spans, read_span

__all__ = [
    "Decoded",
    "Received",
    "ReceivedSpan",
    "decode_spans",
    "from_json",
    "from_json_value",
    "from_protobuf",
    "read_span",
]
