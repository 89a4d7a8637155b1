"""turnspan-langchain records LangChain and LangGraph runs as turns.

Pass a `TurnspanHandler` where LangChain takes callbacks:

    agent.invoke(question, config={"callbacks": [TurnspanHandler()]})

or have every run in the process recorded:

    turnspan_langchain.install()

`TurnspanMiddleware` goes beside either, into `create_agent(middleware=[...])`.
"""

from typing import TYPE_CHECKING, Any

from turnspan_langchain.everywhere import install
from turnspan_langchain.handler import TurnspanHandler

if TYPE_CHECKING:
    from turnspan_langchain.middleware import TurnspanMiddleware

__all__ = ["TurnspanHandler", "TurnspanMiddleware", "install"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name != "TurnspanMiddleware":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from turnspan_langchain.middleware import TurnspanMiddleware  # needs langchain

    return TurnspanMiddleware
