"""The OpenAPI document, and a thousand requests that it does not allow."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from turnspan.schema import encode_turn
from turnspan.server import Limits
from turnspan.server.dialect import dialects
from turnspan.testing.turns import make_turn

ST = Path(sys.executable).parent / "st"
needs_schemathesis = pytest.mark.skipif(
    not ST.exists(), reason="schemathesis is not installed here: the document is not walked"
)
ODD = ["", "\0", "..", "../../etc/passwd", "%", "ü", "👩‍🚀", "'; DROP TABLE turns; --", "a" * 3000]

QUERIES = [
    "limit=0",
    "limit=501",
    "limit=x",
    "cursor=x",
    "since=yesterday",
    "status=fine",
    "period=eon",
    "by_agent=perhaps",
    "until=99999999999999999999",
    "text=" + "x" * 300,
]


THERE = """
[parameters]
"path.session_id" = "s"
"path.turn_id" = "turn_000000000001"
"path.interaction_id" = "turn_000000000001"
"path.agent_id" = "a"
"header.x-project-id" = "default"
"""
"""So that not every answer is a 404."""
UNTOLD = "".join(
    f"""
[[operations]]
include-name = "{operation}"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]
"""
    for operation in (
        "GET /v1/sessions",
        "GET /v1/sessions/{session_id}/turns",
        "POST /v1/sessions/{session_id}/fork",
        "POST /v1/sessions/{session_id}/rollback",
        "POST /v1/sessions/{session_id}/state/rollback",
    )
)
"""No document can say that `starting_after` and `version` name what is there."""


@needs_schemathesis
@pytest.mark.parametrize("name", sorted(dialects()))
def test_what_the_document_says_is_what_is_answered(serve, tmp_path, name):
    """schemathesis finds no answer that a dialect's document does not tell, with all its checks."""
    api = serve()
    turn = make_turn(1, session_id="s", started_at=time.time_ns(), ended_at=time.time_ns())
    assert api.post("/v1/turns", json.loads(encode_turn(turn))).status == 200
    (tmp_path / "schemathesis.toml").write_text(THERE + UNTOLD * (name == "statebase"))
    asked = ["--checks", "all", "--phases", "coverage,fuzzing", "--max-examples", "2"]
    where = ["--url", f"{api.url}/{name}", "--header", f"Authorization: Bearer {api.key()}"]
    found = subprocess.run(
        [ST, "--no-color", "run", f"{api.url}/{name}/openapi.json", "--seed", "1", *asked, *where],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )

    assert found.returncode == 0, found.stdout[-5_000:]


def test_a_thousand_malformed_requests_are_refused_one_by_one(serve):
    """Broken JSON, wrong types, odd ids, bombs and long heads get a 4xx in problem details."""
    api = serve(limits=Limits(requests_per_s=1e6, burst=1_000_000, receive_s=2.0))
    draw = random.Random(0)
    whole = encode_turn(make_turn(1))
    odd = {}

    for number in range(1_000):
        method, path, body, headers = malformed(draw, whole)
        reply = api.request(method, path, body, headers=headers)
        kind = reply.headers.get("content-type")
        if not 400 <= reply.status < 500 or kind != "application/problem+json":
            odd[number] = (method, path[:80], reply.status, reply.body[:200])

    assert odd == {}
    assert api.get("/v1/turns").json == {"data": [], "next_cursor": None}


def malformed(draw, whole):
    """A request that nobody means."""
    return draw.choice([broken_json, wrong_type, odd_path, odd_query, odd_encoding, long_head])(
        draw, whole
    )


def broken_json(draw, whole):
    at = draw.randrange(1, len(whole) - 2)
    body = draw.choice([whole[:at], b"", b"\xff\xfe", b"[" * 100_000, b"nul", b'{"a":1e999}'])
    return "POST", "/v1/turns", body, {"content-type": "application/json"}


def wrong_type(draw, whole):
    record = json.loads(whole)
    field = draw.choice(["id", "agent", "started_at", "steps", "trace", "messages", "status"])
    record[field] = draw.choice([None, True, "x" * 300, 1.5, -(2**70), {"a": []}, [[]]])
    if field == "id":
        record[field] = draw.choice([None, 1, "", "x" * 300, []])
    return "POST", "/v1/turns", record, {}


def odd_path(draw, _whole):
    part = draw.choice([quote(draw.choice(ODD), safe=""), "%ff", "%c0%af", "..%2f..%2f", "%00"])
    path = draw.choice([f"/v1/turns/{part}", f"/v1/{part}/x", f"/v1/turns/{part}/feedback"])
    return draw.choice(["GET", "POST", "PATCH", "TRACE"]), path, None, {}


def odd_query(draw, _whole):
    query = draw.choice(QUERIES)
    path = "/v1/stats" if query.startswith(("period", "by_agent")) else "/v1/turns"
    return "GET", f"{path}?{query}", None, {}


def odd_encoding(draw, whole):
    encoding = draw.choice(["gzip", "zstd", "br", "deflate", "gzip,gzip", "\x01"])
    body = draw.choice([whole, b"", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd" + b"x" * 50])
    return "POST", "/v1/turns", body, {"content-encoding": encoding}


def long_head(draw, _whole):
    path, headers = draw.choice(
        [("/v1/turns?text=" + "x" * 40_000, {}), ("/v1/turns", {"x-long": "x" * 20_000})]
    )
    return "GET", path, None, headers


def test_each_dialect_s_document_names_its_own_place(serve):
    """A client made of it asks below `/NAME`, wherever paths are those of several dialects."""
    api = serve()
    turn = json.loads(encode_turn(make_turn(1, session_id="s")))

    documents = {name: api.get(f"/{name}/openapi.json").json for name in dialects()}
    post = api.post("/native/v1/turns", turn)
    listed = api.get("/native/v1/sessions", headers={"x-api-key": "none"})

    assert {name: each.get("servers") for name, each in documents.items()} == {
        name: None if name == "native" else [{"url": f"/{name}"}] for name in dialects()
    }
    assert documents["native"] == api.get("/openapi.json").json
    assert (post.status, listed.json["data"][0]["id"]) == (200, "s")
