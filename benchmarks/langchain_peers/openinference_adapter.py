from handlers import instrumented
from openinference.instrumentation.langchain import LangChainInstrumentor

PACKAGES = ["openinference-instrumentation-langchain", "opentelemetry-sdk"]


def make():
    return instrumented(LangChainInstrumentor())
