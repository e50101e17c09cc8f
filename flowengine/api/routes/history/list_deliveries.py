"""`GET /workflows/{execution_id}/deliveries`: how the sending of results to a `callback_url` went."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions import example_execution as example
from flowengine.api.routes.executions.execution_id import EXECUTION_ID_PARAMETER, TO_RESULTS, call_about
from flowengine.execution.delivery.views import DeliveriesView, DeliveryAttemptView, DeliveryView

_FAILED: Final = DeliveryAttemptView(
    at=example.moment(3),
    status_code=503,
    error="the receiver answered 503: down for maintenance",
    duration_ms=12,
)
_DELIVERED: Final = DeliveryAttemptView(at=example.moment(8), status_code=204, error=None, duration_ms=9)
DELIVERIES: Final = DeliveriesView(
    items=(
        DeliveryView(
            run=1,
            webhook_id=f"{example.ID}-1",
            url="https://app.example.com/hooks/flowengine?token=***",
            state="delivered",
            why=None,
            attempt_count=2,
            attempts=(_FAILED, _DELIVERED),
            next_at=None,
        ),
    )
)
LIST_DELIVERIES: Final = Operation(
    summary="How its results were sent",
    description="The sending of the results of each run to the `callback_url` that the execution was posted "
    "with, newest first: the newest 20 runs, and of each the newest 20 attempts. Without a `callback_url` "
    "there are none. Of the URL, user, password and values of the query are `***` or left out.",
    parameters=(EXECUTION_ID_PARAMETER,),
    responses={
        200: ViewResponse("Deliveries", DeliveriesView, {"delivered": DELIVERIES}, links=(TO_RESULTS,))
    },
    refusals=("execution_not_found",),
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""

    @get("/workflows/{execution_id:str}/deliveries", opt={OPERATION: LIST_DELIVERIES, NEEDS_ROLE: "read"})
    async def list_deliveries(
        request: Request[Any, Any, Any], execution_id: FromPath[str]
    ) -> Response[bytes]:
        data = await call_about(
            request,
            execution_id,
            backend.calls.results,
            lambda: backend.executions.deliveries(execution_id),
        )
        return json_response(data)

    return list_deliveries
