import json
import logging
import os

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")

import accepting
import mlflow
from mlflow.entities.trace_location import MlflowExperimentLocation

from turnspan.testing.decorator_rules import Adapter, Record

PACKAGES = ["mlflow-tracing", "sqlparse"]
KINDS = {"agent": "AGENT", "tool": "TOOL", "model": "LLM", "retrieval": "RETRIEVER",
         "step": "CHAIN"}  # fmt: skip


def make():
    mlflow.set_tracking_uri(f"http://127.0.0.1:{accepting.port()}")
    # What stands in for its server doesn't satisfy it: that complaint is not the library's fault.
    logging.getLogger("mlflow.tracing.export").setLevel(logging.CRITICAL)
    mlflow.tracing.set_destination(MlflowExperimentLocation("0"))
    spans = {}

    def keep(span):
        spans[span.span_id] = Record(
            id=span.span_id,
            name=span.name,
            parent_id=span.parent_id,
            status="error" if span.status.status_code.name == "ERROR" else "ok",
            input=json.dumps(span.inputs, default=str),
            output=json.dumps(span.outputs, default=str),
        )

    mlflow.tracing.configure(span_processors=[keep])
    return Adapter(
        decorate=lambda kind, target: mlflow.trace(span_type=KINDS[kind])(target),
        collect=lambda: list(spans.values()),
    )
