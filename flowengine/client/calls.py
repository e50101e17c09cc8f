"""Every call of the API that the client knows, each told once: for `Client` and `AsyncClient` alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.client.call import Call, given_query, new_key, paging, path_part, until_end
from flowengine.client.workflow_text import posted
from flowengine.execution.delivery.views import DeliveriesView
from flowengine.execution.history.runs import RunPage
from flowengine.execution.history.views import EventPage, LinePage
from flowengine.execution.limits.views import LimitsView
from flowengine.execution.requests.bulk import BulkAction, BulkMode, BulkView
from flowengine.execution.status import ExecutionStatus, NodeStatus
from flowengine.execution.views.access import AuditView, KeysView, MeView, RevokedKeyView, SettingsView
from flowengine.execution.views.executions import (
    CancelledView,
    CreatedView,
    DeletedView,
    ExecutionView,
    HealthView,
    ListView,
    NodeDetailView,
    OverruledView,
    RerunPreviewView,
    RerunView,
    ResultsView,
    StartedView,
    SteeredView,
    TriggeredView,
)
from flowengine.execution.views.maps import ItemPage, ItemStatus
from flowengine.execution.views.operations import (
    DeadLettersView,
    DeletedLetterView,
    QueuesView,
    RetriedLetterView,
    StatsView,
    WorkersView,
)
from flowengine.execution.views.validation import ValidationView
from flowengine.jsonvalue import JsonValue
from flowengine.layout.drawing import Drawing
from flowengine.workflow.priority import Priority

RerunMode: TypeAlias = Literal["failed", "from", "all"]
RerunVersion: TypeAlias = Literal["latest"] | int
Inputs: TypeAlias = Mapping[str, JsonValue]
Labels: TypeAlias = Mapping[str, str]
Workflow: TypeAlias = str | bytes | Mapping[str, JsonValue]

PAGE: Final = 50
LONG_PAGE: Final = 500


def create(
    workflow: Workflow,
    *,
    inputs: Inputs | None = None,
    labels: Labels | None = None,
    idempotency_key: str | None = None,
    callback_url: str | None = None,
    priority: Priority | None = None,
) -> Call[CreatedView]:
    """Store a pending execution of a workflow: its text, YAML or JSON, or the document itself.

    It is sent again where the connection breaks, and done once. With an `idempotency_key` of your own so is a
    call that you repeat. `priority`: in place of that of the workflow.
    """
    body, media_type = posted(
        workflow, inputs=inputs, labels=labels, callback_url=callback_url, priority=priority
    )
    return Call(
        method="POST",
        path="/workflow",
        answer=CreatedView,
        body=body,
        media_type=media_type,
        idempotency_key=idempotency_key or new_key(),
    )


def start(
    workflow: Workflow,
    *,
    inputs: Inputs | None = None,
    labels: Labels | None = None,
    idempotency_key: str | None = None,
    callback_url: str | None = None,
    priority: Priority | None = None,
) -> Call[StartedView]:
    """Store an execution of a workflow and start it, in one step.

    `idempotency_key` and `priority` as for `create`.
    """
    body, media_type = posted(
        workflow, inputs=inputs, labels=labels, callback_url=callback_url, priority=priority
    )
    return Call(
        method="POST",
        path="/workflow",
        answer=StartedView,
        query=(("trigger", "true"),),
        body=body,
        media_type=media_type,
        idempotency_key=idempotency_key or new_key(),
    )


def run(
    workflow: Workflow,
    *,
    inputs: Inputs | None = None,
    labels: Labels | None = None,
    wait_s: int = 30,
    idempotency_key: str | None = None,
) -> Call[ResultsView | StartedView]:
    """Start a workflow as `start` does, and wait for its end for `wait_s` seconds (1 to 60): its results, or
    what `start` answers if it has not ended by then."""
    started = start(workflow, inputs=inputs, labels=labels, idempotency_key=idempotency_key)
    return until_end(started, wait_s)


def validate(
    workflow: Workflow, *, inputs: Inputs | None = None, labels: Labels | None = None
) -> Call[ValidationView]:
    """What `create` would say of a workflow: nothing is stored."""
    body, media_type = posted(workflow, inputs=inputs, labels=labels)
    return Call(method="POST", path="/validate", answer=ValidationView, body=body, media_type=media_type)


def trigger(
    execution_id: str,
    *,
    inputs: Inputs | None = None,
    labels: Labels | None = None,
    idempotency_key: str | None = None,
) -> Call[TriggeredView]:
    """Start a pending execution, or run again what has failed or was cancelled in one.

    `idempotency_key` as for `create`.
    """
    given = {name: value for name, value in (("inputs", inputs), ("labels", labels)) if value}
    return Call(
        method="POST",
        path=f"/workflow/trigger/{path_part(execution_id)}",
        answer=TriggeredView,
        body=msgspec.json.encode(given) if given else None,
        idempotency_key=idempotency_key or new_key(),
    )


def status(
    execution_id: str, *, nodes: bool = True, node_status: Sequence[NodeStatus] = ()
) -> Call[ExecutionView]:
    """An execution and its nodes: all; without `nodes` none; with `node_status` those in these statuses."""
    query = (*(() if nodes else (("nodes", "false"),)), *(("node_status", each) for each in node_status))
    return Call(method="GET", path=_execution(execution_id), query=query, answer=ExecutionView)


def results(execution_id: str) -> Call[ResultsView]:
    """The outputs and errors of an execution's nodes. `msgspec.json.decode` reads an output."""
    return Call(method="GET", path=f"{_execution(execution_id)}/results", answer=ResultsView)


