"""turnspan-langchain records LangChain and LangGraph runs as turns.

Pass a `TurnspanHandler` where LangChain takes callbacks:

    agent.invoke(question, config={"callbacks": [TurnspanHandler()]})

or have every run in the process recorded:

    turnspan_langchain.install()
"""

from turnspan_langchain.everywhere import install
from turnspan_langchain.handler import TurnspanHandler

__all__ = ["TurnspanHandler", "install"]

__version__ = "0.1.0"
