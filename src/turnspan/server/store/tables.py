"""The tables as the newest migration leaves them, for the statements built on them.

Times are nanoseconds since the Unix epoch. Every row names its project. Columns of free text
hold no NUL, which PostgreSQL cannot store; the line of a turn keeps it, escaped.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "aggregates",
    "answers",
    "artifacts",
    "details",
    "feedback",
    "jobs",
    "keys",
    "metadata",
    "receipts",
    "sessions",
    "spans",
    "states",
    "steps",
    "tool_aggregates",
    "trace_turns",
    "traces",
    "turns",
]

metadata: Final = MetaData()
_LABELS: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_SEQ: Final = BigInteger().with_variant(Integer, "sqlite")

turns: Final = Table(
    "turns",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("project", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("session_id", Text),
    Column("number", BigInteger),
    Column("agent", Text, nullable=False),
    Column("user_id", Text),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("latency", Integer, nullable=False),  # its bucket: see latency.py
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost_usd", Float),
    Column("labels", _LABELS),  # top-level scalars of its metadata, as texts, in a JSON object
    Column("stored_at", BigInteger, nullable=False),
)
details: Final = Table(  # apart, so that lists and numbers do not read through contents
    "details",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("raw", LargeBinary, nullable=False),
)
steps: Final = Table(
    "steps",
    metadata,
    Column("turn_seq", _SEQ, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("project", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
)
sessions: Final = Table(
    "sessions",
    metadata,
    Column("seq", _SEQ, primary_key=True, autoincrement=True),
    Column("project", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("agent", Text),
    Column("user_id", Text),
    Column("title", Text),
    Column("metadata", Text, nullable=False),
    Column("labels", _LABELS),
    Column("details", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("first_at", BigInteger),
    Column("last_at", BigInteger),
    Column("turn_count", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("state_version", BigInteger, nullable=False),
)
states: Final = Table(
    "states",
    metadata,
    Column("project", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("by", Text),
    Column("reason", Text),
    Column("restored_from", BigInteger),
    Column("after_seq", BigInteger, nullable=False),  # the turns stored before it
)
feedback: Final = Table(
    "feedback",
    metadata,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("turn_id", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("rating", Text),
    Column("score", Float),
    Column("comment", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
jobs: Final = Table(
    "jobs",
    metadata,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("result", Text),
    Column("error", Text),
    Column("attempt", Integer, nullable=False),
    Column("session_id", Text),
    Column("user_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("lease_until", BigInteger),
)
answers: Final = Table(
    "answers",
    metadata,
    Column("project", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("session_id", Text),
    Column("user_id", Text),
    Column("created_at", BigInteger, nullable=False),
)
traces: Final = Table(
    "traces",
    metadata,
    Column("project", Text, primary_key=True),
    Column("trace_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),  # counts what came
    Column("span_count", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("rooted", Integer, nullable=False),  # 1: its outermost spans are there
    Column("due_at", BigInteger),  # none once it was put together
)
spans: Final = Table(
    "spans",
    metadata,
    Column("project", Text, primary_key=True),
    Column("trace_id", Text, primary_key=True),
    Column("span_id", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("session_id", Text),
    Column("user_id", Text),
    Column("raw", LargeBinary, nullable=False),
)
trace_turns: Final = Table(  # which turns were made of a trace, and may be made anew
    "trace_turns",
    metadata,
    Column("project", Text, primary_key=True),
    Column("turn_id", Text, primary_key=True),
    Column("trace_id", Text, nullable=False),
)
keys: Final = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
receipts: Final = Table(
    "receipts",
    metadata,
    Column("project", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
)
aggregates: Final = Table(  # what is left of retired turns: no id, no user, no content
    "aggregates",
    metadata,
    Column("project", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("agent", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("latency", Integer, primary_key=True, autoincrement=False),
    Column("turns", BigInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float, nullable=False),
)
tool_aggregates: Final = Table(
    "tool_aggregates",
    metadata,
    Column("project", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("agent", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
)
