"""Write the pages that are derived from the code: `make docs`.

docs/settings.md        every option, from its declaration in `turnspan.settings`
docs/turn.schema.json   JSON Schema of a turn, from `turnspan.schema.Turn`

tests/architecture checks that both are current.
"""

import json
from pathlib import Path
from typing import Any

from turnspan.schema import Turn
from turnspan.settings import Option, options

DOCS = Path(__file__).parent

_SETTINGS = """\
# Settings

Every option can be given to `turnspan.configure()` or set in the environment. An argument wins
over the environment, and the environment over the default. A value that cannot be read is refused
by `configure()` with the variable, the value and the fix; where nobody called `configure()`,
nothing is recorded, one error is logged, and `turnspan doctor` says why.

Sizes in the environment take units (`64MiB`, `512KiB`), booleans `true` and `false`, lists spaces
or commas. `none` unsets an option that may be unset.

| option | environment | default | what it does |
|---|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Every generated page and what it should hold."""
    return {DOCS / "settings.md": settings_page(), DOCS / "turn.schema.json": schema_page()}


def settings_page() -> str:
    """The table of options, one row each, in the order of their declaration."""
    return _SETTINGS + "".join(f"{_row(option)}\n" for option in options())


def schema_page() -> str:
    """What a turn must look like to be read by us. Unknown fields are passed over."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_terse(Turn.model_json_schema(mode="validation")),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _terse(node: Any) -> Any:
    """Without `additionalProperties: true`, which says nothing, and not in every pydantic."""
    if isinstance(node, dict):
        said = {key: _terse(value) for key, value in node.items()}
        return {k: v for k, v in said.items() if (k, v) != ("additionalProperties", True)}
    return [_terse(each) for each in node] if isinstance(node, list) else node


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
