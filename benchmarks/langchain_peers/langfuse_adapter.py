from handlers import Dropping, Handled
from langfuse import Langfuse
from langfuse.langchain import CallbackHandler

PACKAGES = ["langfuse"]


def make():
    exporter = Dropping()
    client = Langfuse(
        public_key="pk-lf-x",
        secret_key="sk-lf-x",
        base_url="http://127.0.0.1:9",
        span_exporter=exporter,
    )
    handler = CallbackHandler()
    return Handled(seen=lambda: exporter.count, callbacks=[handler], flush=client.flush)
