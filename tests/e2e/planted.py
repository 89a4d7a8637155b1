"""A program that says a secret in every place there is for one: `planted.py MODE POLICY URL…`.

Run by `test_secrets.py`. MODE is `own` or `live`, POLICY `hide` or `show`. Every secret has
its number in it, `zq01kw` and so on, so that it can be looked for in whatever was written.
"""

import json
import logging
import re
import sys

from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import turnspan


def email(number):
    return f"zq{number:02d}kw@example.com"


def key(number):
    return f"sk-proj-zq{number:02d}kw0123456789abcdef"


def named(number):
    return f"zq{number:02d}kw"


def own(number):
    return f"ACME-zq{number:02d}kw"


POLICY = turnspan.Policy(
    hide=[
        "pin",
        "*_code",
        "input.user.card",
        "steps.pay.input.token",
        "steps.pay.output.receipt",
        "metadata.billing.iban",
        "state.open.door",
    ],
    patterns=["api_key", "bearer", "email", "card", "private_key", re.compile(r"ACME-\w{1,40}")],
    redact=lambda path, text: text.replace("zq32kw", "***"),
)
STATE = {"open": {"door": named(9)}}


@turnspan.tool(description=f"Pays with {key(28)}")
def pay(token, pin, amount):
    STATE["key"] = key(10)
    return {"receipt": named(6), "said": key(4), email(22): 1, "card": 4111111111111111}


@turnspan.model
def ask(messages, model, pin):
    call = {"id": "c1", "function": {"name": "pay", "arguments": {"token": named(5), "n": 1}}}
    answer = {"role": "assistant", "content": "So be it.", "tool_calls": [call]}
    return {"choices": [{"message": answer}], "usage": {"prompt_tokens": 3}}


@turnspan.tool
def break_down(raw):
    kept_here = named(18)  # a local variable
    try:
        raise KeyError(key(17))
    except KeyError as exc:
        error = ValueError(f"cannot reach {own(14)} for {len(kept_here)}")
        error.add_note(f"ask {email(16)}")
        raise error from exc  # door_code = "zq15kw", which the trace shows


def failing_state():
    raise RuntimeError(f"no state for {email(31)}")


@turnspan.agent(state=failing_state)
def stateless(question):
    return "none"


@turnspan.agent(state=lambda: STATE, reasoning=lambda _: "Bearer zq07kw0123456789abcdef")
def work(user, question):
    current = turnspan.current_turn()
    current.set_metadata(billing={"iban": named(11)}, door_code=named(1))
    current.add_tags(email(12))
    span = trace.get_current_span()
    span.set_attribute("app.owner", email(25))
    span.add_event("seen", {"by": email(27)})
    span.record_exception(ValueError(own(26)))
    ask(
        [
            {"role": "system", "content": f"Write to {email(8)}."},
            {"role": "user", "content": question},
            {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"receipt": named(34)})},
        ],
        model="gpt-test",
        pin=998877665520,
    )
    pay(named(35), pin=named(29), amount=1)
    try:
        break_down(b"raw")
    except ValueError:
        pass
    with turnspan.turn(agent="inner", input=f"for {own(30)}") as inner:
        inner.set_output("-----BEGIN PRIVATE KEY-----\nzq33kw\n-----END PRIVATE KEY-----")
    return f"Ask {email(3)}, or zq32kw."


def main(mode, policy, *urls):
    logging.basicConfig(filename="log.txt", level=logging.DEBUG)
    memory = InMemorySpanExporter()
    if mode == "live":
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
    turnspan.configure(
        exporters=[*urls, "console:stdout", "file:turns.ndjson"],
        directory="journal",
        policy=POLICY if policy == "hide" else None,
        baggage_keys=["owner"],
        span_content=True,
    )
    context.attach(baggage.set_baggage("owner", email(21)))
    with turnspan.session(
        f"trip of {email(24)}", user_id=email(23), metadata={"deep": {"pin": named(13)}}
    ):
        with turnspan.turn(agent="outer") as outer:
            turn_id = outer.id
        work({"card": named(2), "name": "ada"}, f"Is {email(36)} known?")
        stateless("well?")
    turnspan.feedback(turn_id, rating="good", comment=f"thanks, {email(19)}")
    turnspan.flush(60.0)
    with open("spans.json", "w", encoding="utf-8") as file:
        file.writelines(span.to_json() + "\n" for span in memory.get_finished_spans())


if __name__ == "__main__":
    main(*sys.argv[1:])
