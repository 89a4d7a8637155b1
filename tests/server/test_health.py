"""Whether the server says that it lives."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_needs_no_key(serve, path):
    """Whoever watches the server needs no key, and learns nothing but that it works."""
    api = serve()
    api.key()

    reply = api.get(path, key="")
    head = api.request("HEAD", path, key="")

    assert (reply.status, reply.json) == (200, {"status": "ok"})
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(reply.body))
