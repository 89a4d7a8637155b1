"""`POST /v1/traces`: spans come in, and turns are made of them."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import turnspan
from turnspan.exporters.memory import MemoryExporter
from turnspan.schema import Turn, encode_turn
from turnspan.server import Limits
from turnspan.server.assembly import Assembly
from turnspan.server.store import open_store
from turnspan.server.store.port import ArrivedSpans, KeptSpan
from turnspan.telemetry.decoding import decode_spans, from_json, from_protobuf
from turnspan.telemetry.otlp import RequestWriter
from turnspan.testing import make_step, make_turn

PROTOBUF = {"content-type": "application/x-protobuf"}
QUICK = Limits(trace_quiet_s=0.2, trace_wait_s=0.5)
RECORDED = Path(__file__).parents[1] / "telemetry" / "decoding" / "recorded"


def request_of(*turns: Turn) -> bytes:
    """Turns as an OTLP request."""
    writer = RequestWriter(content=True)
    for turn in turns:
        writer.add(orjson.loads(encode_turn(turn)))
    return writer.take()


def parts_of(turn: Turn) -> list[bytes]:
    """A turn as one request a span, the root first."""
    found = ExportTraceServiceRequest.FromString(request_of(turn))
    [group] = found.resource_spans
    [scope] = group.scope_spans
    requests = []
    for span in scope.spans:
        request = ExportTraceServiceRequest()
        request.CopyFrom(found)
        del request.resource_spans[0].scope_spans[0].spans[:]
        request.resource_spans[0].scope_spans[0].spans.append(span)
        requests.append(request.SerializeToString())
    return requests


def stored(api: Any, turn_id: str) -> Turn | None:
    """The turn as the server hands it back."""
    found = api.store.of("default").turn(turn_id)
    return None if found is None else found.turn


def eventually(look: Callable[[], Any], wanted: Any, wait_s: float = 10.0) -> Any:
    """What ``look`` sees at last, once that is ``wanted``."""
    until_s = time.monotonic() + wait_s
    while (seen := look()) != wanted and time.monotonic() < until_s:
        time.sleep(0.02)
    return seen


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_whole_turns_are_there_at_once(serve) -> None:
    """Spans of ours in one request become the turns they were, without waiting for a window."""
    api = serve()
    turns = [make_turn(index) for index in range(1, 6)]
    reply = api.post(
        "/v1/traces",
        gzip.compress(request_of(*turns)),
        headers={
            **PROTOBUF,
            "content-encoding": "gzip",
        },
    )

    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-protobuf")
    assert ExportTraceServiceResponse.FromString(reply.body) == ExportTraceServiceResponse()
    look = lambda: [stored(api, turn.id) for turn in turns]  # noqa: E731
    assert eventually(look, turns, 4.0) == turns


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
def test_spans_that_come_apart_and_twice_become_one_turn(serve) -> None:
    """A turn split over requests, out of order, each sent twice, is stored once and whole."""
    api = serve(limits=QUICK)
    turn = make_turn(steps=(make_step(), make_step(2), make_step(3, parent_id=f"{2**32 + 1:016x}")))
    root, *steps = parts_of(turn)
    for part in [*reversed(steps), *steps, root, root]:
        assert api.post("/v1/traces", part, headers=PROTOBUF).status == 200

    assert eventually(lambda: stored(api, turn.id), turn) == turn
    session = api.get("/v1/sessions/session-1").json
    assert session["turn_count"] == 1


def test_a_span_that_comes_late_makes_an_update_of_its_turn(serve) -> None:
    """A turn is made of what is there, and made anew when more of it arrives."""
    api = serve(limits=QUICK)
    turn = make_turn(steps=(make_step(), make_step(2)))
    root, first, late = parts_of(turn)
    api.post("/v1/traces", first, headers=PROTOBUF)
    cut = eventually(lambda: (stored(api, turn.id) or turn).status, "interrupted")
    api.post("/v1/traces", root, headers=PROTOBUF)
    some = eventually(lambda: stored(api, turn.id).status, "ok")
    steps = len(stored(api, turn.id).steps)
    api.post("/v1/traces", late, headers=PROTOBUF)

    assert (cut, some, steps) == ("interrupted", "ok", 1)
    assert eventually(lambda: stored(api, turn.id), turn) == turn
    assert api.get("/v1/sessions/session-1").json["turn_count"] == 1


def test_what_is_acknowledged_survives_a_kill(serve, tmp_path) -> None:
    """A server killed between a span and its turn makes the turn when it runs again."""
    url = str(tmp_path / "killed.db")
    command = [sys.executable, "-m", "turnspan", "serve", "--port", "0", "--store", url]
    with subprocess.Popen(
        [*command, "--no-access-log"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stderr.readline()
            base = next(word for word in line.split() if word.startswith("http://"))
            turn = make_turn()
            for part in reversed(parts_of(turn)):
                asked = urllib.request.Request(f"{base}/v1/traces", part, PROTOBUF)
                with urllib.request.urlopen(asked, timeout=10) as answer:
                    assert answer.status == 200
        finally:
            process.kill()
    api = serve(url=url)

    assert stored(api, turn.id) is None
    assert eventually(lambda: stored(api, turn.id), turn) == turn


def test_several_servers_on_one_postgresql_make_each_turn_once(make_database, serve) -> None:
    """Spans of a turn may reach different processes; the turn is made once, and whole."""
    url = make_database()
    servers = [serve(url=url, limits=QUICK) for _ in range(3)]
    turns = [make_turn(index, steps=(make_step(index),)) for index in range(1, 9)]
    for index, turn in enumerate(turns):
        for at, part in enumerate(parts_of(turn)):
            servers[(index + at) % 3].post("/v1/traces", part, headers=PROTOBUF)

    look = lambda: [stored(servers[0], turn.id) for turn in turns]  # noqa: E731
    assert eventually(look, turns) == turns
    assert servers[1].get("/v1/sessions/session-1").json["turn_count"] == len(turns)


def test_a_turn_recorded_by_a_decorator_arrives_over_otlp_as_it_was(serve) -> None:
    """Our own OTLP exporter and our own server are inverse of one another."""
    api = serve()
    memory = MemoryExporter()
    runtime = turnspan.configure(exporters=[memory, f"otlp+{api.url}"], directory=None)

    @turnspan.tool
    def weather(city: str) -> dict[str, str]:
        return {"city": city, "sky": "rain"}

    @turnspan.model
    def think(messages: list[dict[str, str]]) -> dict[str, str]:
        return {"role": "assistant", "content": "look it up"}

    @turnspan.agent(state=lambda: {"asked": 1})
    def support(question: str) -> str:
        think([{"role": "user", "content": question}])
        turnspan.current_turn().add_reasoning("one must look")
        turnspan.current_turn().set_metadata(tier="gold")
        return weather("Oslo")["sky"]

    with turnspan.session("s-1", user_id="ada"):
        support("Weather in Oslo?")
        with pytest.raises(TypeError):
            support(None, None)
    runtime.close(timeout_s=10)
    [turn, *_] = memory.turns

    assert eventually(lambda: stored(api, turn.id), turn) == turn
    assert (len(turn.steps), turn.state_before, turn.session_id) == (2, {"asked": 1}, "s-1")


def test_the_official_exporter_is_understood(serve) -> None:
    """What the OpenTelemetry SDK exports over OTLP/HTTP becomes a turn."""
    api = serve(limits=QUICK)
    key = api.key(scopes={"write", "read"})
    exporter = OTLPSpanExporter(f"{api.url}/v1/traces", headers={"authorization": f"Bearer {key}"})
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather"}
    agent |= {"gen_ai.conversation.id": "s-1"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}
    with (
        tracer.start_as_current_span("invoke_agent weather", attributes=agent),
        tracer.start_as_current_span("execute_tool look", attributes=tool),
    ):
        pass
    provider.shutdown()

    def look() -> list[Any]:
        found = api.get("/v1/turns").json["data"]
        return [(t["agent"]["name"], t["session_id"], len(t["steps"])) for t in found]

    assert eventually(look, [("weather", "s-1", 1)]) == [("weather", "s-1", 1)]


def test_json_is_taken_as_well_as_protobuf(serve) -> None:
    """OTLP in JSON is answered in JSON, and becomes the same turns as `convert` makes."""
    api = serve(limits=QUICK)
    body = (RECORDED / "util_genai.json").read_bytes()
    reply = api.post("/v1/traces", body, headers={"content-type": "application/json"})

    assert (reply.status, reply.json) == (200, {})
    [turn] = decode_spans(from_json(body).spans).turns
    assert eventually(lambda: stored(api, turn.id), turn) == turn


@pytest.mark.parametrize("headers, body", [(PROTOBUF, b""), (None, b"{}")])
def test_a_request_without_spans_is_taken(serve, headers, body) -> None:
    """OTLP wants success for an empty one, in either format."""
    api = serve()
    reply = api.post("/v1/traces", body, headers=headers or {"content-type": "application/json"})

    assert (reply.status, reply.body) == (200, body)


def test_a_span_that_cannot_be_read_is_counted_and_the_others_are_kept(serve) -> None:
    """partial_success says how many were rejected, and why."""
    api = serve()
    turn = make_turn()
    request = ExportTraceServiceRequest.FromString(request_of(turn))
    request.resource_spans[0].scope_spans[0].spans.add(name="no ids")
    reply = api.post("/v1/traces", request.SerializeToString(), headers=PROTOBUF)

    told = ExportTraceServiceResponse.FromString(reply.body).partial_success
    assert (reply.status, told.rejected_spans) == (200, 1)
    assert told.error_message == "a span has no valid trace id"
    assert eventually(lambda: stored(api, turn.id), turn) == turn


@pytest.mark.parametrize(
    "body, headers, status, code",
    [
        (b"{", {"content-type": "application/json"}, 400, 3),
        (b"\xff\xff", PROTOBUF, 400, 3),
        (b'{"spans":[]}', {"content-type": "application/json"}, 400, 3),
        (b"", {"content-type": "text/plain"}, 415, 3),
        (b"x", {**PROTOBUF, "content-encoding": "br"}, 415, 3),
        (b"x" * 2000, PROTOBUF, 413, 11),
    ],
)
def test_a_request_that_is_none_is_refused_as_a_status(serve, body, headers, status, code) -> None:
    """Errors are a `google.rpc.Status`, in the encoding of the request."""
    api = serve(limits=Limits(body_bytes=1000))
    reply = api.post("/v1/traces", body, headers=headers)

    assert reply.status == status
    if headers is PROTOBUF or "content-encoding" in headers:
        assert reply.headers["content-type"] == "application/x-protobuf"
        assert Status.FromString(reply.body).code == code
    else:
        assert (reply.json["code"], bool(reply.json["message"])) == (code, True)


def test_keys_and_their_scopes_are_asked_for(serve) -> None:
    """Without a key spans are refused, and with one that may only read."""
    api = serve()
    api.key(scopes={"read"})
    none = api.post("/v1/traces", request_of(make_turn()), headers=PROTOBUF, key="")
    reading = api.post("/v1/traces", request_of(make_turn()), headers=PROTOBUF)

    assert (none.status, reading.status) == (401, 403)
    assert [Status.FromString(each.body).code for each in (none, reading)] == [16, 7]


def test_too_many_requests_are_told_when_to_come_again(serve) -> None:
    """429 says by Retry-After how long to wait, as OTLP's exporters expect."""
    api = serve(limits=Limits(requests_per_s=0.1, burst=1))
    api.post("/v1/traces", b"", headers=PROTOBUF)
    reply = api.post("/v1/traces", b"", headers=PROTOBUF)

    assert (reply.status, int(reply.headers["retry-after"]) > 0) == (429, True)
    assert Status.FromString(reply.body).code == 8


