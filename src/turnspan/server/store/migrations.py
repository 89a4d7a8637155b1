"""How a database gets from any released version to this one: numbered steps.

Each is run once, and never edited once it was released; a change is a further step. Words in
braces differ between the databases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, inspect, text

from turnspan.errors import StoreError

__all__ = ["NEWEST", "STEPS", "migrate", "version_of"]

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (  # 1: turns, their steps, their sessions
        """CREATE TABLE turns (
            seq {seq} PRIMARY KEY, project TEXT NOT NULL, id TEXT NOT NULL, session_id TEXT,
            number BIGINT, agent TEXT NOT NULL, user_id TEXT, status TEXT NOT NULL,
            started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL, latency INTEGER NOT NULL,
            input_tokens BIGINT, output_tokens BIGINT, cost_usd {float}, labels {labels},
            stored_at BIGINT NOT NULL)""",
        "CREATE UNIQUE INDEX turns_id ON turns (project, id)",
        "CREATE INDEX turns_time ON turns (project, started_at, seq)",
        "CREATE INDEX turns_session ON turns (project, session_id, started_at, seq)",
        "CREATE INDEX turns_user ON turns (project, user_id, started_at, seq)",
        "CREATE INDEX turns_agent ON turns (project, agent, started_at, seq)",
        "CREATE TABLE details (seq {seq} PRIMARY KEY, raw {bytes} NOT NULL)",
        """CREATE TABLE steps (
            turn_seq BIGINT NOT NULL, position INTEGER NOT NULL, project TEXT NOT NULL,
            kind TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
            started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL,
            PRIMARY KEY (turn_seq, position)) {no_rowid}""",
        "CREATE INDEX steps_tool ON steps (project, name, turn_seq) WHERE kind = 'tool'",
        """CREATE TABLE sessions (
            seq {auto_seq} PRIMARY KEY, project TEXT NOT NULL, id TEXT NOT NULL, agent TEXT,
            user_id TEXT, title TEXT, metadata TEXT NOT NULL, labels {labels},
            details TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
            ended_at BIGINT, expires_at BIGINT, first_at BIGINT, last_at BIGINT,
            turn_count BIGINT NOT NULL, last_number BIGINT NOT NULL,
            state_version BIGINT NOT NULL)""",
        "CREATE UNIQUE INDEX sessions_id ON sessions (project, id)",
        "CREATE INDEX sessions_time ON sessions (project, created_at, seq)",
        "CREATE INDEX sessions_user ON sessions (project, user_id)",
        "{search}",
    ),
    (  # 2: what hangs on them, and who may ask
        """CREATE TABLE states (
            project TEXT NOT NULL, session_id TEXT NOT NULL, version BIGINT NOT NULL,
            state TEXT NOT NULL, created_at BIGINT NOT NULL, "by" TEXT, reason TEXT,
            restored_from BIGINT, after_seq BIGINT NOT NULL,
            PRIMARY KEY (project, session_id, version))""",
        """CREATE TABLE feedback (
            project TEXT NOT NULL, id TEXT NOT NULL, turn_id TEXT NOT NULL,
            author TEXT NOT NULL, rating TEXT, score {float}, comment TEXT,
            created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
            PRIMARY KEY (project, id))""",
        "CREATE INDEX feedback_turn ON feedback (project, turn_id)",
        """CREATE TABLE artifacts (
            project TEXT NOT NULL, id TEXT NOT NULL, session_id TEXT NOT NULL,
            turn_id TEXT NOT NULL, type TEXT NOT NULL, title TEXT NOT NULL,
            description TEXT NOT NULL, uri TEXT NOT NULL, metadata TEXT NOT NULL,
            created_at BIGINT NOT NULL, PRIMARY KEY (project, id))""",
        "CREATE INDEX artifacts_session ON artifacts (project, session_id, created_at)",
        """CREATE TABLE jobs (
            project TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
            payload TEXT NOT NULL, result TEXT, error TEXT, attempt INTEGER NOT NULL,
            session_id TEXT, user_id TEXT, created_at BIGINT NOT NULL, started_at BIGINT,
            finished_at BIGINT, lease_until BIGINT, PRIMARY KEY (project, id))""",
        "CREATE INDEX jobs_waiting ON jobs (created_at) WHERE state IN ('queued', 'running')",
        """CREATE TABLE answers (
            project TEXT NOT NULL, route TEXT NOT NULL, "key" TEXT NOT NULL,
            fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body {bytes} NOT NULL,
            media_type TEXT NOT NULL, headers TEXT NOT NULL, session_id TEXT, user_id TEXT,
            created_at BIGINT NOT NULL, PRIMARY KEY (project, route, "key"))""",
        "CREATE INDEX answers_time ON answers (created_at)",
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL,
            scopes TEXT NOT NULL, digest {bytes} NOT NULL, created_at BIGINT NOT NULL,
            revoked_at BIGINT)""",
        """CREATE TABLE receipts (
            project TEXT NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, at BIGINT NOT NULL,
            counts TEXT NOT NULL, PRIMARY KEY (project, id))""",
    ),
    (  # 3: what is left of turns that were retired
        """CREATE TABLE aggregates (
            project TEXT NOT NULL, hour BIGINT NOT NULL, agent TEXT NOT NULL,
            status TEXT NOT NULL, latency INTEGER NOT NULL, turns BIGINT NOT NULL,
            duration BIGINT NOT NULL, input_tokens BIGINT NOT NULL,
            output_tokens BIGINT NOT NULL, cost_usd {float} NOT NULL,
            PRIMARY KEY (project, hour, agent, status, latency))""",
        """CREATE TABLE tool_aggregates (
            project TEXT NOT NULL, hour BIGINT NOT NULL, agent TEXT NOT NULL,
            name TEXT NOT NULL, calls BIGINT NOT NULL, errors BIGINT NOT NULL,
            PRIMARY KEY (project, hour, agent, name))""",
    ),
    (  # 4: spans that wait for the rest of their turn
        """CREATE TABLE traces (
            project TEXT NOT NULL, trace_id TEXT NOT NULL, version BIGINT NOT NULL,
            span_count BIGINT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
            rooted INTEGER NOT NULL, due_at BIGINT, PRIMARY KEY (project, trace_id))""",
        "CREATE INDEX traces_due ON traces (due_at) WHERE due_at IS NOT NULL",
        "CREATE INDEX traces_done ON traces (last_at) WHERE due_at IS NULL",
        """CREATE TABLE spans (
            project TEXT NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL,
            seq BIGINT NOT NULL, session_id TEXT, user_id TEXT, raw {bytes} NOT NULL,
            PRIMARY KEY (project, trace_id, span_id))""",
        "CREATE INDEX spans_session ON spans (project, session_id)",
        "CREATE INDEX spans_user ON spans (project, user_id)",
        """CREATE TABLE trace_turns (
            project TEXT NOT NULL, turn_id TEXT NOT NULL, trace_id TEXT NOT NULL,
            PRIMARY KEY (project, turn_id))""",
        "CREATE INDEX trace_turns_trace ON trace_turns (project, trace_id)",
    ),
)
NEWEST: Final = len(STEPS)


def version_of(connection: Connection) -> int:
    """The last step the database has been through; 0 where it is empty."""
    if not inspect(connection).has_table("schema_versions"):
        return 0
    return int(connection.exec_driver_sql("SELECT max(version) FROM schema_versions").scalar() or 0)


def migrate(
    connection: Connection, words: Mapping[str, str], *, now_ns: int, to: int = NEWEST
) -> int:
    """Take every step that is missing, in the transaction of ``connection``; how many it took.

    The caller sees to it that nobody else migrates at the same time.

    Raises:
        StoreError: the database is of a later version than this program.
    """
    version = version_of(connection)
    if version > NEWEST:
        raise StoreError(
            f"the store is of version {version}, and this turnspan knows {NEWEST}",
            fix="upgrade turnspan, or name another --store",
        )
    if version == 0:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY, at BIGINT)"
        )
    for number in range(version + 1, to + 1):
        for statement in STEPS[number - 1]:
            connection.exec_driver_sql(statement.format_map(words))
        connection.execute(
            text("INSERT INTO schema_versions VALUES (:number, :at)"),
            {"number": number, "at": now_ns},
        )
    return max(0, to - version)
