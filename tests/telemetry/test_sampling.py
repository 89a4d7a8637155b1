"""Samplers decide as those of the SDK do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from turnspan.telemetry.sampling import Sampler

RATIOS = ["", "0", "1", "0.5", "0.123456789", "1e-9", "0.999999999999"]
NAMES = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


def theirs(name: str, ratio: str) -> sdk.Sampler:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("OTEL_TRACES_SAMPLER", name)
        environ.setenv("OTEL_TRACES_SAMPLER_ARG", ratio or "1.0")
        return sdk._get_from_env_or_default()


@given(
    st.sampled_from(NAMES),
    st.sampled_from(RATIOS),
    st.integers(1, 2**128 - 1),
    st.sampled_from([None, 0, 1, 2, 3]),
    st.booleans(),
)
def test_every_decision_is_that_of_the_sdk(name, ratio, trace_id, flags, is_remote):
    """For each sampler, ratio, trace id and parent, ours answers what the SDK's answers."""
    ours = Sampler.read({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": ratio})
    context = None
    if flags is not None:
        parent = SpanContext(trace_id, 1, is_remote, TraceFlags(flags))
        context = trace.set_span_in_context(NonRecordingSpan(parent))
    expected = theirs(name, ratio).should_sample(context, trace_id, "name").decision.is_sampled()

    assert ours.decide(trace_id, None if flags is None else bool(flags & 1)) is expected


@pytest.mark.parametrize("ratio", RATIOS[1:])
def test_the_edge_of_a_ratio_is_where_the_sdk_has_it(ratio):
    """The last trace id taken and the first one left are the same."""
    ours = Sampler.read({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio})

    assert ours.bound == sdk.TraceIdRatioBased.get_bound_for_rate(float(ratio))


def test_the_default_follows_the_parent_and_takes_every_root():
    """Without a variable the sampler is `parentbased_always_on`."""
    assert Sampler.read({}) == Sampler(follows_parent=True, bound=1 << 64)


@pytest.mark.parametrize(
    "environ, sampler",
    [
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, Sampler()),
        ({"OTEL_TRACES_SAMPLER": "xray", "OTEL_TRACES_SAMPLER_ARG": "0"}, Sampler()),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
            Sampler(follows_parent=False),
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"},
            Sampler(follows_parent=False),
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"},
            Sampler(),
        ),
    ],
)
def test_a_sampler_that_cannot_be_read_is_said_and_passed_over(environ, sampler, caplog):
    """The variables are OpenTelemetry's: what we don't know may be right for its SDK."""
    found = [Sampler.read(environ), Sampler.read(environ)]
    name, value = next(
        (name, value)
        for name, value in reversed(environ.items())
        if name == "OTEL_TRACES_SAMPLER_ARG" or value in {"jaeger_remote", "xray"}
        if value != "0"
    )

    assert found == [sampler, sampler]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{name}={value!r}" in caplog.text
