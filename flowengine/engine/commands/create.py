"""Accept a workflow: store it as a pending execution."""

from __future__ import annotations

import secrets

from flowengine.engine.ports import CommandStore
from flowengine.execution.changes import Create
from flowengine.execution.views import CreatedView, moment
from flowengine.workflow.plan import Plan, encode_plan


def create(store: CommandStore, plan: Plan, *, correlation_id: str) -> CreatedView:
    """Store a new pending execution, which expires by itself if it is never triggered.

    Raises TooManyExecutionsError, StoreFullError, StoreUnavailableError.
    """
    encoded = encode_plan(plan)
    with store.letting_in(len(encoded)):
        now = store.now()
        execution = store.owner or new_id(now, secrets.token_hex(8), store.partition)
        store.write({execution: [Create(plan.name, encoded, len(plan.nodes), correlation_id, now)]})
    store.keep_plan(execution, encoded, plan)
    return CreatedView(
        execution_id=execution,
        name=plan.name,
        status="pending",
        created_at=moment(now),
        correlation_id=correlation_id,
    )


def new_id(now: int, random: str, partition: str) -> str:
    """An execution's id: its time of creation, a random part, and its partition where it has one."""
    return f"{now:011x}{random}{partition}"
