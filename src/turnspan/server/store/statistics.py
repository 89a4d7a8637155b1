"""Numbers over turns: of those that are there in detail, and of those that were retired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, case, distinct, func, literal_column, select

from turnspan.server.store.latency import quantiles_ms
from turnspan.server.store.listing import condition
from turnspan.server.store.port import Period, Statistics, ToolUse, TurnFilter, Usage
from turnspan.server.store.rows import clean
from turnspan.server.store.tables import aggregates, steps, tool_aggregates, turns

if TYPE_CHECKING:
    from turnspan.server.store.transaction import Transaction

__all__ = ["HOUR_NS", "statistics", "tool_use", "usage"]

HOUR_NS: Final = 3_600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
EARLIEST_NS: Final = -(2**63)
"""That a database can be asked for."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENDED: Final = frozenset({"ok", "error", "interrupted"})
_Group = tuple[int | None, str | None]


@dataclass(slots=True)
class _Sums:
    """What is added up of a group."""

    statuses: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    duration_ns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def add(self, row: Any) -> None:
        """Add a row of counts."""
        self.statuses[row.status] += row.turns
        self.latencies[row.latency] += row.turns
        self.duration_ns += int(row.duration or 0)
        self.input_tokens += int(row.input_tokens or 0)
        self.output_tokens += int(row.output_tokens or 0)
        self.cost_usd += float(row.cost_usd or 0.0)


def statistics(
    tx: Transaction, where: TurnFilter, *, by: Period | None, by_agent: bool
) -> list[Statistics]:
    """Numbers of each group, in the order of time and agent."""
    sums: dict[_Group, _Sums] = {}
    for row in _counted(tx, where, by=by, by_agent=by_agent):
        start = None if by is None else _start(row.at, by)
        group = start, row.agent if by_agent else None
        sums.setdefault(group, _Sums()).add(row)
    return [_statistics(*group, sums[group]) for group in sorted(sums, key=_order)]


def tool_use(tx: Transaction, where: TurnFilter) -> Mapping[str, ToolUse]:
    """Calls and errors of each tool, by its name."""
    errors = func.sum(case((steps.c.status == "error", 1), else_=0))
    asked = (
        select(steps.c.name, func.count(), errors)
        .join(turns, turns.c.seq == steps.c.turn_seq)
        .where(condition(tx, where), steps.c.kind == "tool", steps.c.status != "paused")
        .group_by(steps.c.name)
    )
    calls: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for name, count, broken in [*tx.connection.execute(asked), *_retired_tools(tx, where)]:
        calls[name] += int(count)
        failed[name] += int(broken)
    return {name: ToolUse(calls=calls[name], errors=failed[name]) for name in sorted(calls)}


def usage(tx: Transaction, since: int, until: int) -> Usage:
    """What was used between two times."""
    where = TurnFilter(since=since, until=until)
    asked = select(
        func.count(),
        func.count(distinct(turns.c.session_id)),
        func.count(distinct(turns.c.user_id)),
    ).where(condition(tx, where))
    count, sessions, users = tx.connection.execute(asked).one()
    retired = select(func.sum(aggregates.c.turns)).where(*_retired(tx, where, aggregates))
    count += int(tx.connection.execute(retired).scalar() or 0)
    return Usage(turns=count, sessions=sessions, users=users)


def _counted(
    tx: Transaction, where: TurnFilter, *, by: Period | None, by_agent: bool
) -> Iterator[Any]:
    """Rows of counts, by hour or day, agent, status and latency."""
    span_ns = HOUR_NS if by == "hour" else DAY_NS
    at = literal_column("0" if by is None else f"started_at / {span_ns} * {span_ns}", Integer)
    groups = [at, *([turns.c.agent] if by_agent else []), turns.c.status, turns.c.latency]
    asked = (
        select(
            at.label("at"),
            *groups[1:],
            func.count().label("turns"),
            tx.backend.total(turns.c.ended_at - turns.c.started_at).label("duration"),
            tx.backend.total(turns.c.input_tokens).label("input_tokens"),
            tx.backend.total(turns.c.output_tokens).label("output_tokens"),
            func.sum(turns.c.cost_usd).label("cost_usd"),
        )
        .where(condition(tx, where))
        .group_by(*groups[int(by is None) :])
    )
    yield from tx.connection.execute(asked)
    if _is_kept_of_retired(where):
        old = select(aggregates, aggregates.c.hour.label("at"))
        yield from tx.connection.execute(old.where(*_retired(tx, where, aggregates)))


def _retired_tools(tx: Transaction, where: TurnFilter) -> Iterable[Any]:
    if not _is_kept_of_retired(where) or where.statuses:
        return ()
    own = tool_aggregates.c
    asked = (
        select(own.name, func.sum(own.calls), func.sum(own.errors))
        .where(*_retired(tx, where, tool_aggregates))
        .group_by(own.name)
    )
    return tx.connection.execute(asked)


def _is_kept_of_retired(where: TurnFilter) -> bool:
    """Whether the numbers of retired turns can tell which of them are meant."""
    unknown = (where.session_id, where.user_id, where.tool, where.text)
    return all(each is None for each in unknown) and not where.metadata


def _retired(tx: Transaction, where: TurnFilter, table: Any) -> list[Any]:
    """Whole hours only: an hour that a time cuts through counts by its beginning."""
    asked = [table.c.project == tx.project]
    if where.agent is not None:
        asked.append(table.c.agent == clean(where.agent))
    if where.since is not None:
        hour = where.since // HOUR_NS * HOUR_NS
        asked.append(table.c.hour >= max(hour, EARLIEST_NS))
    if where.until is not None:
        asked.append(table.c.hour < where.until)
    if where.statuses and "status" in table.c:
        asked.append(table.c.status.in_(sorted(where.statuses)))
    return asked


def _statistics(start: int | None, agent: str | None, sums: _Sums) -> Statistics:
    total = sums.statuses.total()
    ended = sum(sums.statuses[status] for status in _ENDED)
    mean_ms = sums.duration_ns / total / 1e6
    return Statistics(
        period_start=start,
        agent=agent,
        turns=total,
        by_status=dict(sorted(sums.statuses.items())),
        success_rate=sums.statuses["ok"] / ended if ended else None,
        latency_ms={"mean": mean_ms, **quantiles_ms(sums.latencies)},
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cost_usd=sums.cost_usd,
    )


def _start(at: int, by: Period) -> int:
    """The beginning of the period, in UTC, that holds ``at``."""
    if by == "hour":
        return at // HOUR_NS * HOUR_NS
    day = at // DAY_NS
    if by == "day":
        return day * DAY_NS
    date = _EPOCH + timedelta(days=day)
    if by == "week":
        return (day - date.weekday()) * DAY_NS
    return (day - date.day + 1) * DAY_NS


def _order(group: _Group) -> tuple[int, str]:
    return group[0] or 0, group[1] or ""
