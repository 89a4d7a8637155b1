"""Each rule catches the exporter it was written for, and says what it saw."""

import time
from threading import Event

import pytest

from turnspan.exporters.memory import MemoryExporter
from turnspan.ports import JournalledFeedback, JournalledTurn, Outcome
from turnspan.testing import exporter_rules as module
from turnspan.testing.exporter_rules import ExporterMaker, exporter_rules

SECRET = "s3cret-key"


class Destination:
    """Where exporters of these tests send to: ids in the order they came."""

    def __init__(self, *, keys_on_ids=True):
        self.ids = []
        self.feedback_ids = []
        self.keys_on_ids = keys_on_ids

    def take(self, turn):
        if not (self.keys_on_ids and turn.turn.id in self.ids):
            self.ids.append(turn.turn.id)

    def take_feedback(self, feedback):
        if not (self.keys_on_ids and feedback.feedback.id in self.feedback_ids):
            self.feedback_ids.append(feedback.feedback.id)


class Good:
    """An exporter that keeps every rule; the broken ones differ in one thing each."""

    def __init__(self, destination):
        self.destination = destination
        self.closed = False

    @property
    def name(self):
        return "good"

    def export(self, batch, *, timeout_s):
        if self.closed:
            return Outcome.all_unsent(len(batch), "closed")
        refused = {}
        for index, turn in enumerate(batch):
            try:
                self.destination.take(turn)
            except Exception as exc:
                refused[index] = str(exc)
        return Outcome(refused=refused)

    def close(self, *, timeout_s):
        self.closed = True


class TakesFeedback(Good):
    """As good, with feedback among the turns."""

    takes_feedback = True

    def export(self, batch, *, timeout_s):
        if self.closed:
            return Outcome.all_unsent(len(batch), "closed")
        refused = {}
        for index, each in enumerate(batch):
            is_feedback = isinstance(each, JournalledFeedback)
            take = self.destination.take_feedback if is_feedback else self.destination.take
            try:
                take(each)
            except Exception as exc:
                refused[index] = str(exc)
        return Outcome(refused=refused)


class MistakesFeedbackForTurns(Good):
    takes_feedback = True


class ForgetsFeedback(TakesFeedback):
    def export(self, batch, *, timeout_s):
        turns = [each for each in batch if isinstance(each, JournalledTurn)]
        outcome = super().export(turns, timeout_s=timeout_s)
        return Outcome.all_unsent(len(batch), "closed") if self.closed else outcome


class OffersBadFeedbackForEver(TakesFeedback):
    def export(self, batch, *, timeout_s):
        outcome = super().export(batch, timeout_s=timeout_s)
        causes = outcome.cause or "; ".join(outcome.refused.values())
        return Outcome(unsent=frozenset([*outcome.refused, *outcome.unsent]), cause=causes)


class TakesFeedbackAfterClose(TakesFeedback):
    def close(self, *, timeout_s):
        pass


class Nameless:
    def export(self, batch, *, timeout_s):
        return Outcome()

    def close(self, *, timeout_s):
        pass


class LosesTheLast(Good):
    def export(self, batch, *, timeout_s):
        super().export(batch[:1] if len(batch) > 1 else batch, timeout_s=timeout_s)
        return Outcome()


class RefusesTheLast(Good):
    def export(self, batch, *, timeout_s):
        return Outcome(refused={len(batch) - 1: "no"} if batch else {})


class NamesStrangers(Good):
    def export(self, batch, *, timeout_s):
        return Outcome(unsent=frozenset({len(batch)}), cause="no")


class GivesNoCause(Good):
    def export(self, batch, *, timeout_s):
        return Outcome(unsent=frozenset(range(len(batch))))


class ContradictsItself(Good):
    def export(self, batch, *, timeout_s):
        return Outcome(refused=dict.fromkeys(range(len(batch)), "no"), unsent={0}, cause="no")


