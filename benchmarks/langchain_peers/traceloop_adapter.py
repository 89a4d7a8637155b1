from handlers import instrumented
from opentelemetry.instrumentation.langchain import LangchainInstrumentor

PACKAGES = ["opentelemetry-instrumentation-langchain", "opentelemetry-sdk"]


def make():
    return instrumented(LangchainInstrumentor())
