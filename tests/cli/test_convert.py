"""`turnspan convert`: OTLP files in, turns out."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import orjson
import pytest

from turnspan.schema import decode_turn, encode_turn
from turnspan.telemetry.otlp import RequestWriter
from turnspan.testing import make_turn

RECORDED = Path(__file__).parents[1] / "telemetry" / "decoding" / "recorded"
NAMES = ["util_genai", "traceloop"]


def protobuf_of(*turns) -> bytes:
    """Turns as an OTLP request."""
    writer = RequestWriter(content=True)
    for turn in turns:
        writer.add(orjson.loads(encode_turn(turn)))
    return writer.take()


def json_of(name: str):
    """A recorded request."""
    return orjson.loads((RECORDED / f"{name}.json").read_bytes())


SHAPES = {
    "one file each": lambda: [orjson.dumps(json_of(name)) for name in NAMES],
    "indented": lambda: [(RECORDED / f"{name}.json").read_bytes() for name in NAMES],
    "an array": lambda: [orjson.dumps([json_of(name) for name in NAMES])],
    "a request a line": lambda: [b"\n".join(orjson.dumps(json_of(name)) for name in NAMES)],
    "gzipped lines": lambda: [
        gzip.compress(b"\n\n".join(orjson.dumps(json_of(name)) for name in NAMES) + b"\n")
    ],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_json_in_any_of_its_shapes_becomes_turns(shape, call, tmp_path) -> None:
    """Requests, arrays of them and lines of them make the same turns."""
    files = []
    for index, body in enumerate(SHAPES[shape]()):
        files.append(tmp_path / str(index))
        files[-1].write_bytes(body)
    said = call("convert", *map(str, files))

    assert (said.status, said.err) == (0, "")
    assert [line["agent"]["name"] for line in said.lines] == ["weather"] * 2


def test_turns_come_back_from_protobuf_as_they_were(call, tmp_path) -> None:
    """What our own writer wrote is read as the lines that the journal had."""
    turns = [make_turn(1), make_turn(2)]
    (tmp_path / "spans.binpb").write_bytes(protobuf_of(*turns))
    to = tmp_path / "turns.ndjson"
    said = call("convert", str(tmp_path / "spans.binpb"), "--to", str(to))

    assert (said.status, said.out) == (0, "")
    assert [decode_turn(line) for line in to.read_bytes().splitlines()] == turns


def test_spans_are_put_together_across_files(call, tmp_path) -> None:
    """A turn whose spans are in two files is one turn."""
    whole = json_of("util_genai")
    [group] = whole["resourceSpans"]
    for index in (0, 1):
        scopes = [{**scope, "spans": scope["spans"][index::2]} for scope in group["scopeSpans"]]
        part = {"resourceSpans": [{**group, "scopeSpans": scopes}]}
        (tmp_path / f"{index}.json").write_bytes(orjson.dumps(part))
    apart = call("convert", str(tmp_path / "0.json"), str(tmp_path / "1.json"))

    assert apart.lines == call("convert", str(RECORDED / "util_genai.json")).lines


def test_standard_input_is_read_too(call, monkeypatch) -> None:
    """`-` is standard input."""
    body = io.TextIOWrapper(io.BytesIO(protobuf_of(make_turn())))
    monkeypatch.setattr(sys, "stdin", body)
    said = call("convert", "-")

    assert [line["id"] for line in said.lines] == [make_turn().id]


def test_spans_of_no_turn_are_told(call, tmp_path) -> None:
    """What is left out, and what cannot be read, is counted on standard error."""
    ids = {"traceId": "1" * 32, "spanId": "2" * 16}
    spans = [{**ids, "name": "GET /", "startTimeUnixNano": "5"}, {"name": "no ids"}]
    path = tmp_path / "spans.json"
    path.write_bytes(orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    said = call("convert", str(path))

    assert (said.status, said.out) == (0, "")
    assert "1 span cannot be read: a span has no valid trace id" in said.err
    assert "1 span belong to no turn" in said.err


@pytest.mark.parametrize(
    "body, what",
    [
        (b"", "the file is empty"),
        (b"{}", "no list of resourceSpans"),
        (b"{", "no JSON"),
        (b"hello", "no OTLP trace request"),
        (b"\x1f\x8bno", "is broken"),
    ],
)
def test_a_file_without_traces_is_refused_with_what_and_fix(body, what, call, tmp_path) -> None:
    """The message names the file, says what is wrong and what to do."""
    path = tmp_path / "spans.json"
    path.write_bytes(body)
    said = call("convert", str(path))

    assert (said.status, said.out) == (2, "")
    assert what in said.err
    assert str(path) in said.err
    assert "fix:" in said.err


def test_a_damaged_gzip_is_refused_with_what_and_fix(call, tmp_path) -> None:
    """Whatever byte of it was changed, there is one sentence and no traceback."""
    whole = gzip.compress(orjson.dumps(json_of(NAMES[0])))
    told = []
    for at in (12, 14, 20, len(whole) - 12, len(whole) - 2):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path = tmp_path / f"{at}.gz"
        path.write_bytes(damaged)
        said = call("convert", str(path))
        told.append((said.status, said.err.startswith(f"turnspan: {path} is broken: ")))

    assert told == [(2, True)] * 5


def test_a_byte_order_mark_is_no_part_of_the_json(call, tmp_path) -> None:
    """Editors on Windows write one."""
    path = tmp_path / "spans.json"
    path.write_bytes(b"\xef\xbb\xbf" + orjson.dumps(json_of(NAMES[0])))
    said = call("convert", str(path))

    assert (said.status, said.err) == (0, "")
    assert said.out.startswith('{"record":"turn"')


def test_a_missing_file_is_named(call, tmp_path) -> None:
    """A path that is not there is told as such."""
    said = call("convert", str(tmp_path / "none.json"))

    assert (said.status, "none.json" in said.err) == (2, True)


@pytest.mark.parametrize(
    "name, body, what",
    [
        ("missing.json", None, "missing.json cannot be read: No such file or directory"),
        ("cut.json", b'{"resourceSpans":', "cut.json: these bytes are no JSON"),
        ("program.py", b"print(1)", "program.py: these bytes are no OTLP trace request"),
        ("turns.ndjson", b'{"record":"turn"}', "turns.ndjson: this JSON is no OTLP trace request"),
        ("empty.json", b"", "empty.json: the file is empty"),
    ],
)
def test_a_file_without_traces_is_told_with_what_is_wanted(name, body, what, call, tmp_path):
    """The fix is for whoever names files, not for whoever sends requests."""
    if body is not None:
        (tmp_path / name).write_bytes(body)
    said = call("convert", name)

    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"turnspan: {what}")
    assert said.err.endswith(
        "\n  fix: name files that an OTLP/HTTP exporter or the Collector's file exporter wrote\n"
    )


def test_a_place_that_cannot_be_written_is_told_without_options_it_has_not(call, tmp_path):
    """`convert` has no --dir to name another one with."""
    (tmp_path / "traces.json").write_bytes(orjson.dumps(json_of("traceloop")))
    said = call("convert", "traces.json", "--to", "nowhere/turns.ndjson")

    assert said.status == 2
    assert said.err.endswith("\n  fix: see that you may read and write it, or name another\n")


def test_traces_without_a_turn_are_said_to_be_so(call, tmp_path):
    """Nothing printed would look like something gone wrong."""
    (tmp_path / "none.json").write_bytes(b'{"resourceSpans":[]}')
    said = call("convert", "none.json")

    assert (said.status, said.out) == (0, "")
    assert said.err == "turnspan: there is no turn in what was given\n"
