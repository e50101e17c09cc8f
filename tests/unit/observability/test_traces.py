"""Traces: what a correlation id carries, what a `traceparent` says, and what is told where."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flowengine.api.edge.correlation_id import correlation_of, with_correlation_id
from flowengine.bootstrap import start_tracing
from flowengine.errors import SettingsError
from flowengine.observability.tracing.call_spans import CallSpan
from flowengine.observability.tracing.exporting import OtlpSink
from flowengine.observability.tracing.spans import tracing
from flowengine.observability.tracing.trace_text import (
    Trace,
    read_traceparent,
    trace_in,
    with_trace,
    without_trace,
)
from flowengine.settings import Settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """Spans are told here, while the test runs."""
    exporter = InMemorySpanExporter()
    tracing.start(OtlpSink("test", exporter))
    yield exporter
    tracing.stop()


def test_a_trace_is_carried_behind_the_correlation_id() -> None:
    """And what people see is the id alone."""
    trace = Trace(TRACE, SPAN, sampled=False)
    carried = with_trace("order 4711; a-b", trace)
    assert (without_trace(carried), trace_in(carried)) == ("order 4711; a-b", trace)


def test_without_a_trace_the_text_is_the_id() -> None:
    """Nothing is added, and nothing is found."""
    assert with_trace("order-4711", None) == "order-4711"
    assert trace_in("order-4711") is None


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (PARENT, Trace(TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-00", Trace(TRACE, SPAN, sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", Trace(TRACE, SPAN)),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", Trace(TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("", None),
        ("\x1f", None),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(header: str, trace: Trace | None) -> None:
    """W3C Trace Context, sections 3.2.2 and 3.2.4: what is not valid is ignored."""
    assert read_traceparent(header) == trace


def test_each_delivery_has_a_span_of_its_own() -> None:
    """So have tries of items, and runs."""
    trace = Trace(TRACE)
    spans = {
        trace.execution_span("x", 1),
        trace.execution_span("x", 2),
        trace.delivery_span("x", 1, "a", 1, 1, -1),
        trace.delivery_span("x", 1, "a", 1, 2, -1),
        trace.delivery_span("x", 1, "a", 2, 1, -1),
        trace.delivery_span("x", 1, "a", 1, 1, 0),
        trace.delivery_span("x", 2, "a", 1, 1, -1),
    }
    assert len(spans) == 7
    assert {len(span) for span in spans} == {16}


def scope(*headers: tuple[bytes, bytes]) -> dict[str, object]:
    """A request with these headers."""
    return {"headers": list(headers), "state": with_correlation_id({}, "order-1")}


def test_while_traces_are_off_a_requests_trace_is_not_taken() -> None:
    """The correlation id is all that is carried."""
    assert correlation_of(scope((b"traceparent", PARENT.encode()))) == "order-1"


@pytest.mark.usefixtures("exported")
def test_a_requests_trace_is_taken_or_one_begins() -> None:
    """Two headers of the name are none, as the standard says."""
    header = (b"traceparent", PARENT.encode())
    assert trace_in(correlation_of(scope(header))) == Trace(TRACE, SPAN)
    for headers in ((), (header, header), ((b"traceparent", b"\xff"),)):
        begun = trace_in(correlation_of(scope(*headers)))
        assert begun is not None
        assert (begun.trace_id != TRACE, begun.parent_id, begun.sampled) == (True, "", True)


def test_a_call_is_told_as_a_part_of_its_node(exported: InMemorySpanExporter) -> None:
    """What is called gets the span as its parent."""
    with CallSpan(PARENT, "GET", {"http.request.method": "GET"}) as call:
        sent = call.traceparent
    tracing.stop()
    (span,) = exported.get_finished_spans()
    assert span.context is not None
    assert span.parent is not None
    assert sent == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.status.is_ok or span.status.is_unset


def test_a_call_that_fails_says_why(exported: InMemorySpanExporter) -> None:
    """By the error's code, and never by its text, which may quote what was sent."""
    with pytest.raises(ValueError, match="a secret"), CallSpan(PARENT, "GET", {}):
        raise ValueError("a secret")
    tracing.stop()
    (span,) = exported.get_finished_spans()
    assert (span.status.description, dict(span.attributes or {})) == (
        "ValueError",
        {"error.type": "ValueError"},
    )


def test_a_call_without_spans_passes_its_nodes_trace_on() -> None:
    """The services behind it find the trace, although this process tells nothing."""
    with CallSpan(PARENT, "GET", {}) as call:
        assert call.traceparent == PARENT
    with CallSpan(None, "GET", {}) as call:
        assert call.traceparent is None


def test_a_stack_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its start, not at the first span."""
    monkeypatch.setitem(sys.modules, "flowengine.observability.tracing.exporting", None)
    with pytest.raises(SettingsError, match=r"install the extra: pip install 'flowengine\[otel\]'"):
        start_tracing(Settings(traces="otlp"), "worker")
    assert not tracing.is_on


def test_nothing_of_opentelemetry_is_imported_while_traces_are_off() -> None:
    """By none of the services."""
    script = (
        "from flowengine.cli.processes.lean_imports import import_lean\n"
        "import_lean('structlog', 'redis')\n"
        "import sys, flowengine.api.app, flowengine.worker.process, flowengine.orchestrator.process\n"
        "from flowengine.bootstrap import start_tracing\n"
        "from flowengine.settings import Settings\n"
        "start_tracing(Settings(), 'api')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "[]"
