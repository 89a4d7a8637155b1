import os

os.environ.update(WANDB_ERROR_REPORTING="false", WEAVE_PRINT_CALL_LINK="false", WANDB_SILENT="true")

import weave

from turnspan.testing.decorator_rules import Adapter

PACKAGES = ["weave"]


def make():
    # Without `weave.init` an op records nothing; what it does to its function is seen all the same.
    return Adapter(decorate=lambda _, target: weave.op(target), kinds=("agent",))
