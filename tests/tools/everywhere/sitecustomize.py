"""In each Python that a program starts: its turns also go to the tool, and to a file to compare.

Only for programs that say themselves where turns go; the tests put this folder on PYTHONPATH.
"""

import os
from typing import Any

import turnspan

configure, close = turnspan.configure, turnspan.close


def configure_for_tool(*, exporters: Any = None, **rest: Any) -> Any:
    too = [os.environ["TURNSPAN_EXPORTERS"], f"file:{os.environ['RECORDED']}"]
    return configure(exporters=[*(exporters or ()), *too], **rest)


def close_patiently(timeout_s: float = 120) -> Any:
    return close(max(timeout_s, 120))


turnspan.configure, turnspan.close = configure_for_tool, close_patiently
