"""Model calls: reasoning of every provider, usage, streams, attempts, fallbacks, what was asked."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.language_models import LLM
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.outputs import GenerationChunk
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

from turnspan_langchain import TurnspanHandler

OPENAI = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hmm"}]},
    {"type": "text", "text": "yes", "annotations": []},
]
ANTHROPIC = [
    {"type": "thinking", "thinking": "hmm", "signature": "c2ln"},
    {"type": "text", "text": "yes"},
]
STANDARD = [{"type": "reasoning", "reasoning": "hmm"}, {"type": "text", "text": "yes"}]
GEMINI = [{"type": "thinking", "thinking": "hmm"}, {"type": "text", "text": "yes"}]


def config(handler, **more):
    return {"callbacks": [handler], **more}


@pytest.mark.parametrize(
    "reply",
    [
        AIMessage(OPENAI),
        AIMessage(ANTHROPIC),
        AIMessage(STANDARD),
        AIMessage(GEMINI),
        AIMessage("yes", additional_kwargs={"reasoning_content": "hmm"}),
        AIMessage("yes", additional_kwargs={"reasoning": {"summary": [{"text": "hmm"}]}}),
    ],
    ids=["openai", "anthropic", "standard", "gemini", "deepseek", "openai-beside"],
)
def test_reasoning_is_apart_from_what_was_said(handler, memory, lc, invoke, reply):
    """Whichever shape a provider gives it."""
    invoke(lc.scripted(reply), "really?", config(handler))
    (turn,) = memory.turns
    (step,) = turn.steps

    assert (step.reasoning, step.output.content, turn.output.content) == ("hmm", "yes", "yes")


def test_usage_and_its_details_survive_a_stream(handler, memory, lc, stream):
    """They come with the last piece, and are counted once."""
    usage = {
        "input_tokens": 9,
        "output_tokens": 7,
        "total_tokens": 16,
        "input_token_details": {"cache_read": 5, "cache_creation": 1},
        "output_token_details": {"reasoning": 4},
    }
    meta = {"model_name": "scripted-1-0123", "finish_reason": "stop"}
    pieces = AIMessageChunk("he"), AIMessageChunk("y"), AIMessageChunk("", usage_metadata=usage)
    stream(lc.streaming(*pieces, AIMessageChunk("", response_metadata=meta)), "hi", config(handler))
    (turn,) = memory.turns
    (step,) = turn.steps

    assert turn.usage == step.usage
    assert step.usage.model_dump(exclude_none=True) == {
        "input_tokens": 9,
        "output_tokens": 7,
        "cache_read_tokens": 5,
        "cache_write_tokens": 1,
        "reasoning_tokens": 4,
    }
    assert (step.output.content, step.model.finish_reasons) == ("hey", ("stop",))
    assert (step.model.response_model, step.chunks) == ("scripted-1-0123", 2)


def test_a_provider_that_tells_no_usage_has_none(handler, memory, lc, invoke):
    """None, not zero."""
    invoke(lc.scripted(AIMessage("yo")), "hi", config(handler))

    assert memory.turns[0].usage is None
    assert memory.turns[0].steps[0].usage is None


def test_the_first_piece_and_the_first_text_have_their_times(handler, memory, lc, stream):
    """A model that thinks first says so by its first piece; a reply that comes whole has none."""
    thought = AIMessageChunk([{"type": "reasoning", "reasoning": "hm", "index": 0}])
    text = AIMessageChunk([{"type": "text", "text": "yes", "index": 1}])
    stream(lc.streaming(thought, text), "hi", config(handler))
    lc.scripted(AIMessage("whole")).invoke("hi", config(handler))
    streamed, whole = (turn.steps[0] for turn in memory.turns)
    first_ms = (streamed.first_chunk_at - streamed.started_at) / 1e6

    assert 0 < first_ms < streamed.metadata["first_text_ms"]
    assert (whole.first_chunk_at, whole.chunks, whole.metadata) == (None, None, {})


def test_a_stream_that_is_told_of_twice_is_counted_once(handler, memory, lc):
    """The event protocol tells of each piece as an event, and some models as a token too."""
    model = lc.streaming(AIMessageChunk("he"), AIMessageChunk("y"))
    if not hasattr(model, "stream_events"):
        pytest.skip("this LangChain has no event protocol")
    assert model.stream_events("hi", config(handler), version="v3").output.text == "hey"
    (turn,) = memory.turns

    assert (turn.output.content, turn.steps[0].chunks) == ("hey", 2)


def test_an_error_in_the_middle_of_a_stream_keeps_what_was_said(handler, memory, runs, lc, stream):
    """Text and error stand beside one another, the error once."""
    model = lc.streaming(AIMessageChunk("he"), AIMessageChunk("ll"), RuntimeError("cut"))
    with pytest.raises(RuntimeError, match="cut"):
        stream(model, "hi", config(handler))
    (turn,) = memory.turns
    (step,) = turn.steps

    assert (turn.status, step.status, step.output.content) == ("error", "error", "hell")
    assert (step.error.type, step.error.message) == ("RuntimeError", "cut")
    assert len(runs) == 0


def test_the_tools_a_model_is_offered_are_kept_once(handler, memory, lc, invoke):
    """However often it is asked, and though they are made anew for each call."""
    model = lc.scripted(lc.said("a"), lc.said("b"))

    def twice(question, config):
        for _ in range(2):
            reply = model.bind(tools=[convert_to_openai_tool(lc.add)]).invoke(question, config)
        return reply

    invoke(RunnableLambda(twice), "hi", config(handler))
    (turn,) = memory.turns
    (definition,) = turn.tool_definitions

    assert (definition["name"], definition["description"]) == ("add", "Add two numbers.")
    assert set(definition["parameters"]["properties"]) == {"a", "b"}
    assert [step.input_tools for step in turn.steps] == [((0, 1),), ((0, 1),)]


def test_two_prompts_at_once_are_two_turns(handler, memory, runs, lc):
    """Their starts and ends interleave, and do not mix."""
    model = lc.scripted(lc.said("a"), lc.said("b"))
    model.generate([[HumanMessage("one")], [HumanMessage("two")]], callbacks=[handler])

    assert [(t.input.content, t.output.content) for t in memory.turns] == [
        ("one", "a"),
        ("two", "b"),
    ]
    assert len(runs) == 0


def test_a_bare_model_that_is_cancelled_leaves_nothing_open(handler, memory, runs, lc):
    """LangChain tells nobody of it; the task that was cancelled does."""
    model = lc.scripted(lc.said("late"), delay_s=9)

    async def cut_off():
        task = asyncio.create_task(model.ainvoke("hi", config(handler)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(cut_off())

    assert lc.brief(memory.turns[0]) == (
        "cancelled",
        "hi",
        None,
        [("model", "scripted-1", "cancelled")],
    )
    assert len(runs) == 0


def test_a_task_that_asks_many_models_is_not_burdened(handler, memory, runs, lc):
    """What watches a task is taken off when the model has answered."""

    async def ask():
        for _ in range(5):
            await lc.scripted(lc.said("yo")).ainvoke("hi", config(handler))
        return len(asyncio.current_task()._callbacks or ())

    burden = asyncio.run(ask())

    assert burden <= 1  # the loop's own
    assert len(memory.turns) == 5


def test_attempts_are_one_step(handler, memory, runs, lc, invoke):
    """A model that is tried again is one step, which says what failed before."""
    model = lc.scripted(RuntimeError("a"), RuntimeError("b"), lc.said("up"))
    shaky = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    invoke(shaky, "hi", config(handler))
    (turn,) = memory.turns
    (step,) = turn.steps

    assert (turn.status, turn.output.content, step.status, step.error) == ("ok", "up", "ok", None)
    assert step.metadata["attempts"] == 3
    assert [each["error"] for each in step.metadata["failed_attempts"]] == ["RuntimeError"] * 2
    assert turn.usage.input_tokens == 10
    assert len(runs) == 0


def test_attempts_that_all_fail_are_one_failed_step(handler, memory, lc, invoke):
    """Its error is the last one."""
    model = lc.scripted(RuntimeError("a"), RuntimeError("b"))
    with pytest.raises(RuntimeError):
        invoke(
            model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False),
            "hi",
            config(handler),
        )
    (turn,) = memory.turns
    (step,) = turn.steps

    assert (turn.status, step.status, step.error.message) == ("error", "error", "b")
    assert step.metadata["attempts"] == 2


def test_fallbacks_are_steps_one_after_the_other(handler, memory, runs, lc, invoke):
    """The one that failed is there, and the turn is what the last one made of it."""
    shaky, steady = lc.scripted(RuntimeError("down")), lc.scripted(lc.said("up"))
    invoke(shaky.with_fallbacks([steady]), "hi", config(handler))
    (turn,) = memory.turns

    assert lc.brief(turn) == (
        "ok",
        "hi",
        "up",
        [("model", "scripted-1", "error"), ("model", "scripted-1", "ok")],
    )
    assert [step.error and step.error.message for step in turn.steps] == ["down", None]
    assert len(runs) == 0


def test_branches_of_a_chain_are_steps_of_one_turn(handler, memory, runs, lc, invoke):
    """Each with its own messages."""
    branches = RunnableParallel(a=lc.scripted(lc.said("one")), b=lc.scripted(lc.said("two")))
    invoke(branches, "hi", config(handler))
    (turn,) = memory.turns

    assert sorted(step.output.content for step in turn.steps) == ["one", "two"]
    assert [step.input_messages for step in turn.steps] == [((0, 1),), ((0, 1),)]
    assert len(runs) == 0


def test_a_chain_that_calls_no_model_is_no_turn(runs, memory, invoke):
    """Unless somebody asks for it, or it fails."""
    chain = RunnableLambda(lambda x: x + 1) | RunnableLambda(lambda x: 1 / x)
    invoke(chain, 1, config(TurnspanHandler(runs=runs)))
    invoke(chain, 1, config(TurnspanHandler(runs=runs, chains=True)))
    with pytest.raises(ZeroDivisionError):
        invoke(chain, -1, config(TurnspanHandler(runs=runs)))

    assert [(turn.status, len(turn.steps)) for turn in memory.turns] == [("ok", 2), ("error", 0)]
    assert memory.turns[1].error.type == "ZeroDivisionError"
    assert len(runs) == 0


def test_a_turn_begins_when_its_chain_does(handler, memory, lc):
    """Not when its first model is asked, though only then it is known to be one."""
    slow = RunnableLambda(lambda x: x) | RunnableLambda(lambda x: x)
    (slow | lc.scripted(lc.said("yo"))).invoke("hi", config(handler))
    (turn,) = memory.turns
    (step,) = turn.steps

    assert turn.started_at < step.started_at < step.ended_at <= turn.ended_at
    assert (turn.agent.name, turn.input.content) == ("RunnableSequence", "hi")


def test_a_chain_that_is_streamed_says_at_its_end_what_it_was_given(handler, memory, lc, stream):
    """LangChain does not know it before."""
    chain = RunnableLambda(lambda x: x) | lc.streaming(AIMessageChunk("he"), AIMessageChunk("y"))
    stream(chain, "hi", config(handler))
    (turn,) = memory.turns

    assert lc.brief(turn)[:3] == ("ok", "hi", "hey")


def test_what_a_chain_parsed_is_its_output(handler, memory, lc, invoke):
    """Structured output is the turn's, what the model said the step's."""
    chain = lc.scripted(lc.said('{"total": 7}')) | JsonOutputParser()
    invoke(chain, "sum?", config(handler))
    (turn,) = memory.turns

    assert (turn.output.content, turn.output.mime_type) == ('{"total":7}', "application/json")
    assert turn.steps[0].output.content == '{"total": 7}'


def test_the_thread_of_a_plain_chain_is_its_session(handler, memory, lc, invoke):
    """LangChain itself does not put it into the metadata."""
    chain = RunnableLambda(lambda x: x) | lc.scripted(lc.said("yo"))
    invoke(chain, "hi", config(handler, configurable={"thread_id": "T"}))
    invoke(chain, "hi", config(handler, configurable={"session_id": "S"}))
    invoke(chain, "hi", config(handler))

    assert [turn.session_id for turn in memory.turns] == ["T", "S", None]


def test_a_tool_on_its_own_is_what_the_orphans_setting_says(handler, memory, runs, lc):
    """As a decorated one is: no turn unless asked for."""
    lc.add.invoke({"a": 1, "b": 2}, config(handler))

    assert memory.turns == []
    assert len(runs) == 0


class Letters(LLM):
    """Completes with `yes`, letter by letter."""

    @property
    def _llm_type(self):
        return "letters"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return "yes"

    def _stream(self, prompt, stop=None, run_manager=None, **kwargs):
        for letter in "yes":
            if run_manager:
                run_manager.on_llm_new_token(letter)
            yield GenerationChunk(text=letter)


def test_a_completion_model_streams_as_well(handler, memory, stream):
    """Its pieces are plain texts."""
    stream(Letters(), "really?", config(handler))
    (turn,) = memory.turns

    assert (turn.output.content, turn.steps[0].chunks) == ("yes", 3)
    assert turn.steps[0].model.operation == "text_completion"


def test_two_handlers_on_one_run_record_it_once(memory, runs, lc, invoke):
    """Whatever registers them: configuration, constructor, an installed one."""
    first, second = TurnspanHandler(runs=runs), TurnspanHandler(runs=runs)
    chain = RunnableLambda(lambda x: x) | lc.scripted(lc.said("yo"))
    invoke(chain, "hi", {"callbacks": [first, second]})
    (turn,) = memory.turns

    assert lc.brief(turn) == ("ok", "hi", "yo", [("model", "scripted-1", "ok")])
    assert len(runs) == 0


def test_a_tool_that_is_tried_again_is_one_step(handler, memory, lc, invoke):
    """With the call it belongs to."""
    tries = []

    @tool
    def shaky(x: int) -> int:
        """Answer the second time."""
        tries.append(x)
        if len(tries) == 1:
            raise ConnectionError("down")
        return x

    str_of = RunnableLambda(str)
    again = shaky.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    chain = RunnableLambda(lambda x: {"x": x}) | again | str_of | lc.scripted(lc.said("!"))
    invoke(chain, 7, config(handler))
    (turn,) = memory.turns
    (step,) = (s for s in turn.steps if s.kind == "tool")

    assert (step.status, step.output.content, step.metadata["attempts"]) == ("ok", "7", 2)
