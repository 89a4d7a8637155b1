"""What the pages of docs/tools/ say of each tool, as far as it can be tried without the tool."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "tools"
PAGES = {path.stem: path.read_text("utf-8") for path in FOLDER.glob("[a-z]*.md")}
INDEX = (FOLDER / "README.md").read_text("utf-8")
WANTED = {
    "aws", "azure", "braintrust", "datadog", "google", "honeycomb", "jaeger", "laminar", "langfuse",
    "langsmith", "logfire", "mlflow", "opik", "phoenix", "signoz", "tempo", "weave",
}  # fmt: skip
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\$([A-Z_]+)")
PROGRAM = """
import turnspan


@turnspan.agent
def concierge(question):
    return "A coat."


turnspan.configure()
concierge("What should I wear?")
print(turnspan.close(timeout_s=30).delivered)
"""


def commands(page):
    """The lines of a page that configure turnspan, and the URL in them."""
    [block] = BLOCK.findall(PAGES[page])
    [url] = re.findall(r"TURNSPAN_EXPORTERS=\"?otlp\+(https?://[^\s\"]+)", block)
    return block, urlsplit(url)


@pytest.fixture
def receiver():
    """A server on loopback that takes everything and keeps path and headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            server.requests.append((self.path, dict(self.headers.items())))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_tool_has_its_page_and_its_row():
    """And no row is without a page."""
    rows = re.findall(r"^\| \[.+?\]\((.+?)\.md\) \|", INDEX, re.MULTILINE)

    assert set(PAGES) == WANTED
    assert sorted(rows) == sorted(WANTED)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_says_what_is_shown_what_is_not_and_who_says_so(page):
    """In two lines of configuration, a table and two paragraphs."""
    block, _ = commands(page)

    assert len(block.splitlines()) == 2
    assert "| of a turn | where |" in PAGES[page]
    assert "**Not shown**" in PAGES[page]
    assert "**How far this is known**" in PAGES[page]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_lines_of_a_page_send_a_turn_where_it_says(page, receiver, tmp_path):
    """With its host replaced by one of ours: to the path below its base, with its headers."""
    block, url = commands(page)
    host = url.netloc.rpartition("@")[2]
    here = f"127.0.0.1:{receiver.server_port}"
    lines = block.replace(f"otlp+{url.scheme}", "otlp+http").replace(host, here)
    keys = {name: f"key-of-{name.lower()}" for name in VARIABLE.findall(block)}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TURNSPAN_", "OTEL_"))}
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        ["sh", "-euc", f"{lines}\nexec {sys.executable} -W error program.py"],
        cwd=tmp_path,
        env=kept | keys | {"NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    [(path, headers)] = [each for each in receiver.requests if "/v1/metrics" not in each[0]]
    sent = {name.lower(): value for name, value in headers.items()}
    said = re.findall(r"_HEADERS=\"?(.*?)\"?$", block, re.MULTILINE)
    wanted = {item.partition("=")[0].lower() for item in ",".join(said).split(",") if item}

    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert path == f"{url.path}/v1/traces"
    assert sorted(wanted - sent.keys()) == []
    assert [sent[name] for name in wanted if re.search(r"[$%\"\n]", sent[name])] == []
    assert ("authorization" in sent) is ("uthorization" in block or "@" in block)


def test_the_program_of_the_index_runs(run, tmp_path):
    """Several destinations at once, one of them with headers of its own."""
    [block] = re.findall(r"^ *```python\n(.*?)^ *```", INDEX, re.MULTILINE | re.DOTALL)
    program = tmp_path / "block.py"
    program.write_text(dedent(block), encoding="utf-8")

    assert run(program) == ""


def test_each_picture_of_a_page_is_there():
    """And no picture is without a page."""
    shown = {name for page in PAGES.values() for name in re.findall(r"!\[.+?\]\((.+?)\)", page)}
    there = {path.name for path in FOLDER.glob("*.png")}

    assert shown == there
