"""Other GenAI instrumentations: what keeps them from recording a call again.

Source: opentelemetry-util-genai 1.3b0 (`opentelemetry.util.genai.invocation`), which the
instrumentations of OpenTelemetry stand on: an inference that begins where its context key holds an
`InferenceData` makes neither span nor metric, and tells what it knows to the one around it.
"""

from __future__ import annotations

import sys
from typing import Final

from opentelemetry.context import Context

from turnspan.telemetry.current import put

__all__ = ["claim_inference"]

MODULE: Final = "opentelemetry.util.genai.invocation"


def claim_inference(context: Context) -> None:
    """Say in ``context``, which nobody has seen yet, that the call of a model has its span."""
    module = sys.modules.get(MODULE)  # where it is not loaded, nobody is there to be told
    key = getattr(module, "CLIENT_INFERENCE_CONTEXT_KEY", None)
    data = getattr(module, "InferenceData", None)
    if key is not None and data is not None:
        put(context, key, data())
