"""What the spans of this process say of the process.

Source: https://opentelemetry.io/docs/specs/otel/resource/sdk/ v1.48 (environment variable),
https://opentelemetry.io/docs/specs/semconv/resource/ v1.44.0 (service, telemetry SDK).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from turnspan import __version__
from turnspan.notices import say
from turnspan.settings import Settings
from turnspan.telemetry import semconv as names
from turnspan.telemetry.values import attribute_values

__all__ = ["detect_resource", "with_sdk"]

_DETECTORS = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"


def detect_resource(settings: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    """The OpenTelemetry resource of this process, as plain values.

    Where the variable asks for resource detectors and the SDK is installed, it runs them.
    It stands in every turn, so what OTLP wants told of the SDK is left to `with_sdk`.
    """
    resource = _detected() if environ.get(_DETECTORS, "").strip() else {}
    resource |= _from_variable(environ)
    if name := settings.service_name or environ.get("OTEL_SERVICE_NAME"):
        resource[names.SERVICE_NAME] = name
    elif not resource.get(names.SERVICE_NAME):
        resource[names.SERVICE_NAME] = _unknown_service()
    return resource


def with_sdk(resource: Mapping[str, Any]) -> dict[str, Any]:
    """``resource`` with what names turnspan as the maker of its spans."""
    return {
        names.SDK_LANGUAGE: "python",
        names.SDK_NAME: "turnspan",
        names.SDK_VERSION: __version__,
        **resource,
    }


def _from_variable(environ: Mapping[str, str]) -> dict[str, str]:
    """Its pairs, percent-decoded; one that cannot be read spoils them all, as specified."""
    pairs: dict[str, str] = {}
    for item in filter(None, map(str.strip, environ.get(_ATTRIBUTES, "").split(","))):
        key, found, value = item.partition("=")
        try:
            pairs[_decoded(key, found)] = unquote(value.strip(), errors="strict")
        except ValueError:
            say("resource-attributes", "%s is unreadable at %r: passed over", _ATTRIBUTES, item)
            return {}
    return pairs


def _decoded(key: str, separator: str) -> str:
    name = unquote(key.strip(), errors="strict")
    if not name or not separator:
        raise ValueError(key)
    return name


def _unknown_service() -> str:
    process = os.path.basename(sys.executable or "")
    return f"{names.UNKNOWN_SERVICE}:{process}" if process else names.UNKNOWN_SERVICE


def _detected() -> dict[str, Any]:
    try:
        from opentelemetry.sdk.resources import Resource
    except ImportError:
        return {}
    try:
        found = attribute_values(Resource.create().attributes)
    except Exception as exc:  # noqa: BLE001  # border: detectors are foreign code
        say("resource-detectors", "the resource detectors failed", error=exc)
        return {}
    for key in (names.SDK_LANGUAGE, names.SDK_NAME, names.SDK_VERSION):
        found.pop(key, None)  # not the SDK makes our spans
    if str(found.get(names.SERVICE_NAME, "")).startswith(names.UNKNOWN_SERVICE):
        del found[names.SERVICE_NAME]
    return found
