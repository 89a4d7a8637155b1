"""What the policy hides is never written anywhere."""

from __future__ import annotations

import pytest

import turnspan
from turnspan.schema import Error

SECRET = "hunter2"


class Vault(Exception):
    pass


def test_with_content_off_no_byte_of_it_is_written(record):
    """Names, times, tokens and structure stay; what was said is nowhere in the journal."""
    tape = record(policy=turnspan.Policy(content=False))

    @turnspan.tool
    def whisper(password):
        raise Vault(SECRET)

    @turnspan.model
    def ask(messages, model, temperature):
        return {
            "choices": [{"message": {"role": "assistant", "content": SECRET}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        }

    @turnspan.agent(state=lambda: {"password": SECRET}, reasoning=lambda _: SECRET)
    def confess(question, history):
        turnspan.current_turn().set_input(SECRET)
        turnspan.current_turn().set_input([{"role": "user", "content": SECRET}])
        turnspan.current_turn().add_reasoning(SECRET)
        turnspan.current_turn().set_output({"password": SECRET})
        ask([{"role": "user", "content": SECRET}], model="gpt-test", temperature=0.5)
        try:
            whisper(SECRET)
        except Vault:
            pass
        with turnspan.turn(input=SECRET) as inner:
            inner.set_output(SECRET)
        raise Vault(SECRET)

    with pytest.raises(Vault, match=SECRET):
        confess(SECRET, history=[SECRET])
    model, tool, block = tape.turn.steps

    assert SECRET.encode() not in b"".join(tape.log.lines)
    assert tape.turn.error == Error(type=f"{__name__}.Vault")
    assert (model.usage.input_tokens, model.usage.output_tokens) == (3, 4)
    assert (tool.status, tool.error.type) == ("error", f"{__name__}.Vault")
    assert (block.kind, block.status) == ("agent", "ok")


def test_with_content_off_the_model_that_was_asked_is_still_known(record):
    """Its name is structure, not content."""
    tape = record(policy=turnspan.Policy(content=False))

    @turnspan.model
    def ask(prompt, model):
        return "answer"

    with turnspan.turn():
        ask("secret", model="gpt-test")

    assert tape.step.model is not None
    assert tape.step.model.request_model == "gpt-test"