class RefusesTwice(Good):
    def export(self, batch, *, timeout_s):
        return Outcome(refused=dict.fromkeys(range(len(batch)), "no"), refused_whole="no")


class AnswersWithACount(Good):
    def export(self, batch, *, timeout_s):
        return len(batch)


class TurnsRound(Good):
    def export(self, batch, *, timeout_s):
        return super().export(batch[::-1], timeout_s=timeout_s)


class Raises(Good):
    def export(self, batch, *, timeout_s):
        for turn in batch:
            self.destination.take(turn)
        return Outcome()


class OffersBadLinesForEver(Good):
    def export(self, batch, *, timeout_s):
        outcome = super().export(batch, timeout_s=timeout_s)
        return Outcome(unsent=frozenset(outcome.refused), cause="; ".join(outcome.refused.values()))


class RefusesTheNeighbours(Good):
    def export(self, batch, *, timeout_s):
        outcome = super().export(batch, timeout_s=timeout_s)
        reason = next(iter(outcome.refused.values()), "")
        return Outcome(refused=dict.fromkeys(range(len(batch)), reason) if reason else {})


class DrawsItsName(Good):
    @property
    def name(self):
        return f"good-{id(self)}"


class HasNoName(Good):
    @property
    def name(self):
        return ""


class TellsItsKeyInItsName(Good):
    @property
    def name(self):
        return f"https://host/{SECRET}"


class TellsItsKeyInItsRepr(Good):
    def __repr__(self):
        return f"Exporter(key={SECRET})"


class KeepsTheUserInfo(Good):
    @property
    def name(self):
        return "https://ada@host/"


class IsBoundToItsThread(Good):
    def __init__(self, destination):
        import threading

        super().__init__(destination)
        self.thread = threading.get_ident()

    def export(self, batch, *, timeout_s):
        import threading

        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")
        return super().export(batch, timeout_s=timeout_s)


class ExportsLate(Good):
    def export(self, batch, *, timeout_s):
        time.sleep(timeout_s + 0.8 if timeout_s < 1 else 0)
        return super().export(batch, timeout_s=timeout_s)


class ClosesLate(Good):
    def close(self, *, timeout_s):
        time.sleep(timeout_s + 0.8 if timeout_s < 1 else 0)


class SendsAfterClose(Good):
    def close(self, *, timeout_s):
        pass


class SaysUnsentButSends(Good):
    def export(self, batch, *, timeout_s):
        outcome = super().export(batch, timeout_s=timeout_s)
        if self.closed:
            for turn in batch:
                self.destination.take(turn)
        return outcome


class MindsASecondClose(Good):
    def close(self, *, timeout_s):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


BROKEN = [
    (Nameless, "has_what_an_exporter_has", "Nameless is no turnspan.ports.Exporter"),
    (LosesTheLast, "accounts_for_every_turn", "not there: ['turn_000000000003'"),
    (RefusesTheLast, "accounts_for_every_turn", "the destination is up, yet of 1 turns"),
    (NamesStrangers, "accounts_for_every_turn", "a batch of 0 has no turns [0]"),
    (GivesNoCause, "accounts_for_every_turn", "unsent without a cause"),
    (ContradictsItself, "sends_nothing_after_close", "both refused and unsent"),
    (RefusesTwice, "keeps_the_order", "refused both as one and singly"),
    (AnswersWithACount, "accounts_for_every_turn", "answered with a int"),
    (TurnsRound, "keeps_the_order", "there ['turn_000000000007'"),
    (Raises, "survives_an_undecodable_line", "export raised WireError"),
    (OffersBadLinesForEver, "survives_an_undecodable_line", "would be sent again and again"),
    (RefusesTheNeighbours, "survives_an_undecodable_line", "good turns beside"),
    (MistakesFeedbackForTurns, "keeps_feedback_like_turns", "of 3 turns"),
    (ForgetsFeedback, "keeps_feedback_like_turns", "again and again, there []"),
    (OffersBadFeedbackForEver, "keeps_feedback_like_turns", "would be sent again and again"),
    (TakesFeedbackAfterClose, "keeps_feedback_like_turns", "closed, and yet it took feedback"),
    (DrawsItsName, "has_a_stable_name_without_credentials", "the next 'good-"),
    (HasNoName, "has_a_stable_name_without_credentials", "the name is ''"),
    (TellsItsKeyInItsName, "has_a_stable_name_without_credentials", "a secret of 10 characters"),
    (TellsItsKeyInItsRepr, "has_a_stable_name_without_credentials", "a secret of 10 characters"),
    (KeepsTheUserInfo, "has_a_stable_name_without_credentials", "credentials before the host"),
    (IsBoundToItsThread, "exports_from_another_thread", "made in another thread"),
    (ExportsLate, "keeps_its_timeout", "export took"),
    (ClosesLate, "keeps_its_timeout", "close took"),
    (SendsAfterClose, "sends_nothing_after_close", "closed, and yet it answered"),
    (SaysUnsentButSends, "sends_nothing_after_close", "closed, and yet there are"),
    (MindsASecondClose, "may_be_closed_twice", "close raised RuntimeError: closed already"),
]


