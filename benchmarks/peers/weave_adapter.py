import json
import os
from unittest.mock import MagicMock

os.environ.update(
    WANDB_ERROR_REPORTING="false",
    WEAVE_PRINT_CALL_LINK="false",
    WANDB_SILENT="true",
    WEAVE_IMPLICITLY_PATCH_INTEGRATIONS="false",
)

import weave
from weave.trace.context.weave_client_context import set_weave_client_global
from weave.trace.weave_client import WeaveClient

from turnspan.testing.decorator_rules import Adapter, Record

PACKAGES = ["weave"]


def make():
    server = MagicMock(call_processor=None)  # its calls come one by one
    server.file_create.return_value.digest = "digest"
    server.obj_create.return_value.digest = "digest"
    client = WeaveClient("rules", "rules", server, ensure_project_exists=False)
    set_weave_client_global(client)

    def collect():
        client.flush()
        return records(server)

    return Adapter(decorate=lambda _, target: weave.op(target), collect=collect, kinds=("agent",))


def records(server):
    """What was posted: each call's start, and its end where there was one."""
    starts = [posted(call, "start") for call in server.call_start.call_args_list]
    ends = [posted(call, "end") for call in server.call_end.call_args_list]
    by_id = {end["id"]: end for end in ends}
    return [record(start, by_id.get(start["id"])) for start in starts]


def posted(call, what):
    """A request's payload: a model, or what a model would be made of."""
    request = call.args[0]
    found = request[what] if isinstance(request, dict) else getattr(request, what)
    return found if isinstance(found, dict) else dict(found)


def record(start, end):
    return Record(
        id=start["id"],
        name=start["op_name"].rpartition("/")[2].partition(":")[0].rpartition(".")[2],
        parent_id=start.get("parent_id"),
        status="error" if end and end.get("exception") else "ok",
        input=json.dumps(start.get("inputs"), default=str),
        output=json.dumps(end and end.get("output"), default=str),
        ended=end is not None,
    )
