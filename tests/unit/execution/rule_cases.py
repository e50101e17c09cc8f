"""Records and reports to ask the rules about, and looks at the changes that they answer with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from flowengine.execution.changes import Change, Dispatch, Happened, Write
from flowengine.execution.events import Event
from flowengine.execution.messages import Callback
from flowengine.execution.records import Control, NodeError, NodeRecord
from flowengine.execution.reports import ByDelivery, Completed, Failed, Outcome, Reporter
from flowengine.execution.rules.readiness import Records, records_of
from flowengine.execution.status import StoredNodeStatus
from tests.support.checks.reference_model import Graph

NOW: Final = 1_000_000
CHAIN: Final[Graph] = {"a": (), "b": ("a",), "c": ("b",)}
RUNNING: Final = Control("running", 1)
COMPLETED: Final = Completed(msgspec.Raw(b'{"result":1}'))
BROKEN: Final = NodeError(code="boom", message="on purpose")
FAILED: Final = Failed(BROKEN)


def callback(
    node: str = "a",
    *,
    dispatch: int = 1,
    attempt: int = 1,
    run: int = 1,
    by: Reporter | None = None,
    outcome: Outcome = COMPLETED,
    finished_at: int = NOW - 10,
) -> Callback:
    """A report; unless told otherwise that of a node's first delivery, which began 20 ms ago."""
    return Callback(
        execution="x",
        run=run,
        node=node,
        dispatch=dispatch,
        attempt=attempt,
        by=by or ByDelivery(1, NOW - 20),
        finished_at=finished_at,
        outcome=outcome,
        correlation_id="c",
    )


def being(**statuses: StoredNodeStatus) -> Records:
    """Records in these statuses, each of its first dispatch; what has ended was reported by its first
    delivery."""
    return records_of(
        {
            node: NodeRecord(status=status, attempt=1, dispatch=1, delivery=1)
            for node, status in statuses.items()
        }
    )


def of_kind(changes: Iterable[Change], *kinds: type) -> list[Change]:
    """The changes of these kinds, in their order."""
    return [change for change in changes if isinstance(change, kinds)]


def written(changes: Iterable[Change]) -> dict[str, NodeRecord]:
    """The records that are stored, by node."""
    return {change.node: change.record for change in changes if isinstance(change, Write)}


def sent(changes: Iterable[Change]) -> list[Dispatch]:
    """What is put in flight."""
    return [change for change in changes if isinstance(change, Dispatch)]


def dispatched(changes: Iterable[Change]) -> list[tuple[str, int, int]]:
    """The nodes put in flight, with their dispatch numbers and attempts."""
    return [(one.task.node, one.task.dispatch, one.task.attempt) for one in sent(changes)]


def failed_nodes(changes: Iterable[Change]) -> dict[str, str | None]:
    """The nodes marked failed, and their causes."""
    return {
        node: record.error.caused_by for node, record in written(changes).items() if record.error is not None
    }


def events(changes: Iterable[Change]) -> list[Event]:
    """What is told."""
    return [change.event for change in changes if isinstance(change, Happened)]
