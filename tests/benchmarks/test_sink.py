"""The destination of the benchmarks counts turns, not requests."""

import gzip
import urllib.error
import urllib.request

import pytest


def test_each_turn_is_counted_once_packed_or_not(program):
    """Two bodies with three different questions between them are three turns."""
    with program("sink").Sink() as sink:
        _post(sink.url, b"..Q00000001 why? Q00000002 ..")
        _post(sink.url, gzip.compress(b"Q00000002..Q00000003"), packed=True)
        counted = sink.arrived()

    assert counted == 3


def test_a_sink_that_is_down_refuses_and_comes_back_empty(program):
    """Down means no connection; up again, at the same address, it has forgotten."""
    with program("sink").Sink() as sink:
        _post(sink.url, b"Q00000001")
        sink.down()
        with pytest.raises(urllib.error.URLError):
            _post(sink.url, b"Q00000002")
        sink.up()
        _post(sink.url, b"Q00000003")
        counted = sink.arrived()

    assert counted == 1


def _post(url, body, *, packed=False):
    headers = {"Content-Encoding": "gzip"} if packed else {}
    request = urllib.request.Request(f"{url}/v1/turns", body, headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
