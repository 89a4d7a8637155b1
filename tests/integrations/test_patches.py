"""Patches are put back, and never over somebody else's."""

from __future__ import annotations

import pytest

from turnspan.errors import IntegrationError
from turnspan.integrations import Patches


class Engine:
    def run(self, word, *, loud=False):
        """Say it."""
        return word.upper() if loud else word


class Turbo(Engine):
    pass


def louder(original, self, word, **given):
    return original(self, word, **given) + "!"


def test_a_patched_method_is_answered_by_what_was_put_around_it():
    """Signature and docs are the method's own; `undo` leaves the class as it was, twice too."""
    before, patches = dict(vars(Engine)), Patches()
    patches.wrap(Engine, "run", louder)
    patched, name = Engine().run("a", loud=True), Engine.run.__doc__
    patches.undo()
    patches.undo()

    assert (patched, name) == ("A!", "Say it.")
    assert dict(vars(Engine)) == before
    assert not patches.are_on


def test_an_inherited_method_is_patched_where_it_was_asked_for():
    """The class it comes from is left alone, and nothing is left in the heir."""
    patches = Patches()
    patches.wrap(Turbo, "run", louder)
    found = Turbo().run("a"), Engine().run("a")
    patches.undo()

    assert found == ("a!", "a")
    assert "run" not in vars(Turbo)


def test_what_somebody_else_patched_after_us_is_left_alone_and_said(caplog):
    """Ours below theirs does nothing any more."""
    plain, patches = Engine.run, Patches()
    patches.wrap(Engine, "run", louder)
    ours = Engine.run

    def theirs(self, word):
        return f"<{ours(self, word)}>"

    Engine.run = theirs
    try:
        before = Engine().run("a")
        patches.undo()
        after, kept = Engine().run("a"), Engine.run
    finally:
        Engine.run = plain

    assert (before, after) == ("<a!>", "<a>")
    assert kept is theirs
    assert "was patched again after turnspan: left alone" in caplog.text


def test_several_patches_are_undone_last_first():
    """Also two of the same method."""
    plain, patches = Engine.run, Patches()
    patches.wrap(Engine, "run", louder)
    patches.wrap(Engine, "run", louder)
    twice = Engine().run("a")
    patches.undo()

    assert twice == "a!!"
    assert Engine.run is plain


@pytest.mark.parametrize("name", ["missing", "__doc__"])
def test_what_is_no_method_is_refused(name):
    """And nothing is patched."""
    patches = Patches()
    with pytest.raises(IntegrationError) as caught:
        patches.wrap(Engine, name, louder)

    assert caught.value.fix
    assert not patches.are_on


def test_class_and_static_methods_are_patched_as_what_they_are():
    """A class method knows the class that it is called on; what was stored is put back."""

    class Maker:
        @classmethod
        def made_by(cls):
            return cls.__name__

        @staticmethod
        def add(a, b):
            return a + b

    class Heir(Maker):
        pass

    before, patches = dict(vars(Maker)), Patches()
    patches.wrap(Maker, "made_by", lambda original: original() + "!")
    patches.wrap(Maker, "add", lambda original, *given: -original(*given))
    found = Maker.made_by(), Heir.made_by(), Heir().made_by(), Maker.add(1, 2), Maker().add(1, 2)
    patches.undo()

    assert found == ("Maker!", "Heir!", "Heir!", -3, -3)
    assert dict(vars(Maker)) == before
