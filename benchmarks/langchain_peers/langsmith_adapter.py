import requests
from handlers import Handled
from langchain_core.tracers import LangChainTracer
from langsmith import Client

PACKAGES = ["langsmith"]


class Session(requests.Session):
    """Stands where the network would: drops what is posted, and says that it was accepted."""

    posted = 0

    def request(self, method, url, *args, data=None, **kwargs):
        self.posted += 1
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
            "use_multipart_endpoint": True, "size_limit": 100, "size_limit_bytes": 20_000_000,
            "scale_up_nthreads_limit": 1, "scale_up_qsize_trigger": 10_000,
            "scale_down_nempty_trigger": 4,
        }},
    )  # fmt: skip
    tracer = LangChainTracer(client=client, project_name="bench")
    return Handled(seen=lambda: session.posted, callbacks=[tracer], flush=client.flush)
