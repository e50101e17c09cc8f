"""`GET /stats`: how executions have ended in the last day, by hour, by workflow, and how long they took."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from flowengine.api.access.key_guard import NEEDS_ROLE
from flowengine.api.edge.responses import json_response
from flowengine.api.openapi.operation import OPERATION, Operation, ViewResponse
from flowengine.api.routes.backend import Backend
from flowengine.execution.views.operations import (
    DefinitionStatsView,
    DurationsView,
    HourStatsView,
    SpanStatsView,
    StatsView,
)

STATS: Final = StatsView(
    at="2025-11-29T03:06:24.000Z",
    executions={"pending": 1, "running": 3, "completed": 417, "failed": 5},
    definitions=(DefinitionStatsView(name="Analyse a user", completed=97, failed=2, cancelled=1),),
    hours=(
        HourStatsView(begins_at="2025-11-29T02:00:00.000Z", completed=88, failed=2, cancelled=0),
        HourStatsView(begins_at="2025-11-29T03:00:00.000Z", completed=9, failed=0, cancelled=1),
    ),
    last_hour=SpanStatsView(
        since="2025-11-29T02:10:00.000Z",
        completed=85,
        failed=1,
        cancelled=1,
        per_minute=1.543,
        durations=DurationsView(p50_s=1.448, p95_s=5.793, p99_s=11.585),
    ),
    last_day=SpanStatsView(
        since="2025-11-28T03:10:00.000Z",
        completed=97,
        failed=2,
        cancelled=1,
        per_minute=0.07,
        durations=DurationsView(p50_s=1.448, p95_s=5.793, p99_s=11.585),
    ),
)
SHOW_STATS: Final = Operation(
    summary="How executions have ended lately",
    description="Counted as executions end, so that the answer costs the same however many there are. "
    "`hours` are the last 24, this one included. `last_hour` and `last_day` go by five minutes; durations "
    "are upper bounds, up to 40 % above what the executions took. Each run counts that has ended.",
    responses={200: ViewResponse("The last day", StatsView, {"day": STATS})},
    refusals=("unknown_parameter",),
    tag="service",
)


def route(backend: Backend) -> HTTPRouteHandler:
    """The route, over this backend."""
    operations = backend.executions.operations

    @get("/stats", opt={OPERATION: SHOW_STATS, NEEDS_ROLE: "read"})
    async def show_stats() -> Response[bytes]:
        return json_response(msgspec.json.encode(await backend.calls.store(operations.stats)))

    return show_stats
