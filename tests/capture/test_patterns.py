"""Secrets that are known by how they look."""

from __future__ import annotations

import time
from statistics import median

import pytest

from turnspan.capture.patterns import NAMES, searches

LONG = "0123456789abcdefghijABCDEFGHIJ0123456789abcdefghij"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0TH"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"


def searched(text: str, *names: str) -> str:
    for search in searches(names or NAMES):
        text = search(text)
    return text


@pytest.mark.parametrize(
    "key",
    [
        f"sk-{LONG}",
        f"sk-proj-{LONG}_-x",
        f"sk-ant-api03-{LONG}",
        f"sk_live_{LONG}",
        f"rk_test_{LONG}",
        f"whsec_{LONG}",
        "AKIAABCDEFGHIJKLMNOP",
        "ASIAABCDEFGHIJKLMNOP",
        f"AIza{LONG}",
        f"ya29.{LONG}",
        f"ghp_{LONG}",
        f"github_pat_{LONG}",
        f"glpat-{LONG}",
        "xoxb-1234567890-abcdefghij",
        f"hf_{LONG}",
        f"npm_{LONG}",
        f"pypi-{LONG}",
        f"SG.{LONG}.{LONG}",
        f"gsk_{LONG}",
        f"lsv2_pt_{LONG}",
        f"tvly-{LONG}",
    ],
)
@pytest.mark.parametrize("around", ["{}", "key={}&x=1", 'the key "{}" is', "a\n{}\nb", "(é{})"])
def test_an_api_key_is_hidden(key, around):
    """Of the common vendors, wherever it stands in a text."""
    shown = searched(around.format(key), "api_key")

    assert shown == around.format("<hidden:api_key>")


@pytest.mark.parametrize(
    "text, shown",
    [
        (f"Authorization: Bearer {LONG}", "Authorization: Bearer <hidden:bearer>"),
        (f"bearer  {LONG}==, then", "bearer  <hidden:bearer>, then"),
        (f"Basic {LONG}", "Basic <hidden:bearer>"),
        (f'{{"token":"{JWT}"}}', '{"token":"<hidden:bearer>"}'),
        ("the bearer of bad news", "the bearer of bad news"),
        ("basic responsibilities of all", "basic responsibilities of all"),
        (f"id {LONG}", f"id {LONG}"),
    ],
)
def test_a_bearer_token_is_hidden(text, shown):
    """By the word before it, or because it is a JSON web token."""
    assert searched(text, "bearer") == shown


@pytest.mark.parametrize(
    "text, shown",
    [
        ("ada@example.com", "<hidden:email>"),
        ("<ada.b+c@mail.example.co.uk>, and", "<<hidden:email>>, and"),
        ("to ada@example.com.", "to <hidden:email>."),
        ("a@b.c d@e.f", "<hidden:email> <hidden:email>"),
        ("ada@localhost", "ada@localhost"),
        ("@example.com at 5 @ 3", "@example.com at 5 @ 3"),
    ],
)
def test_an_email_address_is_hidden(text, shown):
    """An `@` alone is none."""
    assert searched(text, "email") == shown


@pytest.mark.parametrize(
    "text, shown",
    [
        ("4111111111111111", "<hidden:card>"),
        ("pay 4111 1111 1111 1111 now", "pay <hidden:card> now"),
        ("3782-822463-10005", "<hidden:card>"),
        ("5555555555554444,6011111111111117", "<hidden:card>,<hidden:card>"),
        ("1234 4111 1111 1111 1111 12/27", "1234 <hidden:card> 12/27"),
        ("4111 1111 1111 1111 123", "<hidden:card> 123"),
        ("7 4111111111111111", "7 <hidden:card>"),
        ("4111111111111112", "4111111111111112"),
        ("1700000000000000000", "1700000000000000000"),
        ("order 0000000000000000", "order 0000000000000000"),
        ("94111111111111111", "94111111111111111"),
    ],
)
def test_a_card_number_is_hidden(text, shown):
    """If an issuer has such numbers and its check digit is right."""
    assert searched(text, "card") == shown


@pytest.mark.parametrize(
    "text, shown",
    [
        (f"a {PEM} b", "a <hidden:private_key> b"),
        (f"{PEM}\n{PEM}", "<hidden:private_key>\n<hidden:private_key>"),
        (PEM.replace("\n", "\\n"), "<hidden:private_key>"),
        ("x -----BEGIN PRIVATE KEY-----\nMIIE", "x <hidden:private_key>"),
        ("-----BEGIN CERTIFICATE-----\nx", "-----BEGIN CERTIFICATE-----\nx"),
    ],
)
def test_a_private_key_is_hidden(text, shown):
    """Without an end to the end of the text."""
    assert searched(text, "private_key") == shown


UNKIND = {
    "letters": "a",
    "digits": "1",
    "spaced digits": "1 ",
    "grouped digits": "4111 ",
    "at signs": "@",
    "addresses without an end": "a@a",
    "domains": "a.",
    "locals": "a" * 60 + "@",
    "key heads": "sk-",
    "short keys": "sk-abc ",
    "mixed heads": "AKIAghp_xoxb-hf_",
    "token heads": "eyJ-",
    "token parts": "eyJaaaaaaaa.",
    "dotted keys": "SG.aaaaaaaaaaaaaaaaaaaa ",
    "named keys": "gsk_" + "a" * 90 + ".",
    "bearers": "Bearer ",
    "dashes": "-",
    "key beginnings": "-----BEGIN ",
    "key beginnings that fail": "-----BEGIN " + "A" * 60,
    "keys without an end": "-----BEGIN PRIVATE KEY-----",
    "white space": " ",
    "not ASCII": "é1",
    "surrogates": "\ud800@",
}


@pytest.mark.parametrize("name", UNKIND)
def test_a_search_takes_linear_time(name):
    """Eight times the text takes at most some twenty times as long, however unkind it is."""
    piece = UNKIND[name]

    def spent_s(chars: int) -> float:
        text = (piece * (chars // len(piece) + 1))[:chars]
        times = []
        for _ in range(3):
            start_s = time.process_time()
            searched(text)
            times.append(time.process_time() - start_s)
        return min(times)

    short_s, long_s = (max(spent_s(chars), 0.0005) for chars in (32_000, 256_000))

    assert long_s / short_s < 20
    assert long_s < 2


def test_what_has_no_secret_is_searched_fast():
    """A megabyte of prose in a few milliseconds: in C, not word by word."""
    text = "The quick brown fox jumps over the lazy dog, then rests. " * 18_000
    times = []
    for _ in range(5):
        start_s = time.process_time()
        assert searched(text) is text or searched(text) == text
        times.append(time.process_time() - start_s)

    assert median(times) < 0.1
