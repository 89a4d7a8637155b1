"""Runs a program that configures its own exporters, and adds the one the environment names.

Prints, behind whatever the program prints, one line: the turns it recorded, as JSON.
"""

import json
import os
import runpy
import sys
from typing import Any

import turnspan
from turnspan.exporters.memory import MemoryExporter

recorded = MemoryExporter(name="for the test")
configure = turnspan.configure


def configure_for_tool(*, exporters: Any = None, **rest: Any) -> Any:
    given = [] if exporters is None else list(exporters)
    return configure(exporters=[*given, recorded, os.environ["TURNSPAN_EXPORTERS"]], **rest)


turnspan.configure = configure_for_tool
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
report = turnspan.close(timeout_s=120)
assert report.unsent == 0, report
print(json.dumps([turn.model_dump(mode="json") for turn in recorded.turns]))
