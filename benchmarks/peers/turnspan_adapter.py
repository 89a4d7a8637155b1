import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.testing.decorator_rules import Adapter, Record

PACKAGES = []


def make():
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=None)
    return Adapter(
        decorate=lambda kind, target: getattr(turnspan, kind)(target),
        collect=lambda: [record for turn in memory.turns for record in records(turn)],
        tells=frozenset({"parent", "input", "output", "status", "first_chunk", "cut"}),
        statuses=frozenset({"ok", "error", "cancelled", "abandoned"}),
        carry=turnspan.carry,
    )


def records(turn):
    """A turn and its steps."""
    yield told(turn, turn.agent.name, None, cut=bool(turn.truncated))
    for step in turn.steps:
        cut = any(step.id in each.where for each in turn.truncated)
        yield told(step, step.name, step.parent_id or turn.id, cut=cut)


def told(one, name, parent_id, *, cut):
    return Record(
        id=one.id,
        name=name,
        parent_id=parent_id,
        status=one.status,
        input=one.input and one.input.content,
        output=one.output and one.output.content,
        ended=one.status != "open",
        has_first_chunk=one.first_chunk_at is not None,
        is_cut=cut,
    )
