"""See a turn as an OpenTelemetry trace, sent by OTLP to a backend.

Any OTLP/HTTP backend will do: give its URL with `otlp+` before it. The receiver here stands
in for one; it decodes with `opentelemetry-proto`: install that, turnspan does without.
"""

import gzip
from http.server import BaseHTTPRequestHandler, HTTPServer
from tempfile import TemporaryDirectory
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import turnspan

received = ExportTraceServiceRequest()


class Receiver(BaseHTTPRequestHandler):
    """Takes what is posted to /v1/traces."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":  # metrics come to /v1/metrics
            received.MergeFromString(gzip.decompress(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@turnspan.tool
def look_up(word: str) -> str:
    return {"turn": "one exchange between a user and an agent"}[word]


@turnspan.agent
def dictionary(word: str) -> str:
    return f"A {word} is {look_up(word)}."


server = HTTPServer(("127.0.0.1", 0), Receiver)
Thread(target=server.serve_forever, daemon=True).start()
backend = f"otlp+http://127.0.0.1:{server.server_port}"
with TemporaryDirectory() as directory, turnspan.session("words"):
    turnspan.configure(exporters=[backend], directory=directory)
    dictionary("turn")
    turnspan.close()
root, tool = received.resource_spans[0].scope_spans[0].spans
print(root.name, "|", tool.name, "|", tool.parent_span_id == root.span_id)
for attribute in tool.attributes:
    if attribute.key in ("gen_ai.conversation.id", "gen_ai.tool.call.result"):
        print(attribute.key, "=", attribute.value.string_value)

# prints:
#   invoke_agent dictionary | execute_tool look_up | True
#   gen_ai.conversation.id = words
#   gen_ai.tool.call.result = {"result":"one exchange between a user and an agent"}
