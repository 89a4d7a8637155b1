"""Secrets that are known by how they look: built-in patterns, and those of one's own.

All of it is linear in the text. What is long is first looked at in C for what every secret of
a kind has (a run of sixteen characters without a gap, thirteen digits, an `@`), and only what
is found there is looked at closely.

Source: the forms that the vendors document for their keys, as of 2026-10; card lengths and
issuers by ISO/IEC 7812; private keys by RFC 7468; bearer tokens by RFC 6750.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from turnspan.errors import SettingsError

__all__ = ["NAMES", "checked", "searches"]

Search = Callable[[str], str]

MIN_RUN: Final = 16  # no key and no token is shorter
MIN_CARD: Final = 13
MAX_CARD: Final = 19
MAX_CARD_GROUPS: Final = 6
_WORD: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.~+/="
_DIGITS: Final = b"0123456789"
_RUNS: Final = bytes(49 if code in _WORD else 32 for code in range(256))
_NUMBERS: Final = bytes(49 if code in _DIGITS else 32 for code in range(256))

_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}+"  # OpenAI, Anthropic, OpenRouter, DeepSeek, Langfuse, LiteLLM
    r"|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9+/=]{16,}+"  # Stripe
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|AIza[A-Za-z0-9_-]{30,}+|ya29\.[A-Za-z0-9_-]{16,}+|GOCSPX-[A-Za-z0-9_-]{16,}+"  # Google
    r"|gh[pousr]_[A-Za-z0-9]{30,}+|github_pat_[A-Za-z0-9_]{22,}+"
    r"|gl(?:pat|ptt|rt|dt|cbt|ft|soat)-[A-Za-z0-9_.-]{16,}+"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{16,}+"  # Slack
    r"|hf_[A-Za-z0-9]{30,}+|npm_[A-Za-z0-9]{30,}+|pypi-[A-Za-z0-9_-]{16,}+"
    r"|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+|key-[0-9a-f]{32}"  # SendGrid, Mailgun
    r"|(?:AC|SK)[0-9a-f]{32}(?![A-Za-z0-9])"  # Twilio
    r"|(?:gsk|nvapi|tvly|pplx|xai|r8|dapi|dop_v1|doo_v1|dckr_pat|fw|ntn|secret|lin_api|shpat"
    r"|shpca|shppa|shpss|sntrys|phc|phx|csk|lsv2_pt|lsv2_sk|jina|pcsk|vck|e2b)[_-]?+"
    r"(?=[a-z_-]{0,64}[0-9A-Z])[A-Za-z0-9_-]{24,}+"
    r")"
)
_JWT: Final = re.compile(
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{5,}+\.[A-Za-z0-9_-]{5,}+(?:\.[A-Za-z0-9_-]*+){1,3}"
)
_SCHEME: Final = re.compile(r"(bearer|basic)[ :]{1,3}\Z", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++")
_LOCAL: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-'"
_CARDS: Final = re.compile(r"(?<![0-9])[0-9]++(?:[ -][0-9]++)*+")
_ROW: Final = "0123456789 -"
_ROW_ON: Final = re.compile(r"[0-9 -]++")
CARD_GROUP: Final = b"1111"  # four digits together: every card's number is printed in such groups
MAX_BEFORE: Final = 8  # characters of a row that may stand before its first such group
_ISSUED: Final = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|(?:5[1-5][0-9]{2}|2[2-7][0-9]{2})[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11,16}|35[0-9]{14}|(?:6011|65[0-9]{2}|64[4-9][0-9]|62[0-9]{2})"
    r"[0-9]{12,15}|(?:50|5[6-9]|6[0-9])[0-9]{11,17}"
)
_DOUBLED: Final = str.maketrans("0123456789", "0246813579")  # twice a digit, and its digits' sum
_PEM: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,64}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END: Final = "-----END "


def checked(pattern: object) -> str | re.Pattern[str]:
    """``pattern`` if it is the name of a built-in one, or provably linear.

    Raises:
        SettingsError: it is neither.
    """
    if isinstance(pattern, str):
        if pattern in _SEARCHES:
            return pattern
        raise SettingsError(
            f"there is no pattern {pattern!r}",
            fix=f"one of: {', '.join(_SEARCHES)}; or give re.compile(…) for one of your own",
        )
    from turnspan.capture.linear import why_not_linear  # here: few have patterns of their own

    if not isinstance(pattern, re.Pattern) or not isinstance(pattern.pattern, str):
        raise SettingsError(
            f"{pattern!r} is no pattern of text", fix="give a name, or re.compile('…')"
        )
    if (why := why_not_linear(pattern)) is not None:
        raise SettingsError(f"the pattern {pattern.pattern!r} {why[0]}", fix=why[1])
    return pattern


def searches(patterns: Sequence[str | re.Pattern[str]]) -> tuple[Search, ...]:
    """What to do to a text for each of ``patterns``, in the order that hides most."""
    named = [p for p in _SEARCHES if p in patterns]
    own = [p for p in patterns if not isinstance(p, str)]
    found: list[Search] = []
    if "private_key" in named:
        found.append(_without_private_keys)
    if "api_key" in named or "bearer" in named:
        found.append(_token_search(keys="api_key" in named, bearers="bearer" in named))
    found += [_SEARCHES[name] for name in ("email", "card") if name in named]
    found += [_own_search(pattern) for pattern in own]
    return tuple(found)


def _own_search(pattern: re.Pattern[str]) -> Search:
    return lambda text: pattern.sub("<hidden>", text)


def _token_search(*, keys: bool, bearers: bool) -> Search:
    def search(text: str) -> str:
        return _without_tokens(text, keys=keys, bearers=bearers)

    return search


def _without_tokens(text: str, *, keys: bool, bearers: bool) -> str:
    if len(text) < MIN_RUN:
        return text
    runs = text.encode("ascii", "replace").translate(_RUNS)  # a byte for each character
    kept: list[str] = []
    done, start = 0, runs.find(b"1" * MIN_RUN)
    while start >= 0:
        end = runs.find(b" ", start)
        end = len(text) if end < 0 else end
        if (shown := _shown_run(text, start, end, keys=keys, bearers=bearers)) is not None:
            kept += (text[done:start], shown)
            done = end
        start = runs.find(b"1" * MIN_RUN, end)
    return "".join((*kept, text[done:])) if kept else text


def _shown_run(text: str, start: int, end: int, *, keys: bool, bearers: bool) -> str | None:
    """What to show of a run of token characters; None to leave it as it is."""
    run = text[start:end]
    if bearers and (scheme := _SCHEME.search(text, max(0, start - 10), start)) is not None:
        is_word = run.isalpha() and run[1:].islower()  # a basic responsibility is no secret
        if len(scheme[1]) == len("bearer") or not is_word:
            return "<hidden:bearer>"
    shown = run
    if bearers and "eyJ" in run:
        shown = _JWT.sub("<hidden:bearer>", shown)
    if keys:
        shown = _KEY.sub("<hidden:api_key>", shown)
    return None if shown == run else shown


def _without_emails(text: str) -> str:
    at = text.find("@")
    if at < 0:
        return text
    kept: list[str] = []
    done = 0
    for found in _DOMAIN.finditer(text, at):
        at = found.start()
        before = text[max(done, at - 256) : at]
        name = len(before) - len(before.rstrip(_LOCAL))
        if name:
            kept += (text[done : at - name], "<hidden:email>")
            done = found.end()
    return "".join((*kept, text[done:])) if kept else text


def _without_cards(text: str) -> str:
    if len(text) < MIN_CARD:
        return text
    digits = text.encode("ascii", "replace").translate(_NUMBERS)
    kept: list[str] = []
    done, at = 0, digits.find(CARD_GROUP)
    while at >= 0:
        before = text[max(done, at - MAX_BEFORE) : at]
        start = at - (len(before) - len(before.rstrip(_ROW)))
        end = _row_end(text, at)
        row = text[start:end]
        if (shown := _CARDS.sub(_without_card, row)) != row:
            kept += (text[done:start], shown)
            done = end
        at = digits.find(CARD_GROUP, end)
    return "".join((*kept, text[done:])) if kept else text


def _row_end(text: str, at: int) -> int:
    """Where the digits, spaces and dashes from ``at`` on end."""
    found = _ROW_ON.match(text, at)
    return at if found is None else found.end()


def _without_card(found: re.Match[str]) -> str:
    """A row of groups of digits, without those that are together a card's number."""
    groups = re.split("([ -])", found[0])  # every other one is what stands between
    if sum(map(len, groups[::2])) < MIN_CARD:
        return found[0]
    shown: list[str] = []
    at = 0
    while at < len(groups):
        end = _card_end(groups, at) if at % 2 == 0 else None
        shown.append(groups[at] if end is None else "<hidden:card>")
        at = at + 1 if end is None else end
    return "".join(shown)


