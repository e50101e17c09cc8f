"""What the API and the tool show of an execution: the shapes of SPEC's answers.

Pure data; times are RFC 3339 in UTC with milliseconds, so that as texts they sort as times, or null.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.execution.records import Decided, ExecutionError, NodeError
from flowengine.execution.status import ExecutionStatus, NodeStatus, SkipReason
from flowengine.execution.times import Moment as Moment
from flowengine.execution.times import moment as moment
from flowengine.execution.times import moment_or_none as moment_or_none
from flowengine.execution.views.maps import MapView
from flowengine.execution.views.node_kinds import NodeKind
from flowengine.execution.views.waits import WaitingForView as WaitingForView
from flowengine.execution.views.waits import WaitingKind as WaitingKind
from flowengine.workflow.chains.declared import EndStatus
from flowengine.workflow.priority import NORMAL, Priority
from flowengine.workflow.problems import Problem


class CreatedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a workflow that was accepted. `warnings`: what may go wrong with it, if anything may."""

    execution_id: str
    name: str
    status: ExecutionStatus
    created_at: Moment
    correlation_id: str
    warnings: tuple[Problem, ...] | msgspec.UnsetType = msgspec.UNSET


class StartedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a workflow that was accepted and started. `warnings` as in `CreatedView`. `version`: of its
    definition, where it is an applied one."""

    execution_id: str
    name: str
    status: ExecutionStatus
    run: int
    created_at: Moment
    correlation_id: str
    warnings: tuple[Problem, ...] | msgspec.UnsetType = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET


class TriggeredView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a trigger. `run` counts triggers: 1, 2, ..."""

    execution_id: str
    status: ExecutionStatus
    run: int


class CancelledView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a cancel: `cancelling` until all that runs has stopped."""

    execution_id: str
    status: ExecutionStatus
    run: int


class SteeredView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a pause or a resume: the status that it leads to."""

    execution_id: str
    status: ExecutionStatus
    run: int


class NotPossibleView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a rerun cannot do: for which node, and why. `field`: of the request."""

    node: str
    field: Literal["from", "skip", "items"]
    code: str
    message: str


class AnewView(msgspec.Struct, frozen=True, kw_only=True):
    """A node that begins from its start in a new execution, and why."""

    node: str
    code: str
    message: str


class ItemsAgainView(msgspec.Struct, frozen=True, kw_only=True):
    """Of the items of a map: how many run again; of the others, how many keep their result (`reused`), stay
    `failed`, or have not run and do not (`cancelled`)."""

    reset: int
    reused: int
    failed: int
    cancelled: int


class ForkPreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What a rerun as a new execution would make: one of this version of the definition, null for a posted
    document. `anew`: the nodes that begin from their start although a run of the same execution would keep
    something of them, or they have not ended."""

    version: int | None
    anew: tuple[AnewView, ...]


class RerunPreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What a rerun would do, by the run that has ended, `run`. Nodes in the document's order.

    `reset`: the nodes that begin again, hooks included; `reused`: those that stay as they are; `skipped`:
    those that the run skips; `not_possible`: what keeps it from being done. `version`: of the definition;
    null for a posted document. `forks`: of a rerun as a new execution, what is said of that. `items`: what
    the maps do of which items are named.
    """

    execution_id: str
    run: int
    version: int | None
    reset: tuple[str, ...]
    reused: tuple[str, ...]
    skipped: tuple[str, ...]
    not_possible: tuple[NotPossibleView, ...]
    forks: ForkPreviewView | msgspec.UnsetType = msgspec.UNSET
    items: Mapping[str, ItemsAgainView] | msgspec.UnsetType = msgspec.UNSET


class RerunView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a rerun: the run that begins, and what it does with each node, as its preview lists it.
    `rerun_of`: what the execution is a new one of; it begins once it has copied what it reuses."""

    execution_id: str
    status: ExecutionStatus
    run: int
    reset: tuple[str, ...]
    reused: tuple[str, ...]
    skipped: tuple[str, ...]
    rerun_of: str | msgspec.UnsetType = msgspec.UNSET
    items: Mapping[str, ItemsAgainView] | msgspec.UnsetType = msgspec.UNSET


