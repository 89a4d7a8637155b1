"""RFC 6902 patches between two JSON values.

Source: https://www.rfc-editor.org/rfc/rfc6902 (operations), rfc6901 (pointers).
"""

from typing import Any


def json_patch(before: Any, after: Any, at: str = "") -> list[dict[str, Any]]:
    """Operations that turn ``before`` into ``after``; empty where they are equal."""
    if isinstance(before, dict) and isinstance(after, dict):
        return _object_patch(before, after, at)
    if isinstance(before, list) and isinstance(after, list):
        return _array_patch(before, after, at)
    if type(before) is type(after) and before == after:
        return []
    return [{"op": "replace", "path": at, "value": after}]


def _object_patch(before: dict[str, Any], after: dict[str, Any], at: str) -> list[dict[str, Any]]:
    patch: list[dict[str, Any]] = []
    for key in before.keys() - after.keys():
        patch.append({"op": "remove", "path": f"{at}/{_token(key)}"})
    for key, value in after.items():
        path = f"{at}/{_token(key)}"
        if key in before:
            patch += json_patch(before[key], value, path)
        else:
            patch.append({"op": "add", "path": path, "value": value})
    return patch


def _array_patch(before: list[Any], after: list[Any], at: str) -> list[dict[str, Any]]:
    patch: list[dict[str, Any]] = []
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        patch += json_patch(old, new, f"{at}/{index}")
    for index in range(len(before) - 1, len(after) - 1, -1):
        patch.append({"op": "remove", "path": f"{at}/{index}"})
    patch += [{"op": "add", "path": f"{at}/-", "value": value} for value in after[len(before) :]]
    return patch


def _token(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
