"""`GET /health`: whether the service can work, and what is missing if it cannot."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_NO_KEY
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.errors import StoreUnavailableError
from flowengine.execution.views.executions import HealthView, QueueView

HEALTHY: Final = HealthView(
    status="ok",
    checks={"redis": "ok", "memory": "ok", "handlers": "ok", "orchestrator": "ok", "worker (worker)": "ok"},
    queues={
        "orchestrator": QueueView(length=0, oldest_age_s=None, consumers=1),
        "worker": QueueView(length=3, oldest_age_s=0.4, consumers=2),
    },
)
DEGRADED: Final = HealthView(
    status="degraded",
    checks={
        "redis": "ok",
        "memory": "ok",
        "handlers": "no worker knows 'shout' (2 waiting)",
        "orchestrator": "ok",
        "worker (worker)": "none is running",
    },
    queues={
        "orchestrator": QueueView(length=0, oldest_age_s=None, consumers=1),
        "worker": QueueView(length=3, oldest_age_s=71.3, consumers=0),
    },
)
DOWN: Final = HealthView(status="down", checks={"redis": "does not answer"})
SHOW_HEALTH: Final = Operation(
    summary="Whether the service can work",
    description="Open without a key. `degraded`: what is accepted waits, for a worker for example, or Redis "
    "is set up so that it may lose it. `warnings`: what works, and should be known.",
    responses={
        200: ViewResponse(
            "It works; `degraded` while `checks` names something that is missing",
            HealthView,
            {"ok": HEALTHY, "degraded": DEGRADED},
        ),
        503: ViewResponse("`checks` names what is down", HealthView, {"down": DOWN}),
    },
    refusals=("misdirected_request",),
    tag="service",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/health", opt={OPERATION: SHOW_HEALTH, NEEDS_NO_KEY: True})
    async def show_health() -> Response[bytes]:
        try:
            view = await backend.calls.store(backend.executions.health)
        except StoreUnavailableError as error:
            view = HealthView(status="down", checks={"redis": str(error)})
        return json_response(msgspec.json.encode(view), 503 if view.status == "down" else 200)

    return show_health
