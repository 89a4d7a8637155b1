"""`keys` and `serve`: what the command line says of them."""

from __future__ import annotations

import re
from argparse import Namespace

import pytest

from turnspan.cli._arguments import shown_store


def test_a_key_is_shown_once_and_listed_without_its_secret(call):
    """What `create` prints is nowhere afterwards, not in the list nor in the file."""
    made = call("keys", "create", "--project", "p", "--name", "laptop", "--scopes", "read")
    secret = made.out.strip()
    listed = call("keys", "list", "--json").lines

    assert re.fullmatch(r"uniq_live_[A-Za-z0-9]{43}", secret)
    assert [(each["project"], each["name"], each["scopes"]) for each in listed] == [
        ("p", "laptop", ["read"])
    ]
    assert secret[18:] not in call("keys", "list").out
    with open("turns.db", "rb") as file:
        assert secret[18:].encode() not in file.read()


def test_a_key_is_revoked(call):
    """Afterwards the list says when."""
    made = call("keys", "create", "--json").json
    revoked = call("keys", "revoke", made["id"], "--json").json

    assert revoked["revoked_at"] is not None
    assert "revoked" in call("keys", "list").out


def test_a_store_without_keys_is_named(call, tmp_path):
    """A mistyped --store would look like one that holds none; and so would a mistyped variable."""
    said = call("keys", "list", "--store", "mistyped.db")

    assert (said.status, said.out, said.err) == (0, "", "there is no key in mistyped.db\n")


def test_a_store_is_shown_without_its_password():
    """Wherever in its URL that stands."""
    given = "postgresql://turnspan:hunter2@db.internal/turns?password=hunter2"

    assert shown_store(Namespace(store=given)) == "postgresql://db.internal/turns"


@pytest.mark.parametrize(
    "words, what",
    [
        (("create", "--scopes", "everything"), "--scopes everything cannot be read"),
        (("create", "--scopes", ","), "--scopes , cannot be read"),
        (("create", "--project", ""), "a project has 1 to 100 characters"),
        (("create", "x"), "create takes no ID"),
        (("revoke",), "revoke takes an ID"),
        (("revoke", "nope"), "there is no key 'nope'"),
        (("list", "--store", "mysql://x"), "a store cannot be mysql://"),
    ],
)
def test_a_mistake_is_told_with_its_fix(call, words, what):
    """Nothing is made by a command that cannot be read."""
    said = call("keys", *words)

    assert said.status == 2
    assert what in said.err
    assert "fix: " in said.err


@pytest.mark.parametrize(
    "words, what",
    [
        (("--limits", "nope=1"), "there is no limit 'nope'"),
        (("--limits", "burst"), "--limits burst is no whole number above 0"),
        (("--limits", "burst=-1"), "--limits burst=-1 is no whole number above 0"),
        (("--limits", "request_s=nan"), "--limits request_s=nan is no number above 0"),
        (("--retain-days", "0"), "--retain-days is not above 0"),
        (("--port", "99999"), "there is no port 99999"),
        (("--host", "256.0.0.1"), "would let others in"),
    ],
)
def test_a_server_that_cannot_start_says_why(call, words, what):
    """A mistake ends the command before anything listens."""
    said = call("serve", *words)

    assert said.status == 2
    assert what in said.err


def test_the_limits_are_listed(call):
    """`--limits help` prints each with its default."""
    said = call("serve", "--limits", "help")

    assert "body_bytes=16777216\n" in said.out
    assert "turns_per_month=none\n" in said.out


def test_the_store_is_named_by_its_variable(call, monkeypatch, tmp_path):
    """TURNSPAN_STORE stands in for --store."""
    monkeypatch.setenv("TURNSPAN_STORE", str(tmp_path / "elsewhere.db"))
    call("keys", "create")
    told = call("doctor").out

    assert "TURNSPAN_STORE" not in told
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "turns.db").exists()
