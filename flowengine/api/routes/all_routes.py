"""Every route of the API. A new one is a module beside the others and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from litestar.handlers import HTTPRouteHandler

from flowengine.api.routes.access import keys, list_audit, session, show_me, show_settings
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.definitions import (
    apply_definition,
    diff_definitions,
    show_definition,
    start_definition,
)
from flowengine.api.routes.executions import (
    create_execution,
    list_executions,
    show_document,
    show_execution,
    show_graph,
    show_results,
    trigger_execution,
)
from flowengine.api.routes.history import (
    list_deliveries,
    list_events,
    list_lines,
    list_runs,
    watch_changes,
)
from flowengine.api.routes.nodes import list_items, overrule_node, show_node
from flowengine.api.routes.operations import (
    dead_letters,
    list_limits,
    show_metrics,
    show_queues,
    show_stats,
    show_workers,
)
from flowengine.api.routes.schedules import list_schedules, steer_schedule
from flowengine.api.routes.service import show_health
from flowengine.api.routes.starting import validate_workflow
from flowengine.api.routes.steering import (
    bulk_routes,
    cancel_execution,
    delete_execution,
    pause_execution,
    rerun_execution,
)
from flowengine.api.routes.waits import call_back, decide_node, list_waiting, send_signal

MakeRoute: TypeAlias = Callable[[Backend], HTTPRouteHandler]

ROUTES: Final[tuple[MakeRoute, ...]] = (
    create_execution.route,
    trigger_execution.route,
    validate_workflow.route,
    cancel_execution.route,
    pause_execution.pause_route,
    pause_execution.resume_route,
    delete_execution.route,
    bulk_routes.start_route,
    bulk_routes.show_route,
    rerun_execution.route,
    overrule_node.skip_route,
    overrule_node.complete_route,
    overrule_node.fail_route,
    send_signal.route,
    call_back.route,
    decide_node.route,
    list_waiting.route,
    apply_definition.route,
    apply_definition.delete_route,
    diff_definitions.route,
    start_definition.route,
    show_definition.list_route,
    show_definition.show_route,
    show_definition.graph_route,
    show_definition.versions_route,
    show_definition.changes_route,
    list_schedules.list_route,
    list_schedules.history_route,
    steer_schedule.pause_route,
    steer_schedule.resume_route,
    steer_schedule.trigger_route,
    list_executions.route,
    show_execution.route,
    show_document.route,
    show_graph.route,
    show_results.route,
    list_runs.route,
    show_node.route,
    list_items.route,
    list_events.route,
    watch_changes.route,
    list_lines.route_of_execution,
    list_lines.route_of_node,
    list_deliveries.route,
    dead_letters.list_route,
    dead_letters.retry_route,
    dead_letters.delete_route,
    show_queues.route,
    show_workers.route,
    list_limits.route,
    show_metrics.route,
    show_stats.route,
    show_health.route,
    show_me.route,
    session.start_route,
    session.end_route,
    keys.list_route,
    keys.revoke_route,
    list_audit.route,
    show_settings.route,
)
"""All but the pages of the documentation, which shows what stands here."""
