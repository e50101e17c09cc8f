"""What may not be asked of a child execution alone: it goes as its root does."""

from __future__ import annotations

from typing import Protocol

from flowengine.errors import WrongStateError
from flowengine.execution.rules.children.opening import is_child
from flowengine.workflow.plan import Plan


class PlanStore(Protocol):
    """Where a child's plan says what it belongs to."""

    def plan(self, execution: str) -> Plan | None: ...


def refuse_child(store: PlanStore, execution: str, verb: str) -> None:
    """Raises WrongStateError, which names the root, for a child. `verb`: what is asked, such as `pause`."""
    if not is_child(execution):
        return
    plan = store.plan(execution)
    lineage = None if plan is None else plan.lineage
    if lineage is not None:
        raise WrongStateError(
            f"execution '{execution}' belongs to node '{lineage.node}' of execution '{lineage.parent}': "
            f"{verb} the one at the top, '{lineage.root}'"
        )
