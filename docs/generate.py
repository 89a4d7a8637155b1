"""Write the pages that are derived from the code: `make docs`.

docs/cli.md             every command, from its own help
docs/settings.md        every option, from its declaration in `turnspan.settings`
docs/turn.schema.json   JSON Schema of a turn, from `turnspan.schema.Turn`
docs/feedback.schema.json   the same of feedback

tests/architecture checks that all are current.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from turnspan.cli import commands, program
from turnspan.schema import Feedback, Turn
from turnspan.schema.value import Value
from turnspan.settings import Option, options

DOCS = Path(__file__).parent

_SETTINGS = """\
# Settings

Every option can be given to `turnspan.configure()` or set in the environment. An argument wins
over the environment, and the environment over the default. A value that cannot be read is refused
by `configure()` with the variable, the value and the fix; where nobody called `configure()`,
nothing is recorded, one error is logged, and `turnspan doctor` says why.

Sizes in the environment take units (`64MiB`, `512KiB`), booleans `true` and `false`, lists spaces
or commas. `none` unsets an option that may be unset. A variable that is called `TURNSPAN_…` and is
none of these is said once in the log; `TURNSPAN_STORE` is the [server's](server.md). Which
variables of OpenTelemetry are heard is in [traces.md](traces.md#variables-of-opentelemetry).

`turnspan doctor` shows what is set here, and where each value comes from.

| option | environment | default | what it does |
|---|---|---|---|
"""

_COMMANDS = """\
# The command line

`turnspan COMMAND --help` says the same. What is printed for people may change; the shape that
`--json` prints is kept. Where nothing else is said, the exit status is 0 when all went well and 2
for a mistake in what was given, which is told with its fix.
"""


def pages() -> dict[Path, str]:
    """Every generated page and what it should hold."""
    return {
        DOCS / "cli.md": commands_page(),
        DOCS / "settings.md": settings_page(),
        DOCS / "turn.schema.json": schema_page(Turn),
        DOCS / "feedback.schema.json": schema_page(Feedback),
    }


def commands_page() -> str:
    """Each command as its `--help` has it: what it does, and what it takes."""
    parsers = program(commands()).commands
    return _COMMANDS + "".join(f"\n{_command(*each)}" for each in parsers.items())


def settings_page() -> str:
    """The table of options, one row each, in the order of their declaration."""
    return _SETTINGS + "".join(f"{_row(option)}\n" for option in options())


def schema_page(kind: type[Value]) -> str:
    """What a ``kind`` must look like to be read by us. Unknown fields are passed over."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_terse(kind.model_json_schema(mode="validation")),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _terse(node: Any) -> Any:
    """Without `additionalProperties: true`, which says nothing, and not in every pydantic."""
    if isinstance(node, dict):
        said = {key: _terse(value) for key, value in node.items()}
        return {k: v for k, v in said.items() if (k, v) != ("additionalProperties", True)}
    return [_terse(each) for each in node] if isinstance(node, list) else node


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    # Not `format_help`: every Python lays that out in its own way.
    said = f"## turnspan {name}\n\n{parser.description}\n"
    unshown = {"help", "names"}  # the second is there to be answered with what is right
    actions = [action for action in parser._actions if action.dest not in unshown]  # noqa: SLF001
    if not actions:
        return said
    rows = "".join(f"| {_spelt(each)} | {each.help} |\n" for each in actions)
    return f"{said}\n| argument | what it does |\n|---|---|\n{rows}"


def _spelt(action: argparse.Action) -> str:
    """How an argument is written, its value with it."""
    choices = "{" + "\\|".join(map(str, action.choices or ())) + "}"
    value = action.metavar or (choices if action.choices else "")
    names = [f"{name} {value}".strip() for name in action.option_strings] or [str(value)]
    return ", ".join(f"`{name}`" for name in names)


def _row(option: Option) -> str:
    doc = option.doc
    if option.one_of:
        doc += f" One of {', '.join(f'`{word}`' for word in option.one_of)}."
    if option.secret:
        doc += " A secret: never shown."
    return f"| `{option.name}` | `{option.env}` | {_default(option)} | {doc} |"


def _default(option: Option) -> str:
    value = option.default
    if value is None:
        return "unset"
    if value == ():
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if option.unit == "bytes":
        return f"`{_size(value)}`"
    if option.unit == "s" and value % 86400 == 0:
        return f"`{value:g}` s ({value / 86400:g} days)"
    return f"`{value:g}` {option.unit}" if option.unit else f"`{value}`"


def _size(count: int) -> str:
    for unit, bits in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << bits and count % (1 << bits) == 0:
            return f"{count >> bits}{unit}"
    return f"{count}B"


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
