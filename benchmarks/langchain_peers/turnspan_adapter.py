import os

from handlers import Handled

import turnspan
from turnspan.ports import Outcome
from turnspan_langchain import TurnspanHandler

PACKAGES = ["turnspan", "turnspan-langchain"]


class Dropping:
    """An exporter that counts; each turn was journalled before it gets here."""

    name = "dropping"
    count = 0

    def export(self, batch, *, timeout_s):
        self.count += len(batch)
        return Outcome()

    def close(self, *, timeout_s):
        return None


def make():
    exporter = Dropping()
    turnspan.configure(exporters=[exporter], directory=os.path.abspath("turns"))
    return Handled(
        seen=lambda: exporter.count,
        callbacks=[TurnspanHandler()],
        flush=lambda: turnspan.flush(timeout_s=60),
    )