class OverruledView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to an operator who has ended a node: the status that it has now."""

    execution_id: str
    node: str
    status: NodeStatus
    run: int
    attempt: int


class SignalledView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a signal that was kept: in which run."""

    execution_id: str
    signal: str
    run: int


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has decided, and when. `by`: the id of their key; null: the API has no keys."""

    approved: bool
    comment: str | None
    by: str | None
    at: Moment


def decision_view(decided: Decided) -> DecisionView:
    """A decision as it is shown."""
    return DecisionView(
        approved=decided.approved, comment=decided.comment, by=decided.by, at=moment(decided.at)
    )


class DecidedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a decision: the status that the node has now."""

    execution_id: str
    node: str
    status: NodeStatus
    run: int
    attempt: int
    decision: DecisionView


PersonKind: TypeAlias = Literal["approval", "signal"]
"""What a node may wait for that a person does."""


class WaitingItemView(msgspec.Struct, frozen=True, kw_only=True):
    """A node that waits for a person, since when, and until when at the longest. `name`: of the workflow.
    `prompt`: what is asked; `names`: of the signals that it takes; `schema`: the JSON Schema of what is to
    come with the answer. Each is there where the node has it. `root`: of a child execution, the one at the
    top; `item`: the key of the item of a map that it runs for."""

    execution_id: str
    name: str
    run: int
    node: str
    attempt: int
    kind: PersonKind
    since: Moment
    until: Moment
    prompt: str | msgspec.UnsetType = msgspec.UNSET
    names: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    schema: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    root: str | msgspec.UnsetType = msgspec.UNSET
    item: str | msgspec.UnsetType = msgspec.UNSET


class WaitingView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of nodes that wait for a person. `next_cursor` leads to the next one; null: there is none."""

    items: tuple[WaitingItemView, ...]
    next_cursor: str | None


class CountsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many nodes are in each status."""

    total: int
    pending: int
    queued: int
    running: int
    waiting: int
    completed: int
    failed: int
    skipped: int
    cancelled: int


def counts_of(statuses: Iterable[NodeStatus]) -> CountsView:
    """How many of these statuses are of each kind."""
    counted = Counter(statuses)
    return CountsView(
        total=counted.total(),
        pending=counted["pending"],
        queued=counted["queued"],
        running=counted["running"],
        waiting=counted["waiting"],
        completed=counted["completed"],
        failed=counted["failed"],
        skipped=counted["skipped"],
        cancelled=counted["cancelled"],
    )


class DeletedView(msgspec.Struct, frozen=True, kw_only=True):
    """An execution is deleted, or will be once it has ended. `deleted`: it is gone already."""

    execution_id: str
    deleted: bool


class SummaryCountsView(msgspec.Struct, frozen=True, kw_only=True):
    """How many main nodes there are, how many have not ended, and how many have failed, tolerated failures
    aside."""

    total: int
    unfinished: int
    failed: int


