"""PostgreSQL goes away beneath a server, and comes back."""

from __future__ import annotations

import psycopg
import pytest

from turnspan.schema import encode_turn
from turnspan.testing.turns import make_turn

ON_POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
NDJSON = {"content-type": "application/x-ndjson"}
PATHS = [
    "/v1/turns",
    "/statebase/v1/sessions",
    "/sonzai/api/v1/agents/a/context?userId=u",
    "/emergence/talk2data/chat/sessions/s",
    "/uniqos/v1/interactions",
]


@pytest.fixture
def allow(store_url, postgresql):
    """Lets connections to the store's database in, or ends those there are and lets none in."""
    name = store_url.rpartition("/")[2]

    def allow(are):
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {are}")
            if not are:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [name],
                )

    yield allow
    allow(True)


@ON_POSTGRESQL
@pytest.mark.parametrize("has_keys", [True, False])
def test_a_database_that_is_away_is_unavailable_in_every_dialect(serve, allow, has_keys):
    """Keys that cannot be looked up are no failure of ours, nor is the caller unknown."""
    api = serve()
    headers = {"x-project-id": "default"}
    if has_keys:
        api.key()
    allow(False)

    away = [api.get(path, headers=headers) for path in PATHS]
    refused = api.post("/v1/turns", encode_turn(make_turn(1)), headers=NDJSON)
    ready = api.get("/health/ready")
    allow(True)
    stored = api.post("/v1/turns", encode_turn(make_turn(1)), headers=NDJSON)
    back = [api.get(path, headers=headers).status for path in PATHS]

    assert [each.status for each in (*away, refused, ready)] == [503] * 7
    assert {each.headers["retry-after"] for each in (*away, refused)} == {"1"}
    assert stored.json["results"][0]["status"] == "stored"
    assert back == [200, 200, 200, 404, 200]
