"""The agent that is asked: two model calls, two tools called at once, no network."""

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

QUESTION = (
    "Where is the parcel with my order, which was to be here on Tuesday, will it come before the "
    "weekend, and can the courier leave it with the neighbours at number nine, who are at home?"
)
ANSWER = (
    "Your parcel left the depot this morning and is in the van. The courier expects to reach your "
    "street between two and four in the afternoon, so it comes well before the weekend. I have "
    "added a note that the neighbours at number nine may take it and sign for it. Should nobody "
    "be there, it goes back to the depot, where it waits for seven days."
)
SYSTEM = "You help the customers of a shop with their parcels. Be brief, and never guess."
CALLS = [
    {"name": "track", "args": {"order": "A-4711", "country": "nl"}, "id": "c1"},
    {"name": "forecast", "args": {"place": "Utrecht", "days": 3}, "id": "c2"},
]


class Scripted(BaseChatModel):
    """Calls the tools when it hears a person, and answers when it hears a tool."""

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[{"name": each.name} for each in tools])

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": "scripted-1", "ls_model_type": "chat"}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        answers = messages[-1].type == "tool"
        said = AIMessage(
            ANSWER if answers else "",
            tool_calls=[] if answers else [{**call, "type": "tool_call"} for call in CALLS],
            usage_metadata={"input_tokens": 120, "output_tokens": 30, "total_tokens": 150},
            response_metadata={
                "model_name": "scripted-1",
                "finish_reason": "stop" if answers else "tool_calls",
            },
        )
        return ChatResult(generations=[ChatGeneration(message=said)])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        return self._generate(messages)


@tool
def track(order: str, country: str) -> dict:
    """Find out where the parcel of an order is."""
    return {"order": order, "country": country, "stops": [{"place": "depot", "hours": 7.25}] * 3}


@tool
def forecast(place: str, days: int) -> str:
    """Tell the weather of a place for some days."""
    return f"{place}: {days} days of rain, and wind from the west."


async def track_async(order: str, country: str) -> dict:
    """Find out where the parcel of an order is."""
    return track.func(order, country)


async def forecast_async(place: str, days: int) -> str:
    """Tell the weather of a place for some days."""
    return forecast.func(place, days)


track.coroutine = track_async
forecast.coroutine = forecast_async


def agent():
    return create_agent(Scripted(), [track, forecast], system_prompt=SYSTEM, name="parcels")


def question(number):
    return {"messages": [{"role": "user", "content": f"Q{number:08} {QUESTION}"}]}