def _card_end(groups: Sequence[str], at: int) -> int | None:
    """Where the groups from ``at`` on have become a card's number; None if they never do."""
    digits, ends = "", None
    for place in range(at, min(len(groups), at + 2 * MAX_CARD_GROUPS), 2):
        digits += groups[place]
        if len(digits) > MAX_CARD:
            break
        if len(digits) >= MIN_CARD and _ISSUED.fullmatch(digits) and _luhn(digits):
            ends = place + 1
    return ends


def _luhn(digits: str) -> bool:
    doubled = digits[-2::-2].translate(_DOUBLED)
    return (sum(map(int, digits[-1::-2])) + sum(map(int, doubled))) % 10 == 0


def _without_private_keys(text: str) -> str:
    """A key without its end is hidden to the end of the text."""
    if "-----BEGIN " not in text:
        return text
    kept: list[str] = []
    done = 0
    while (found := _PEM.search(text, done)) is not None:
        kept += (text[done : found.start()], "<hidden:private_key>")
        end = text.find(_PEM_END, found.end())
        close = -1 if end < 0 else text.find("-----", end + len(_PEM_END))
        done = len(text) if close < 0 else close + 5
    return "".join((*kept, text[done:])) if kept else text


_SEARCHES: Final[dict[str, Search]] = {
    "api_key": _token_search(keys=True, bearers=False),
    "bearer": _token_search(keys=False, bearers=True),
    "email": _without_emails,
    "card": _without_cards,
    "private_key": _without_private_keys,
}
NAMES: Final = tuple(_SEARCHES)
