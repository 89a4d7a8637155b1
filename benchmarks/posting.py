"""Requests to a server on loopback, ready-made, over two connections side by side."""

import http.client
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

CONNECTIONS = 2
LONGEST_S = 600


def posted(port: int, path: str, bodies: Sequence[bytes], headers: Mapping[str, str]) -> None:
    """Return when every one of the gzipped ``bodies`` is answered with 200."""

    def send(some: Sequence[bytes]) -> None:
        connected = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)
        with closing(connected) as connection:
            for body in some:
                connection.request("POST", path, body, {**headers, "content-encoding": "gzip"})
                answer = connection.getresponse()
                said = answer.read()
                assert answer.status == 200, (answer.status, said[:500])

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send, [bodies[start::CONNECTIONS] for start in range(CONNECTIONS)]))
