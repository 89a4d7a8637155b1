"""Decorated functions that process pools are given by name."""

from __future__ import annotations

import turnspan


@turnspan.agent
def ask(question):
    return f"{question}, {look_up('wet')}"


@turnspan.tool
def look_up(key):
    return key


@turnspan.agent
async def ask_later(question):
    return question


@turnspan.agent
def tell(question):
    yield question
    yield "."


@turnspan.agent
async def tell_later(question):
    yield question


class Desk:
    @turnspan.agent
    def method(self, question):
        return question

    def __call__(self, question):
        return question


desk = turnspan.agent(Desk())


def told(question):
    """What a stream tells, in the process that is asked."""
    return list(tell(question))
