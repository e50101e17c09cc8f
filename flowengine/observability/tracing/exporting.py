"""Spans by OpenTelemetry: OTLP over HTTP, set up by OTEL_EXPORTER_OTLP_ENDPOINT and the like.

The only module that imports OpenTelemetry, which is an extra.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from flowengine.observability.tracing.spans import Kind, Span

_SCOPE: Final = InstrumentationScope("flowengine")
_KINDS: Final[dict[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
}
_OK: Final = Status(StatusCode.UNSET)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class OtlpSink:
    """Sends spans in batches from a thread of its own. `exporter`: another one than OTLP over HTTP."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what is given here.
        given = Resource.create()
        name = given.attributes.get(SERVICE_NAME)
        is_named = isinstance(name, str) and not name.startswith("unknown_service")
        self._resource = given if is_named else given.merge(Resource({SERVICE_NAME: f"flowengine-{service}"}))
        self._sampler = TracerProvider(resource=self._resource).sampler
        self._processor = BatchSpanProcessor(exporter or OTLPSpanExporter())

    def emit(self, span: Span) -> None:
        """Take it. Never waits, never raises."""
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_context(span.trace_id, span.span_id),
                parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
                resource=self._resource,
                attributes=dict(span.attributes),
                kind=_KINDS[span.kind],
                status=_OK if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.start_ns,
                end_time=span.end_ns,
                instrumentation_scope=_SCOPE,
            )
        )

    def samples(self, trace_id: str) -> bool:
        """As OTEL_TRACES_SAMPLER says: all, without it."""
        return bool(self._sampler.should_sample(None, int(trace_id, 16), "execution").decision.is_sampled())

    def close(self) -> None:
        """Send what has been taken."""
        self._processor.shutdown()


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=_SAMPLED)
