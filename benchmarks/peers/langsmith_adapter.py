import json
import os
import time

os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_API_KEY="lsv2_x", LANGSMITH_PROJECT="rules")

import requests
from langsmith import Client, traceable

from turnspan.testing.decorator_rules import Adapter, Record

PACKAGES = ["langsmith"]
PATIENCE_S = 1.0  # ends are posted from a thread, and later than the call returns
KINDS = {"agent": "chain", "tool": "tool", "model": "llm", "retrieval": "retriever",
         "step": "chain"}  # fmt: skip


class Session(requests.Session):
    """Stands where the network would: keeps what is posted, and says that it was accepted."""

    def __init__(self):
        super().__init__()
        self.runs = {}

    def request(self, method, url, *args, data=None, **kwargs):
        if data and url.endswith("/runs/batch"):
            for runs in json.loads(data).values():
                for run in runs:
                    self.runs.setdefault(run["id"], {}).update(run)
        answer = requests.Response()
        answer.status_code, answer._content, answer.request = 202, b"{}", requests.Request()
        return answer


def make():
    session = Session()
    client = Client(
        api_url="http://127.0.0.1:9",
        api_key="lsv2_x",
        session=session,
        info={"batch_ingest_config": {
            "use_multipart_endpoint": False, "size_limit": 100, "size_limit_bytes": 20_000_000,
            "scale_up_nthreads_limit": 1, "scale_up_qsize_trigger": 10_000,
            "scale_down_nempty_trigger": 4,
        }},
    )  # fmt: skip

    def runs():
        return list(session.runs.values())

    def collect():
        until_s = time.monotonic() + PATIENCE_S
        client.flush()
        while time.monotonic() < until_s and any(not run.get("end_time") for run in runs()):
            time.sleep(0.02)
            client.flush()
        return [record(run) for run in runs()]

    return Adapter(
        decorate=lambda kind, target: traceable(run_type=KINDS[kind], client=client)(target),
        collect=collect,
    )


def record(run):
    return Record(
        id=run["id"],
        name=run.get("name", "unnamed"),
        parent_id=run.get("parent_run_id"),
        status="error" if run.get("error") else "ok",
        input=json.dumps(run.get("inputs")),
        output=json.dumps(run.get("outputs")),
        ended=bool(run.get("end_time")),
    )
