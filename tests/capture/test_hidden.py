"""Names and paths: what they meet, and what they cost."""

from __future__ import annotations

import time

import pytest

from turnspan.capture.hidden import Paths


@pytest.mark.parametrize(
    "path, keys, met",
    [
        ("password", ("input", "password"), True),
        ("password", ("steps", "login", "input", "user", "Password"), True),
        ("password", ("input", "passwords"), False),
        ("*_token", ("input", "access_token"), True),
        ("*_token", ("input", "token"), False),
        ("a*b*c", ("input", "axxbxxc"), True),
        ("a*b*c", ("input", "acb"), False),
        ("ab*ba", ("input", "aba"), False),
        ("input.user.card", ("input", "user", "card"), True),
        ("input.user.card", ("input", "user", "name"), False),
        ("input.user.card", ("output", "user", "card"), False),
        ("input.user", ("input", "user", "card"), True),
        ("input.*.card", ("input", "card"), True),
        ("input.*.card", ("input", "a", "b", "card"), True),
        ("*.user.card", ("steps", "pay", "input", "user", "card"), True),
        ("input.user.card", ("input", "user.card"), True),
        ("password", ("span", "app.password"), True),
        ("state.*", ("state",), True),
    ],
)
def test_a_path_meets_what_it_says(path, keys, met):
    """And what stands below it; upper and lower case are the same."""
    assert Paths([path]).at(*keys)[1] is met


@pytest.mark.parametrize(
    "text, shown",
    [
        ("password=x, next", "password=<hidden>, next"),
        ("password = 'two words' next", "password = <hidden> next"),
        ('f(password="x")', "f(password=<hidden>)"),
        ('{"password": "x", "b": 1}', '{"password": <hidden>, "b": 1}'),
        ('\\"password\\": \\"x\\"', '\\"password\\": <hidden>'),
        ("password: 'no end", "password: <hidden>"),
        ("the password is x", "the password is x"),
        ("db_password=x", "db_password=x"),
        ("password=)", "password=)"),
        ('password = ["x", "y, z"], next', "password = <hidden>, next"),
        ("password=['x]', 'y'] next", "password=<hidden> next"),
        ('password: ("x", [1, {"a": "y"}]), 2', "password: <hidden>, 2"),
        ('password = (\n  "x"\n  "y"\n)\nnext', "password = <hidden>\nnext"),
        ('"password": {"a": ["x", {"b": "y"}], "c": 2}, "d": 1', '"password": <hidden>, "d": 1'),
        ('{\\"password\\": [\\"x\\", \\"y\\"], 1}', '{\\"password\\": <hidden>, 1}'),
        ('password="""x\n"y" z\n""" next', "password=<hidden> next"),
        ("password='''x\ny''' next", "password=<hidden> next"),
        ('password = rb"x y" next', "password = <hidden> next"),
        ('password="x\\" y" next', "password=<hidden> next"),
        ("password = ['x', 'no end", "password = <hidden>"),
    ],
)
def test_what_is_assigned_in_a_text_is_hidden(text, shown):
    """In code and in JSON, to that very name."""
    assert Paths(["password"]).in_text(text) == shown


UNKIND = [
    "password",
    "password=",
    'password="',
    "password='",
    "password: ",
    "password=[",
    "password=[(",
    "password={'",
    'password=["x"] ',
    'password="""',
    "password='''x",
    'password=\\"',
    'password"',
    "a_token",
    "-",
    "a-",
    "_",
    " =",
    '\\"',
]


@pytest.mark.parametrize("piece", UNKIND)
def test_looking_for_assignments_takes_linear_time(piece):
    """Eight times the text takes at most some twenty times as long."""
    paths = Paths(["password", "*_token", "*secret*"])

    def spent_s(chars: int) -> float:
        text = "token " + (piece * chars)[:chars]
        times = []
        for _ in range(3):
            start_s = time.process_time()
            paths.in_text(text)
            times.append(time.process_time() - start_s)
        return min(times)

    short_s, long_s = (max(spent_s(chars), 0.0005) for chars in (8_000, 64_000))

    assert long_s / short_s < 20


def test_a_key_without_an_end_is_matched_in_linear_time():
    """Keys are texts of the caller's, as long as they please."""
    paths = Paths(["*a*a*a*a*a*b", "x"])
    start_s = time.process_time()
    met = paths.at("input", "a" * 1_000_000)[1]

    assert met is False
    assert time.process_time() - start_s < 1
