"""Which traces are exported: the samplers that OpenTelemetry names, without its SDK.

Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling and
…/configuration/sdk-environment-variables/ v1.48; bound and mask as in opentelemetry-sdk 1.45.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from turnspan.telemetry.ignored import Ignored, say_ignored

__all__ = ["Sampler"]

_LOW_64 = (1 << 64) - 1
_ALWAYS = 1 << 64
_DEFAULT = "parentbased_always_on"
_NAMES = {
    "always_on": (False, _ALWAYS),
    "always_off": (False, 0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, _ALWAYS),
    "parentbased_always_off": (True, 0),
    "parentbased_traceidratio": (True, None),
}


@dataclass(frozen=True, slots=True)
class Sampler:
    """Takes a trace whose id, in its low 64 bits, is below ``bound``.

    ``follows_parent``: a span with a parent does as its parent did.
    """

    follows_parent: bool = True
    bound: int = _ALWAYS

    def decide(self, trace_id: int, parent_sampled: bool | None, /) -> bool:  # noqa: FBT001
        """Is the span exported? ``parent_sampled`` is None where there is no parent."""
        if self.follows_parent and parent_sampled is not None:
            return parent_sampled
        return trace_id & _LOW_64 < self.bound

    @property
    def takes_all(self) -> bool:
        """Is every trace exported that begins here?"""
        return self.bound >= _ALWAYS

    @classmethod
    def read(cls, environ: Mapping[str, str], *, ignored: Ignored = say_ignored) -> Sampler:
        """The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name.

        Of a name that is not here (`xray`, `jaeger_remote`) and of an argument that is no
        number from 0 to 1, ``ignored`` is told, and they are as good as unset.
        """
        name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or _DEFAULT
        if name not in _NAMES:
            ignored(
                f"OTEL_TRACES_SAMPLER={name!r} names no sampler that turnspan has",
                f"spans of our own are sampled by {_DEFAULT}; turnspan has: {', '.join(_NAMES)}",
            )
            name = _DEFAULT
        follows, bound = _NAMES[name]
        return cls(follows, _bound(environ, ignored) if bound is None else bound)


def _bound(environ: Mapping[str, str], ignored: Ignored) -> int:
    text = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        ratio = float(text or 1.0)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        ignored(
            f"OTEL_TRACES_SAMPLER_ARG={text!r} is no share of traces",
            "all are taken; set it to a number from 0 to 1",
        )
        ratio = 1.0
    return round(ratio * _ALWAYS)