def deliveries(execution_id: str) -> Call[DeliveriesView]:
    """How the results of an execution's runs were sent to its `callback_url`."""
    return Call(method="GET", path=f"{_execution(execution_id)}/deliveries", answer=DeliveriesView)


def node(execution_id: str, node: str) -> Call[NodeDetailView]:
    """Everything of one node: its attempts, its result, and its config as it is rendered now."""
    path = f"{_execution(execution_id)}/nodes/{path_part(node)}"
    return Call(method="GET", path=path, answer=NodeDetailView)


def cancel(execution_id: str, *, reason: str | None = None) -> Call[CancelledView]:
    """Cancel an execution."""
    return Call(
        method="POST",
        path=f"{_execution(execution_id)}/cancel",
        answer=CancelledView,
        body=None if reason is None else msgspec.json.encode({"reason": reason}),
    )


def delete(execution_id: str, *, force: bool = False) -> Call[DeletedView]:
    """Delete an execution. `force`: one that has not ended is cancelled first."""
    query = (("force", "true"),) if force else ()
    return Call(method="DELETE", path=_execution(execution_id), answer=DeletedView, query=query)


def start_bulk(
    action: BulkAction,
    *,
    ids: Sequence[str] | None = None,
    where: Mapping[str, JsonValue] | None = None,
    dry_run: bool = False,
    reason: str | None = None,
    force: bool = False,
    mode: BulkMode | None = None,
) -> Call[BulkView]:
    """Act on many executions: on those of these ids, or `where` the fields of a filter hold.

    `reason` is that of a cancel, `mode` that of a rerun; with `force` a delete cancels first.
    """
    asked = {
        "action": action,
        "ids": ids,
        "filter": where,
        "dry_run": dry_run,
        "reason": reason,
        "mode": mode,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    body = msgspec.json.encode({**given, "force": True} if force else given)
    return Call(method="POST", path="/workflows/bulk", answer=BulkView, body=body)


def bulk(bulk_id: str) -> Call[BulkView]:
    """How far an action on many executions is."""
    return Call(method="GET", path=f"/workflows/bulk/{path_part(bulk_id)}", answer=BulkView)


def pause(execution_id: str) -> Call[SteeredView]:
    """Pause an execution: what runs ends, and nothing is started."""
    return Call(method="POST", path=f"{_execution(execution_id)}/pause", answer=SteeredView)


def resume(execution_id: str) -> Call[SteeredView]:
    """Let a paused execution go on."""
    return Call(method="POST", path=f"{_execution(execution_id)}/resume", answer=SteeredView)


def rerun(
    execution_id: str,
    *,
    mode: RerunMode | None = None,
    start_from: Sequence[str] = (),
    items: Mapping[str, Sequence[str]] | None = None,
    skip: Sequence[str] = (),
    inputs: Inputs | None = None,
    run: int | None = None,
    as_new: bool = False,
    version: RerunVersion | None = None,
) -> Call[RerunView]:
    """Run an ended execution again: what has failed, `from` these nodes, or `all`; always with what is below.

    `items`: exactly these run again of a map, by their keys; it keeps what its others have. `skip`: nodes
    that are skipped in this run. `inputs`: those that get other values. `run`: it is refused (`overtaken`) of
    any later run than this. `as_new`: as a new execution, also of one that runs; only then by another
    `version` of its definition, the `latest` one or the one with this number.
    """
    return Call(
        method="POST",
        path=f"{_execution(execution_id)}/rerun",
        answer=RerunView,
        body=_rerun(mode, start_from, items, skip, inputs, run, version=version, as_new=as_new),
    )


def preview_rerun(
    execution_id: str,
    *,
    mode: RerunMode | None = None,
    start_from: Sequence[str] = (),
    items: Mapping[str, Sequence[str]] | None = None,
    skip: Sequence[str] = (),
    inputs: Inputs | None = None,
    run: int | None = None,
    as_new: bool = False,
    version: RerunVersion | None = None,
) -> Call[RerunPreviewView]:
    """What such a rerun would do; it changes nothing."""
    return Call(
        method="POST",
        path=f"{_execution(execution_id)}/rerun",
        answer=RerunPreviewView,
        body=_rerun(mode, start_from, items, skip, inputs, run, version=version, as_new=as_new, preview=True),
    )


def _rerun(
    mode: RerunMode | None,
    start_from: Sequence[str],
    items: Mapping[str, Sequence[str]] | None,
    skip: Sequence[str],
    inputs: Inputs | None,
    run: int | None,
    *,
    version: RerunVersion | None,
    as_new: bool,
    preview: bool = False,
) -> bytes | None:
    asked = {
        "mode": mode,
        "from": list(start_from),
        "items": {node: list(keys) for node, keys in (items or {}).items()},
        "skip": list(skip),
        "inputs": inputs,
        "expect": None if run is None else {"run": run},
        "version": version,
        "as": "new" if as_new else None,
        "preview": preview,
    }
    given = {name: value for name, value in asked.items() if value}
    return msgspec.json.encode(given) if given else None


def skip(
    execution_id: str,
    node: str,
    *,
    reason: str | None = None,
    run: int | None = None,
    attempt: int | None = None,
) -> Call[OverruledView]:
    """Skip a node that has not ended. With `run` or `attempt`, only in these."""
    return _overrule(execution_id, node, "skip", reason=reason, run=run, attempt=attempt)


def complete(
    execution_id: str,
    node: str,
    result: JsonValue,
    *,
    reason: str | None = None,
    run: int | None = None,
    attempt: int | None = None,
) -> Call[OverruledView]:
    """Complete a node that has not ended: `result` is its output."""
    call = _overrule(execution_id, node, "complete", reason=reason, run=run, attempt=attempt)
    body = {"result": result, **(msgspec.json.decode(call.body) if call.body else {})}
    return msgspec.structs.replace(call, body=msgspec.json.encode(body))


def fail(
    execution_id: str,
    node: str,
    *,
    code: str | None = None,
    message: str | None = None,
    reason: str | None = None,
    run: int | None = None,
    attempt: int | None = None,
) -> Call[OverruledView]:
    """Fail a node that has not ended, for good."""
    return _overrule(
        execution_id, node, "fail", code=code, message=message, reason=reason, run=run, attempt=attempt
    )


def _overrule(execution_id: str, node: str, said: str, **given: JsonValue) -> Call[OverruledView]:
    body = {name: value for name, value in given.items() if value is not None}
    return Call(
        method="POST",
        path=f"{_execution(execution_id)}/nodes/{path_part(node)}/{said}",
        answer=OverruledView,
        body=msgspec.json.encode(body) if body else None,
    )


def document(execution_id: str) -> Call[str]:
    """The document of an execution as it was posted: its text, YAML or JSON."""
    return Call(method="GET", path=f"{_execution(execution_id)}/document", answer=str)


def graph(execution_id: str) -> Call[Drawing]:
    """Where the nodes and edges of an execution's workflow stand in a picture."""
    return Call(method="GET", path=f"{_execution(execution_id)}/graph", answer=Drawing)


def list_page(
    *,
    status: Sequence[ExecutionStatus] = (),
    name: str | None = None,
    labels: Labels | None = None,
    correlation_id: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    begins_with: str | None = None,
    version: int | None = None,
    parent: str | None = None,
    rerun_of: str | None = None,
    limit: int = PAGE,
    cursor: str | None = None,
) -> Call[ListView]:
    """Executions, newest first: those that all of this is true of. Times need their zone.

    `begins_with`: how the id or the name begins. `version`: of their definition. `parent`: the execution that
    has started them. `rerun_of`: the execution that reruns have made them of, as new ones. A page may be
    short or empty, and still lead to a next one.
    """
    query = (
        *(("status", each) for each in status),
        *(("label", f"{label}:{value}") for label, value in (labels or {}).items()),
        *given_query(
            name=name,
            correlation_id=correlation_id,
            created_after=_time(created_after),
            created_before=_time(created_before),
            q=begins_with,
            version=None if version is None else str(version),
            parent=parent,
            rerun_of=rerun_of,
        ),
        *paging(limit, cursor),
    )
    return Call(method="GET", path="/workflows", answer=ListView, query=query)


def events_page(execution_id: str, *, limit: int = LONG_PAGE, cursor: str | None = None) -> Call[EventPage]:
    """What has happened in an execution. `cursor` may be the id of an event: the page begins behind it."""
    path = f"{_execution(execution_id)}/events"
    return Call(method="GET", path=path, answer=EventPage, query=paging(limit, cursor))


def runs_page(execution_id: str, *, limit: int = PAGE, cursor: str | None = None) -> Call[RunPage]:
    """The runs of an execution, the newest first: how each has ended, and why it began."""
    path = f"{_execution(execution_id)}/runs"
    return Call(method="GET", path=path, answer=RunPage, query=paging(limit, cursor))


def logs_page(
    execution_id: str,
    *,
    node: str | None = None,
    attempt: int | None = None,
    limit: int = LONG_PAGE,
    cursor: str | None = None,
) -> Call[LinePage]:
    """What the nodes of an execution, or one of them, have logged and printed. `cursor` as for events.

    Raises ValueError for an attempt without a node.
    """
    if attempt is not None and node is None:
        raise ValueError("an attempt is one of a node: name the node as well")
    path = _execution(execution_id) + ("/logs" if node is None else f"/nodes/{path_part(node)}/logs")
    query = (*given_query(attempt=None if attempt is None else str(attempt)), *paging(limit, cursor))
    return Call(method="GET", path=path, answer=LinePage, query=query)


def items_page(
    execution_id: str,
    node: str,
    *,
    status: Sequence[ItemStatus] = (),
    begin: int = 0,
    results: bool = True,
    limit: int = PAGE,
    cursor: str | None = None,
) -> Call[ItemPage]:
    """The items of a map, in their order, from the one with the index `begin` on. `status`: only those in
    one of these. `results`: with what each has given."""
    path = f"{_execution(execution_id)}/nodes/{path_part(node)}/items"
    given = given_query(**{"from": str(begin) if begin else None}, results=None if results else "false")
    query = (*(("status", each) for each in status), *given, *paging(limit, cursor))
    return Call(method="GET", path=path, answer=ItemPage, query=query)


def dead_letters_page(*, limit: int = PAGE, cursor: str | None = None) -> Call[DeadLettersView]:
    """Messages that were set aside, the newest first."""
    return Call(method="GET", path="/dead-letters", answer=DeadLettersView, query=paging(limit, cursor))


def retry_dead_letter(letter_id: str) -> Call[RetriedLetterView]:
    """Trigger the execution of a dead letter again, or send its message again."""
    return Call(method="POST", path=f"/dead-letters/{path_part(letter_id)}/retry", answer=RetriedLetterView)


def delete_dead_letter(letter_id: str) -> Call[DeletedLetterView]:
    """Delete a dead letter."""
    return Call(method="DELETE", path=f"/dead-letters/{path_part(letter_id)}", answer=DeletedLetterView)


def queues() -> Call[QueuesView]:
    """Every queue of the stack."""
    return Call(method="GET", path="/queues", answer=QueuesView)


def workers() -> Call[WorkersView]:
    """The live processes of orchestrators and workers."""
    return Call(method="GET", path="/workers", answer=WorkersView)


def limits_page(*, limit: int = PAGE, cursor: str | None = None) -> Call[LimitsView]:
    """Who runs of each limit, and who waits for a turn, by the limits' names."""
    return Call(method="GET", path="/limits", answer=LimitsView, query=paging(limit, cursor))


def stats() -> Call[StatsView]:
    """How executions have ended lately."""
    return Call(method="GET", path="/stats", answer=StatsView)


def health() -> Call[HealthView]:
    """How the stack is. One that is `down` is an answer too."""
    return Call(method="GET", path="/health", answer=HealthView, also=(503,))


def me() -> Call[MeView]:
    """Whose key this is, and its role."""
    return Call(method="GET", path="/me", answer=MeView)


def keys() -> Call[KeysView]:
    """The keys of the API, without the keys themselves."""
    return Call(method="GET", path="/keys", answer=KeysView)


def revoke_key(key_id: str) -> Call[RevokedKeyView]:
    """Revoke a key that is kept in Redis."""
    return Call(method="DELETE", path=f"/keys/{path_part(key_id)}", answer=RevokedKeyView)


def audit_page(*, limit: int = PAGE, cursor: str | None = None) -> Call[AuditView]:
    """Who has done what, the newest first."""
    return Call(method="GET", path="/audit", answer=AuditView, query=paging(limit, cursor))


def settings() -> Call[SettingsView]:
    """The settings of the API process that answers, without secrets."""
    return Call(method="GET", path="/settings", answer=SettingsView)


def _execution(execution_id: str) -> str:
    return f"/workflows/{path_part(execution_id)}"


def _time(moment: datetime | None) -> str | None:
    """As the API reads it. Raises ValueError for a time without its zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: datetime.now(UTC) has one, for example")
    return moment.isoformat(timespec="milliseconds")
