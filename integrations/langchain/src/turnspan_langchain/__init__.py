"""turnspan-langchain records LangChain and LangGraph runs as turns.

Pass a `TurnspanHandler` where LangChain takes callbacks:

    agent.invoke(question, config={"callbacks": [TurnspanHandler()]})
"""

from turnspan_langchain.handler import TurnspanHandler

__all__ = ["TurnspanHandler"]

__version__ = "0.1.0"
