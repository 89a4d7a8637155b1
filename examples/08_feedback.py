"""Say what somebody thought of a turn, minutes later or in another process.

Feedback is journalled and delivered like a turn. OpenTelemetry hears of it as a
`gen_ai.evaluation.result` event on the turn's span.
"""

from tempfile import TemporaryDirectory

import turnspan
from turnspan.exporters.memory import MemoryExporter


@turnspan.agent
def weather(question: str) -> tuple[str, str]:
    """Answer, and say which turn the answer is: a front end keeps that for its buttons."""
    return "It will rain.", turnspan.current_turn().id


def thumb(turn_id: str, *, up: bool, why: str = "") -> None:
    """What the handler of a thumbs-up button does."""
    with turnspan.session(None, user_id="ada"):  # who pressed it
        turnspan.feedback(
            turn_id, rating="good" if up else "bad", score=float(up), comment=why or None
        )


with TemporaryDirectory() as home:
    memory = MemoryExporter()
    turnspan.configure(exporters=[memory], directory=home)
    with turnspan.session("forecast"):
        answer, turn_id = weather("Umbrella?")
    thumb(turn_id, up=True)
    thumb(turn_id, up=False, why="It snowed.")
    thumb("", up=True)  # the id of a turn that was not recorded: passed over
    for feedback in memory.feedback:
        print(feedback.turn_id == memory.turns[0].id, feedback.user_id, feedback.rating)
    print(turnspan.health().feedback, memory.feedback[-1].comment)
    turnspan.close()

# prints:
#   True ada good
#   True ada bad
#   2 It snowed.
