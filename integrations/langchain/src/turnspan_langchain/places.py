"""Where in a graph or chain a run stands: what its children have to know of it.

Source: langgraph 1.2 (`langgraph_node`, `langgraph_checkpoint_ns` and `checkpoint_ns` in the
metadata of a run; alike since 1.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

__all__ = ["HIDDEN", "Place", "attempt_of", "call_in", "is_graph", "role_below"]

Role = Literal["root", "agent", "node", "step", "passage"]

HIDDEN: Final = "langsmith:hidden"
_ATTEMPT: Final = "retry:attempt:"
_GRAPHS: Final = frozenset({"langgraph", "langchain_create_agent"})


class Place:
    """One for each run that is recorded; all that are passed through below it share another."""

    __slots__ = (
        "_inside",
        "agent",
        "call_id",
        "checkpoint_id",
        "depth",
        "failed",
        "has_state",
        "interrupts",
        "is_graph",
        "is_resumption",
        "name",
        "namespace",
        "role",
        "task",
        "thread",
    )

    def __init__(self, role: Role, name: str, namespace: str | None, depth: int) -> None:
        self.role: Role = role
        self.name: str = name
        self.namespace: str | None = namespace  # of the graph's task it is in
        self.depth: int = depth  # how many nodes it is inside of
        self.agent: str | None = None  # whose name LangChain gives
        self.is_graph: bool = False
        self.thread: str | None = None
        self.checkpoint_id: str | None = None  # where it was told to go on
        self.is_resumption: bool = False
        self.has_state: bool = False  # that of before
        self.interrupts: Sequence[Any] = ()
        self.failed: set[str] | None = None  # of a graph: the tasks that failed
        self.call_id: str | None = None  # of the tool call that a node was sent
        self.task: Any = None
        self._inside: Place | None = None

    def below(self, role: Role, name: str) -> Place:
        """A place in the same task."""
        place = Place(role, name, self.namespace, self.depth)
        place.agent = self.agent
        return place

    @property
    def inside(self) -> Place:
        """The place of what is passed through below it."""
        if self._inside is None:
            self._inside = self.below("passage", self.name)
            self._inside.call_id = self.call_id
        return self._inside


def is_graph(metadata: Mapping[str, Any]) -> bool:
    """Whether a root says that it is a graph; those of older versions show it later."""
    return metadata.get("ls_integration") in _GRAPHS


def role_below(above: Place, name: str, metadata: Mapping[str, Any]) -> Role:
    """What a chain that begins below ``above`` is, as far as its graph tells."""
    namespace = metadata.get("langgraph_checkpoint_ns")
    if namespace is None:
        return "step"
    if namespace != above.namespace and name == metadata.get("langgraph_node"):
        return "node"
    if namespace == metadata.get("checkpoint_ns") and not above.is_graph:
        return "agent"
    return "step"


def call_in(inputs: Any) -> str | None:
    """The id of the one tool call that a node was sent to make."""
    if isinstance(inputs, list) and len(inputs) == 1:
        inputs = {"tool_call": inputs[0]}
    call = inputs.get("tool_call") if isinstance(inputs, dict) else None
    found = call.get("id") if isinstance(call, dict) else None
    return found if isinstance(found, str) else None


def attempt_of(tags: Sequence[str] | None) -> int:
    """The number of an attempt, from 1, as LangChain's tags tell it."""
    for tag in tags or ():
        if tag.startswith(_ATTEMPT) and (number := tag.removeprefix(_ATTEMPT)).isdecimal():
            return int(number)
    return 1
