"""`turnspan serve`: the Turns API, in every dialect, over one store.

    uvicorn ──► Gate ──► one FastAPI application a dialect ──► TurnStore ──► SQLite, PostgreSQL
                 │            (routes/NAME.py)                 (store/port.py)
                 └─ path, host, key, rate, body: the same for all, answered in the dialect's words

To add a dialect, add two files; no list is edited.

1. `turnspan/dialects/NAME.py`: the vendor's wire models and the mapping of a `Turn` both ways.
   No FastAPI, no store: it sees errors, schema and settings only.
2. `turnspan/server/routes/NAME.py` (or a package): a `DialectRouter` with the vendor's paths (in
   a package, `router.take(other)` instead of `include_router`), and

       dialect = Dialect(name="NAME", router=router, render=…, claims=…, headers=…, jobs=…)

   - `render(problem, call)` words a `Problem` in the vendor's envelope. Unknown paths (404),
     methods (405, with `allow` in `problem.headers`), unreadable requests (422, `problem.errors`),
     413, 415, 429 (`problem.retry_after_s`), 431 and 500 come this way too: switch on
     `problem.code` and `problem.resource`, and keep `problem.headers`.
   - `claims(request)` says which paths outside `/NAME/…` are the dialect's own. A path that the
     native API has too goes to the dialect only where a header tells (StateBase: `X-API-Key`).
   - `headers(call, status)` gives the rate-limit headers of that vendor, from `call.allowance`.
   - `jobs` does what is deferred: `{"NAME.word": handler}`, queued by `store.enqueue`.

A route is a plain `def` (it runs in a thread, where the store may block) and asks for

    store: Reading | Writing | Erasing     a TurnStore of the key's project, scope checked
    call: Calling                          request id, clock, ids, access, allowance

so that no route names a project, a clock or a random source of its own. Ids in a path are
`{session_id:segment}`: percent-decoded once, `%2F` included (`{id:segments}` for clients that
leave slashes as they are). What is not there is `raise missing("session", id)`. A POST with an
`Idempotency-Key` goes through `answer_once`. In tests, the fixture `serve` of
`tests/server/conftest.py` runs the application on a real port with a real store.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turnspan.lazy import lazy_names

if TYPE_CHECKING:
    from turnspan.server.app import create_app
    from turnspan.server.limits import Limits

__all__ = ["Limits", "create_app"]

_HOMES = {"create_app": "turnspan.server.app", "Limits": "turnspan.server.limits"}

__getattr__: Callable[[str], Any] = lazy_names(__name__, _HOMES)
