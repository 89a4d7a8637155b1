"""What plug-ins draw from an exchange. None is installed by default: nothing is drawn.

An entry point of the group `turnspan.extractors` names an object (a module will do) that has one
of these, or both:

    mood(turn: Turn) -> Mapping | None       before POST /turn is answered: it must be quick
    extract(turn: Turn) -> Mapping | None    in the background

`mood` gives `valence`, `arousal`, `tension` and `affiliation`, and perhaps `reason` and
`trigger_type`. What `extract` gives is kept in the turn's metadata under `sonzai.extracted`, by
the name of the entry point; lists called `facts`, `habits` and `interests` are counted where a
client is told how many were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from turnspan.notices import say
from turnspan.server.routes.sonzai.bodies import Mood

if TYPE_CHECKING:
    from turnspan.schema import Turn

__all__ = ["EXTRACTED", "MOOD", "extracted", "extractors", "mood_of"]

GROUP: Final = "turnspan.extractors"
EXTRACTED: Final = "sonzai.extracted"
MOOD: Final = "sonzai.mood"


@cache
def extractors() -> Mapping[str, Any]:
    """The plug-ins that are installed, by name; one that cannot be loaded is left out."""
    from importlib.metadata import entry_points

    found: dict[str, Any] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            found[point.name] = point.load()
        except Exception as error:  # noqa: BLE001  # border: a plug-in's code
            say(f"extractor {point.name}", "cannot be loaded: %s", type(error).__qualname__)
    return found


def mood_of(turn: Turn) -> dict[str, Any] | None:
    """The mood that the first plug-in with an opinion sees; what it gets wrong is no mood."""
    for name, plugin in extractors().items():
        if not hasattr(plugin, "mood"):
            continue
        try:
            told = plugin.mood(turn)
            if told is not None:
                return Mood.model_validate(dict(told)).model_dump(exclude_none=True)
        except Exception as error:  # noqa: BLE001  # border: a plug-in's code
            say(f"extractor {name}", "found no mood: %s", type(error).__qualname__)
    return None


def extracted(turn: Turn) -> tuple[dict[str, Any], Exception | None]:
    """What each plug-in draws from ``turn``, and the first failure."""
    found: dict[str, Any] = {}
    failure: Exception | None = None
    for name, plugin in extractors().items():
        if not hasattr(plugin, "extract"):
            continue
        try:
            told = plugin.extract(turn)
            if told is not None:
                found[name] = orjson.loads(orjson.dumps(dict(told)))
        except Exception as error:  # noqa: BLE001  # border: a plug-in's code
            say(f"extractor {name}", "failed: %s", type(error).__qualname__)
            failure = failure or error
    return found, failure
