"""What a turn says it produced: the entry `artifacts` of its metadata.

    turnspan.current_turn().set_metadata(artifacts=[
        {"uri": "s3://charts/1.json", "type": "chart", "title": "Sales"},
    ])

An entry that is no object with a `uri` and a `type` is metadata like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from turnspan.server.store.port import Artifact, TurnStore

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = ["ENTRY", "artifacts_of", "keep_artifacts"]

ENTRY: Final = "artifacts"
MAX_OF_TURN: Final = 100
"""As many of a turn's artifacts are listed."""


def keep_artifacts(store: TurnStore, turns: Iterable[Turn]) -> None:
    """Keep the artifacts of ``turns`` that are stored: each once, whoever sends it again."""
    found = [each for turn in turns if ENTRY in turn.metadata for each in artifacts_of(turn)]
    if found:
        store.add_artifacts(found)


def artifacts_of(turn: Turn) -> Iterator[Artifact]:
    """What ``turn`` says it produced; nothing where it has no session to find it by."""
    said = turn.metadata.get(ENTRY)
    if turn.session_id is None or not isinstance(said, list):
        return
    for index, each in enumerate(said[:MAX_OF_TURN]):
        if isinstance(each, Mapping) and _is_text(each, "uri") and _is_text(each, "type"):
            yield Artifact(
                id=f"{turn.id}/{index}",
                session_id=turn.session_id,
                turn_id=turn.id,
                type=each["type"],
                uri=each["uri"],
                title=_text(each, "title"),
                description=_text(each, "description"),
                metadata=_object(each, "metadata"),
                created_at=turn.ended_at,
            )


def _is_text(entry: Mapping[str, Any], name: str) -> bool:
    return isinstance(entry.get(name), str)


def _text(entry: Mapping[str, Any], name: str) -> str:
    return str(entry[name]) if _is_text(entry, name) else ""


def _object(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = entry.get(name)
    return dict(found) if isinstance(found, Mapping) else {}
