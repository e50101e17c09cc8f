"""`GET /workers`: the processes that serve queues, and how busy they are."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.execution.views.operations import WorkersView, WorkerView

WORKERS: Final = WorkersView(
    items=(
        WorkerView(
            id="fe3-server1-4711-8c1f02d9",
            service="orchestrator",
            host="server1",
            pid=4711,
            version="0.2.0",
            queues=("orchestrator",),
            threads=2,
            busy=0,
            stopping=False,
            started_at="2025-11-29T03:00:00.000Z",
            seen_at="2025-11-29T03:06:24.120Z",
        ),
        WorkerView(
            id="fe3-server1-4712-5b0ae741",
            service="worker",
            host="server1",
            pid=4712,
            version="0.2.0",
            queues=("worker",),
            threads=16,
            busy=5,
            concurrency=200,
            async_running=140,
            stopping=False,
            started_at="2025-11-29T03:00:00.000Z",
            seen_at="2025-11-29T03:06:24.120Z",
        ),
    )
)
SHOW_WORKERS: Final = Operation(
    summary="Which processes serve the queues",
    description="Live processes of orchestrators and workers. One that stops is gone at once, one that dies "
    "after a lease (12 s). `busy` and `async_running` are as old as the last renewal of its leases: 4 s at "
    "most. Those of "
    "`flowengine run`, which serve one execution, are not among them.",
    responses={200: ViewResponse("The live processes", WorkersView, {"workers": WORKERS})},
    refusals=("unknown_parameter",),
    tag="service",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    operations = backend.executions.operations

    @get("/workers", opt={OPERATION: SHOW_WORKERS, NEEDS_ROLE: "read"})
    async def show_workers() -> Response[bytes]:
        return json_response(msgspec.json.encode(await backend.calls.store(operations.workers)))

    return show_workers
