"""What a user of the vendor's client does, on one of its faces; prints what came of each call.

    python sonzai_program.py sync|async BASE_URL KEY

Its own Python runs it: the client needs 3.12 or newer, whatever the tests run on.
"""

import asyncio
import inspect
import json
import sys

import sonzai

face, base_url, key = sys.argv[1:]
seen = {}
SAID = [{"role": "user", "content": "what?"}, {"role": "assistant", "content": "that"}]
CALL = {"id": "c1", "type": "function"}
CALL["function"] = {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
TOOLS = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It rains."},
]


async def result_of(value):
    return await value if inspect.isawaitable(value) else value


async def tell(name, call, **kwargs):
    """Do it, and note what came back or was raised."""
    try:
        found = await result_of(call(**kwargs))
    except sonzai.SonzaiError as error:
        seen[name] = {"raised": type(error).__name__, "said": str(error)}
        for field in ("resource", "required_scope", "errors", "retry_after", "limit", "remaining"):
            told = getattr(error, field, None)
            if told:
                told = [each.field for each in told] if field == "errors" else told
                seen[name][field] = told
        return None
    shown = (
        found.model_dump(mode="json", exclude_none=True) if hasattr(found, "model_dump") else found
    )
    seen[name] = shown if isinstance(shown, dict) else type(found).__name__
    return found


async def done(session, extraction_id):
    """Poll as the vendor advises."""
    wait_s = 0.05
    while True:
        status = await result_of(session.status(extraction_id))
        if status.state in {"done", "failed"}:
            return status.state
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 1.5, 1.0)


async def main():
    client = (sonzai.Sonzai if face == "sync" else sonzai.AsyncSonzai)(key, base_url=base_url)
    agents = client.agents
    session = await tell(
        "start",
        agents.sessions.start,
        agent_id="agent one",
        user_id="ada",
        session_id=f"session {face}",
        instance_id="inst-1",
        provider="gemini",
        model="gemini-lite",
        user_display_name="Ada",
        user_timezone="Europe/Oslo",
        tool_definitions=[{"name": "get_weather"}],
    )
    seen["start"] = session.success
    turn = await tell("turn", session.turn, messages=SAID)
    seen["turn ended"] = await done(session, turn.extraction_id)
    turn = await tell("turn with tools", session.turn, messages=TOOLS)
    seen["turn with tools ended"] = await done(session, turn.extraction_id)
    await tell(
        "turn and context", session.turn, messages=SAID, fetch_next_context={"query": "next"}
    )
    await tell("no messages", session.turn, messages=[])
    await tell("no such extraction", session.status, extraction_id="ext/none")
    await tell("context", session.context, query="hello?", language="en", timezone="UTC")
    await tell("get_context", agents.get_context, agent_id="agent one", user_id="ada")
    await tell(
        "set_tools",
        agents.sessions.set_tools,
        agent_id="agent one",
        session_id=f"session {face}",
        tools=[{"name": "other", "parameters": {}}],
    )
    await tell(
        "reserved tool",
        agents.sessions.set_tools,
        agent_id="agent one",
        session_id=f"session {face}",
        tools=[{"name": "sonzai_x"}],
    )
    await tell(
        "no such session", agents.sessions.set_tools, agent_id="a", session_id="none", tools=[]
    )
    await tell("process", agents.process, agent_id="a", user_id="u", messages=SAID)
    await tell("too short", agents.process, agent_id="a", user_id="u", messages=SAID[:1])
    await tell("end at once", session.end, total_messages=8, duration_seconds=300, wait=True)
    await tell("end later", session.end, messages=SAID)
    slashed = await tell(
        "slashes", agents.sessions.start, agent_id="a/b", user_id="u", session_id=f"s/{face}"
    )
    turn = await tell("turn with slashes", slashed.turn, messages=SAID)
    seen["turn with slashes ended"] = await done(slashed, turn.extraction_id)
    await tell("end with slashes", slashed.end, wait=True)
    other = (sonzai.Sonzai if face == "sync" else sonzai.AsyncSonzai)("wrong", base_url=base_url)
    await tell("wrong key", other.agents.process, agent_id="a", user_id="u", messages=SAID)
    await tell("elsewhere", client.agents.get_models, agent_id="a")
    for each in (client, other):
        await result_of(each.close())
    print(json.dumps(seen))


asyncio.run(main())
