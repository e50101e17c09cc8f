"""`GET /queues`: what waits in each queue and in the lines beside it, and who serves it."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.execution.views.operations import HandlerLineView, QueueLoadView, QueuesView

ORCHESTRATOR: Final = QueueLoadView(
    queue="orchestrator",
    length=0,
    in_flight=0,
    oldest_age_s=None,
    consumers=1,
    dead_letters=0,
    put_off=0,
    handlers=(),
)
WORKER: Final = QueueLoadView(
    queue="worker",
    length=21,
    in_flight=16,
    oldest_age_s=0.4,
    consumers=1,
    dead_letters=1,
    put_off=0,
    handlers=(
        HandlerLineView(handler="render_video", length=2, in_flight=0, oldest_age_s=12.5, known=False),
    ),
)
QUEUES: Final = QueuesView(items=(ORCHESTRATOR, WORKER))
SHOW_QUEUES: Final = Operation(
    summary="What waits in the queues",
    description="Each queue that a handler names, and that of the orchestrator: its length, what is worked "
    "on, the age of the oldest message that nobody works on, its dead letters. `handlers` are the lines of "
    "tasks that wait for a worker that knows their handler: at most 50 a queue.",
    responses={200: ViewResponse("Every queue", QueuesView, {"queues": QUEUES})},
    refusals=("unknown_parameter",),
    tag="service",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    operations = backend.executions.operations

    @get("/queues", opt={OPERATION: SHOW_QUEUES, NEEDS_ROLE: "read"})
    async def show_queues() -> Response[bytes]:
        return json_response(msgspec.json.encode(await backend.calls.store(operations.queues)))

    return show_queues
