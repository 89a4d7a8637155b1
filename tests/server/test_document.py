"""The OpenAPI document, and a thousand requests that it does not allow."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from turnspan.schema import encode_turn
from turnspan.server import Limits
from turnspan.server.dialect import NATIVE, dialects
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


@needs_schemathesis
def test_what_the_document_says_is_what_is_answered(serve):
    """schemathesis finds no answer that the document does not tell, with all its checks."""
    # Alone: another dialect takes methods at these paths that are none of the native API's.
    api = serve(known={NATIVE: dialects()[NATIVE]})
    asked = ["--checks", "all", "--phases", "coverage,fuzzing", "--max-examples", "4"]
    found = subprocess.run(
        [ST, "run", f"{api.url}/openapi.json", *asked, "--seed", "1", "--no-color"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
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
