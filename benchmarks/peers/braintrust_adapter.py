import json
import os

os.environ.update(BRAINTRUST_API_KEY="sk-x", BRAINTRUST_APP_URL="http://127.0.0.1:9")

from braintrust import logger, traced
from braintrust.test_helpers import init_test_logger, simulate_login
from braintrust.util import LazyValue

from turnspan.testing.decorator_rules import Adapter, Record

PACKAGES = ["braintrust", "pytest"]  # its memory logger is among its test helpers
KINDS = {"agent": "task", "tool": "tool", "model": "llm", "step": "function"}


def make():
    simulate_login()
    recording = logger._internal_with_memory_background_logger()
    memory = recording.__enter__()
    logger._state._global_bg_logger = LazyValue(lambda: memory, use_mutex=False)
    init_test_logger("rules")
    kept = {}

    def collect(_kept=recording):  # a context manager that is dropped is left
        for row in memory.pop():
            known = kept.setdefault(row["span_id"], {})
            known.update({k: v for k, v in row.items() if v is not None or k not in known})
        return [record(row) for row in kept.values()]

    return Adapter(
        decorate=lambda kind, target: traced(type=KINDS[kind])(target),
        collect=collect,
        kinds=tuple(KINDS),
    )


def record(row):
    return Record(
        id=row["span_id"],
        name=(row.get("span_attributes") or {}).get("name", "unnamed"),
        parent_id=(row.get("span_parents") or [None])[0],
        status="error" if row.get("error") else "ok",
        input=text(row.get("input")),
        output=text(row.get("output")),
        ended=(row.get("metrics") or {}).get("end") is not None,
    )


def text(value):
    return json.dumps(value, default=str)
