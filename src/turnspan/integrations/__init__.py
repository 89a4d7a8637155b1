"""What integrations stand on: a framework's runs become turns and steps.

A plugin needs these names from here: `Runs`, which records by run id, `Opening`, which says
what a turn is, `contained`, which keeps a plugin's own failures from its framework, and
`Patches`, for frameworks that offer no callback, with `Installed`, which takes them back.
Traces across processes are the matter of `propagation`, `httpx`, `asgi` and `mcp` here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.integrations.border import contained
    from turnspan.integrations.installed import Installed
    from turnspan.integrations.patches import Patches
    from turnspan.integrations.runs import Opening, Runs, Waiting

__all__ = ["Installed", "Opening", "Patches", "Runs", "Waiting", "contained"]

_HOMES = {
    "Installed": "turnspan.integrations.installed",
    "Opening": "turnspan.integrations.runs",
    "Patches": "turnspan.integrations.patches",
    "Runs": "turnspan.integrations.runs",
    "Waiting": "turnspan.integrations.runs",
    "contained": "turnspan.integrations.border",
}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
