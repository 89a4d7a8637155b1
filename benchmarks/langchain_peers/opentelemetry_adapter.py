import os

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"

from handlers import instrumented
from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor

PACKAGES = ["opentelemetry-instrumentation-genai-langchain", "opentelemetry-sdk"]


def make():
    return instrumented(LangChainInstrumentor())