def test_an_erased_session_leaves_no_span(serve, tmp_path) -> None:
    """Erasing a session removes the spans its turns were made of, and those that still wait."""
    api = serve(limits=Limits(trace_quiet_s=0.1, trace_wait_s=3600))
    made, waiting = make_turn(), make_turn(2)
    api.post("/v1/traces", request_of(made), headers=PROTOBUF)
    api.post("/v1/traces", parts_of(waiting)[1], headers=PROTOBUF)
    eventually(lambda: stored(api, made.id), made)
    store = api.store.of("default")
    before = [len(store.spans(turn.trace.trace_id)) for turn in (made, waiting)]
    api.request("DELETE", "/v1/sessions/session-1")

    assert before == [2, 1]
    assert [store.spans(turn.trace.trace_id) for turn in (made, waiting)] == [[], []]


def test_spans_are_forgotten_when_nothing_more_is_to_come(tmp_path) -> None:
    """After the time that spans are kept they are gone; their turn stays."""
    clock = Clock()
    with closing(open_store(str(tmp_path / "turns.db"), clock=clock)) as store:
        turn = make_turn()
        spans = [KeptSpan(s.span_id, s.dump()) for s in from_protobuf(request_of(turn)).spans]
        arrived = ArrivedSpans(turn.trace.trace_id, spans, rooted=True, whole=False)
        project = store.of("default")
        project.keep_spans([arrived], quiet_ns=10**9, wait_ns=10**9)
        assembly = Assembly(store, Limits(trace_kept_s=100), clock)
        seen = []
        for later_s in (0.5, 0.6, 50, 100):
            clock.now += int(later_s * 1e9)
            assembly.once()
            found = project.turn(turn.id)
            seen.append((found and found.turn, len(project.spans(turn.trace.trace_id))))

    assert seen == [(None, 2), (turn, 2), (turn, 2), (turn, 0)]


class Clock:
    """A clock that is told the time."""

    now = 10**18

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now