class TriggerView(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution was started by: `api`, a request; `parent`, the node that it stands for; `rerun`, one
    that makes a new execution of that with the `execution_id`; `schedule`, a schedule of its definition, for
    the time `scheduled_at`; `workflow`, a node of the execution with the `execution_id`, which does not wait
    for it; `after`, the end of the execution with the `execution_id`, one of the definition `workflow`, as
    `status`. `outputs`: what that has given, null if nothing; lists leave it out. A rerun keeps what its
    execution was started with, but for the kind and the id. Templates read these fields as `trigger`."""

    kind: Literal["after", "api", "parent", "rerun", "schedule", "workflow"]
    execution_id: str | msgspec.UnsetType = msgspec.UNSET
    workflow: str | msgspec.UnsetType = msgspec.UNSET
    status: EndStatus | msgspec.UnsetType = msgspec.UNSET
    outputs: dict[str, msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    schedule: str | msgspec.UnsetType = msgspec.UNSET
    scheduled_at: Moment | msgspec.UnsetType = msgspec.UNSET


class FollowerView(msgspec.Struct, frozen=True, kw_only=True):
    """What the end of an execution has brought about for a definition that follows, `at` when: the execution
    that it has started; or none, and `code` and `message` say why."""

    name: str
    at: Moment
    execution_id: str | None
    code: str | None
    message: str | None


class SummaryWaitView(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution in a list waits for, `until` that time at the longest: `retry`, the next try of
    `node` after a failure; `repeat`, its next iteration; what else a node may wait for; or its `turn` to
    begin, among the executions with its `key`."""

    kind: WaitingKind
    node: str | msgspec.UnsetType = msgspec.UNSET
    until: Moment | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType = msgspec.UNSET


class SummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """An execution in a list, without its nodes. `error`: why it has failed, or was cancelled; of several
    nodes that have failed, it is that of the first. `version`: of its definition; null for a posted document.
    `trigger` is null before the first one. `waiting_for`: of several nodes that wait, the one that goes on
    first; its turn, if it was triggered and has not begun; null where nothing waits, and of any other
    execution that does not run or is being stopped."""

    execution_id: str
    name: str
    version: int | None
    status: ExecutionStatus
    trigger: TriggerView | None
    waiting_for: SummaryWaitView | None
    run: int
    counts: SummaryCountsView
    error: ExecutionError | None
    labels: dict[str, str]
    correlation_id: str
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None


class CalledBackView(msgspec.Struct, frozen=True, kw_only=True):
    """A callback was taken."""

    accepted: bool


class ListView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list, newest first. `next_cursor` leads to the next one; null: there are no more.

    A page may hold fewer than were asked for, or none, and have a next one: so many are looked at, no more.
    """

    items: tuple[SummaryView, ...]
    next_cursor: str | None


class ParentView(msgspec.Struct, frozen=True, kw_only=True):
    """The node that a child execution stands for. `root`: the execution at the top."""

    execution_id: str
    node: str
    root: str


class ChildrenView(msgspec.Struct, frozen=True, kw_only=True):
    """How many executions the nodes of an execution have stood for, and where they are listed."""

    count: int
    link: str


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node's state. `kind`: what it is, by its document. `skipped` says why it does not run; `tolerated`:
    it failed, and the execution goes on; `waiting_for` says what it waits for; `iteration`: the one that it
    is at, or has ended with, of a node that repeats; `child`: the execution that it stands for, or stood for
    last; `map`: how far its items are. `cached`: its result was given at another time, and its handler not
    called. From `skipped` on, each is there only of a node of which it is true."""

    id: str
    kind: NodeKind
    handler: str
    status: NodeStatus
    attempt: int
    dependencies: tuple[str, ...]
    queued_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    error: NodeError | None
    skipped: SkipReason | msgspec.UnsetType = msgspec.UNSET
    tolerated: bool | msgspec.UnsetType = msgspec.UNSET
    waiting_for: WaitingForView | msgspec.UnsetType = msgspec.UNSET
    cached: bool | msgspec.UnsetType = msgspec.UNSET
    iteration: int | msgspec.UnsetType = msgspec.UNSET
    child: str | msgspec.UnsetType = msgspec.UNSET
    map: MapView | msgspec.UnsetType = msgspec.UNSET


NULL: Final = msgspec.Raw(b"null")
"""JSON that says that there is nothing. A field of raw JSON cannot be None: msgspec would read null alone."""


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a node. `delivery`: which delivery of its task gave the outcome; null: none has.
    `error`: why it has failed, if it has. `iteration`: which it was of, of a node that repeats; `child`: the
    execution as which that ran, of a group."""

    attempt: int
    queued_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    delivery: int | None
    error: NodeError | None
    iteration: int | msgspec.UnsetType = msgspec.UNSET
    child: str | msgspec.UnsetType = msgspec.UNSET


class NodeDetailView(NodeView, frozen=True, kw_only=True):
    """Everything of one node. `result`: its output as it is stored, null: it has none. `attempts`: the newest
    that are kept, oldest first.

    `previous`: what the iteration before has given, of a node that repeats and whose templates read it.
    `config`: as its templates give it now, secrets hidden. If it cannot be rendered, it is null, and
    `config_error` says why. If it is too large, it is the beginning of its JSON as a text, and
    `config_truncated` is true.
    """

    result: msgspec.Raw
    attempts: tuple[AttemptView, ...]
    config: msgspec.Raw
    previous: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    config_error: str | msgspec.UnsetType = msgspec.UNSET
    config_truncated: bool | msgspec.UnsetType = msgspec.UNSET


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution waits for that was triggered and has not begun: `turn`, among the executions with its
    `key`. `place`: in the line of those that run and wait; it begins once it is not behind `limit`."""

    kind: Literal["turn"]
    key: str
    place: int | None
    limit: int
    since: Moment


class RerunOfView(msgspec.Struct, frozen=True, kw_only=True):
    """The execution whose results a new one has copied, and the run that it was in then. It may be gone."""

    execution_id: str
    run: int


class CancelView(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody has asked for a cancel. `by`: the id of their key, null where there was none; `reason`:
    what they said, null if nothing."""

    at: Moment
    by: str | None
    reason: str | None


class ExecutionView(msgspec.Struct, frozen=True, kw_only=True):
    """An execution and its nodes, all of them or those that were asked for, in the document's order.
    `counts`: of all. `labels`: by which it is found. `inputs`: what it was given, if anything; secret ones
    are `***`. `error`: why it has failed, or was cancelled. `hooks`: the nodes of `on_failure` and `finally`,
    where the document has some; `hooks_failed`: one of them has failed. `outputs`: what it gives, once it has
    ended with some. `waiting_for`: why it was triggered and has not begun. `version`: of its definition,
    where it is of one. `parent`: of a child, the node that it stands for. `children`: where the document has
    groups. `rerun_of`: of a new execution that a rerun has made, what it was made of. `reruns`: the new
    executions that reruns have made of it, if there are some. `trigger`: what has started it, once something
    has. `scheduled_at`: the time of the schedule that has started it, if one has. `followers`: what its end
    has started, of definitions that follow. `priority`: how soon its nodes run beside those of others.
    `cancel_requested`: of the cancel that this run is being stopped by, or was."""

    execution_id: str
    name: str
    status: ExecutionStatus
    run: int
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    correlation_id: str
    labels: dict[str, str]
    counts: CountsView
    nodes: tuple[NodeView, ...]
    inputs: dict[str, msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    error: ExecutionError | msgspec.UnsetType = msgspec.UNSET
    hooks: tuple[NodeView, ...] | msgspec.UnsetType = msgspec.UNSET
    hooks_failed: bool | msgspec.UnsetType = msgspec.UNSET
    outputs: dict[str, msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    waiting_for: TurnView | msgspec.UnsetType = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET
    parent: ParentView | msgspec.UnsetType = msgspec.UNSET
    children: ChildrenView | msgspec.UnsetType = msgspec.UNSET
    priority: Priority = NORMAL
    rerun_of: RerunOfView | msgspec.UnsetType = msgspec.UNSET
    reruns: ChildrenView | msgspec.UnsetType = msgspec.UNSET
    trigger: TriggerView | msgspec.UnsetType = msgspec.UNSET
    scheduled_at: Moment | msgspec.UnsetType = msgspec.UNSET
    followers: tuple[FollowerView, ...] | msgspec.UnsetType = msgspec.UNSET
    cancel_requested: CancelView | msgspec.UnsetType = msgspec.UNSET


class NodeResultsView(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs of completed nodes (JSON as stored) and errors of failed ones, by node id."""

    results: dict[str, msgspec.Raw]
    errors: dict[str, NodeError]


class ResultsView(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs of the completed main nodes (JSON as stored) and errors of the failed, by node id.

    `outputs`: what the workflow gives; null unless it has completed, or an `end` has given some. `hooks`: the
    same of the nodes of `on_failure` and `finally`, where the document has some.
    """

    execution_id: str
    status: ExecutionStatus
    results: dict[str, msgspec.Raw]
    errors: dict[str, NodeError]
    outputs: dict[str, msgspec.Raw] | None = None
    hooks: NodeResultsView | msgspec.UnsetType = msgspec.UNSET


class HealthView(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is "ok", "degraded" (it works, but `checks` names what is missing) or "down".

    `checks` says, for each part, "ok" or what is wrong.

    `queues`: what is in each queue and who serves it. `warnings`: what works, and should be known.
    """

    status: Literal["ok", "degraded", "down"]
    checks: dict[str, str]
    queues: dict[str, QueueView] = {}
    warnings: tuple[str, ...] = ()


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """One queue: its messages, those that are worked on included, and the live processes that serve it.

    `oldest_age_s`: the age in seconds of the oldest message that nobody works on; None where there is none.
    """

    length: int
    oldest_age_s: float | None
    consumers: int
