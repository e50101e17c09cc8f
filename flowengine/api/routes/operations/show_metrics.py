"""`GET /metrics`: what this process has counted, and what Redis holds now, as Prometheus reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.openapi.operation import OPERATION, Operation, TextResponse
from flowengine.api.routes.backend import Backend

if TYPE_CHECKING:
    from flowengine.observability.metrics.exposition import Exposition


EXAMPLE: Final = """\
# HELP flowengine_executions Executions that are kept, by status.
# TYPE flowengine_executions gauge
flowengine_executions{status="running"} 3.0
"""
SHOW_METRICS: Final = Operation(
    summary="Metrics for Prometheus",
    description="What this process has counted since its start, and what Redis holds now: executions by "
    "status, and the queues. In Prometheus's text format, or as OpenMetrics where `Accept` asks for it.",
    responses={200: TextResponse("The metrics", "text/plain", EXAMPLE)},
    tag="service",
)


class _Metrics:
    """Made when first asked for, since the library takes its time to be imported."""

    def __init__(self, backend: Backend) -> None:
        self._read = backend.executions.operations.gauges
        self._exposition: Exposition | None = None

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics for an Accept header, and their media type."""
        if self._exposition is None:
            from flowengine.observability.metrics.exposition import Exposition

            self._exposition = Exposition("api", self._read)
        return self._exposition.text(accept)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    metrics = _Metrics(backend)

    @get("/metrics", opt={OPERATION: SHOW_METRICS, NEEDS_ROLE: "read"})
    async def show_metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        accept = request.headers.get("accept", "")
        body, media_type = await backend.calls.store(lambda: metrics.text(accept))
        return Response(body, media_type=media_type)

    return show_metrics