def maker(kind, destination):
    return ExporterMaker(
        lambda: kind(destination) if issubclass(kind, Good) else kind(),
        arrived=lambda: destination.ids,
        feedback_arrived=lambda: destination.feedback_ids,
        secrets=[SECRET],
    )


@pytest.fixture
def little_grace(monkeypatch):
    """The fault is shown in less than the second that a busy machine is granted."""
    monkeypatch.setattr(module, "_GRACE_S", 0.5)


@pytest.mark.parametrize("rule", exporter_rules(), ids=lambda rule: rule.__name__)
def test_a_good_exporter_passes(rule):
    """No rule asks for more than the ports promise."""
    rule(maker(Good, Destination()))
    rule(maker(TakesFeedback, Destination()))


@pytest.mark.parametrize("rule", exporter_rules(), ids=lambda rule: rule.__name__)
def test_a_plain_callable_will_do(rule):
    """Without `arrived` and `secrets` the rules check what they can see."""
    rule(MemoryExporter)


@pytest.mark.parametrize("kind,name,said", BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_exporter_is_caught(kind, name, said, little_grace):
    """The rule fails, and its message says what was seen, a secret aside."""
    rule = next(rule for rule in exporter_rules() if rule.__name__ == name)

    with pytest.raises(AssertionError) as raised:
        rule(maker(kind, Destination()))

    assert said in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_destination_that_keeps_a_turn_twice_is_caught():
    """Where the same turn comes again, it must not be there again."""
    rule = next(r for r in exporter_rules() if r.__name__ == "keeps_a_turn_that_comes_twice_once")

    with pytest.raises(AssertionError, match=r"sent each of .* four times, there"):
        rule(maker(Good, Destination(keys_on_ids=False)))


def test_an_exporter_that_never_comes_back_is_caught(monkeypatch):
    """A hang in the thread is a failed rule, not a hung test."""
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "_GRACE_S", 0.05)

    let_go = Event()

    class Hangs(Good):
        def export(self, batch, *, timeout_s):
            let_go.wait(60)
            return Outcome()

    rule = next(r for r in exporter_rules() if r.__name__ == "exports_from_another_thread")

    with pytest.raises(AssertionError, match="did not come back"):
        rule(maker(Hangs, Destination()))
    let_go.set()


def test_every_rule_has_a_broken_exporter():
    """A rule that nothing fails would be no rule."""
    names = {rule.__name__ for rule in exporter_rules()}

    assert names == {name for _, name, _ in BROKEN} | {"keeps_a_turn_that_comes_twice_once"}


def test_every_rule_says_what_it_asks_in_a_sentence():
    """The docstring is what a third party reads when its exporter fails."""
    docs = [rule.__doc__ for rule in exporter_rules()]

    assert all(doc and doc.endswith(".") and "\n" not in doc for doc in docs)
