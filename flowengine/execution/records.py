"""What is stored of an execution and of its nodes. Pure data.

Times are milliseconds since the epoch on Redis's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.execution.chains.records import Followed, Follower, decode_followers
from flowengine.execution.limits.lines import InLine, NodeTurn, Pace
from flowengine.execution.status import (
    ExecutionStatus,
    SkipReason,
    StoredNodeStatus,
    is_open,
    lets_decide,
    lets_dispatch,
)
from flowengine.plugin.errors import AttemptError, ModelCall
from flowengine.workflow.limits.declared import MadeKeys
from flowengine.workflow.stages import Stage
from flowengine.workflow.waits.wait_policy import WaitPolicy

COUNTED_RESULT_BYTES: Final = 4096
"""Results under this are not counted towards an execution's limit: a thousand of them fit."""


class NodeError(msgspec.Struct, frozen=True):
    """Why a node failed.

    `caused_by` names the upstream node whose failure this one inherits. `attempts` counts the tries
    at the work itself (an HTTP handler's calls); `errors` lists the ones that did not succeed. `calls`
    lists those of a language model, with what each of them took; other nodes have none. `status_code` is
    the HTTP status that a service answered with, where there is one.
    """

    code: str
    message: str
    caused_by: str | None = None
    attempts: int = 1
    errors: tuple[AttemptError, ...] = ()
    calls: tuple[ModelCall, ...] | msgspec.UnsetType = msgspec.UNSET
    status_code: int | msgspec.UnsetType = msgspec.UNSET


class ExecutionError(msgspec.Struct, frozen=True):
    """Why an execution has failed, or was cancelled. `node` is the node that decided it, if one did."""

    code: str
    message: str
    node: str | None = None


class ItemChildren(msgspec.Struct, frozen=True, array_like=True):
    """What the children are known by that the items of a map of a group run as. `dispatch` and `at`: of the
    opening with which the list became known, which their ids are made of. `run`: the run of each that its
    item waits for; each time that the map is opened it is one more."""

    dispatch: int
    at: int
    run: int = 1


class MapRecord(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "total": "t",
        "at_once": "w",
        "tolerated": "f",
        "kept": "k",
        "completed": "c",
        "failed": "e",
        "again": "a",
        "chosen": "g",
        "stays": "s",
        "out": "o",
        "max_ms": "m",
        "until": "u",
        "children": "h",
        "over": "v",
    },
):
    """A map whose items are known. `total`: their number; `at_once`: how many may run at a time, 0: as many
    as workers take; `tolerated`: how many may fail; `kept`: how many had ended before this run, and stay so.
    Once it has ended, `completed` and `failed` say how many have. `again`: only those run that are listed.
    `chosen`: a rerun has listed them, and the node's task has not yet told of them. Of those that are not
    listed `stays` have failed, and `out` have not ended. `max_ms`: for how long items may run, from when they
    are known; 0: for as long as they take. `until`: when that is over in this run, in milliseconds since the
    epoch. `children`: of a map of a group. `over`: its time has ended it, and its children are stopped.
    """

    total: int
    at_once: int = 0
    tolerated: int = 0
    kept: int = 0
    completed: int = 0
    failed: int = 0
    again: bool = False
    chosen: bool = False
    stays: int = 0
    out: int = 0
    max_ms: int = 0
    until: int = 0
    children: ItemChildren | None = None
    over: bool = False

    @property
    def ended_by_itself(self) -> bool:
        """Whether a map that has ended did so with its items: no stop and no operator has ended it."""
        return bool(self.completed or self.failed or not self.total)

    @property
    def to_run(self) -> int:
        """How many of its items its run runs."""
        return self.total - self.kept - self.out

    def is_over(self, now: int) -> bool:
        """Whether no item may begin any more, for its time."""
        return bool(self.until) and now >= self.until


class ItemRecord(msgspec.Struct, frozen=True, array_like=True):
    """An item of a map that has ended: a field of one hash for all items of the map.

    `tries`: how often it was tried in the run in which it ended. `delivery`: the one whose outcome was
    accepted. `answered` counts the failures that were certain to be the end of what was asked. `result` is
    the handler's output; null of one that has failed.
    """

    status: Literal["completed", "failed"]
    started_at: int | None
    finished_at: int
    tries: int
    delivery: int
    answered: int
    error: NodeError | None
    result: msgspec.Raw


WaitKind: TypeAlias = Literal["later", "wait", "signal", "approval", "callback"]
"""What a node waits for that is no other try: the time that its handler has named, a time of its own, a
signal, a person's decision, a callback."""


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person has decided, and when, in milliseconds since the epoch. `by`: the id of their key."""

    approved: bool
    at: int
    by: str | None = None
    comment: str | None = None


class Waits(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"kind": "k", "since": "s", "prompt": "p", "decided": "d", "said": "w"},
):
    """What a waiting node waits for, and since when, in milliseconds since the epoch. `prompt`: what a person
    is asked. `decided`: what a person has answered, of a node that waits no more. `said`: what its handler
    has said, where that goes before its policy."""

    kind: WaitKind
    since: int
    prompt: str | None = None
    decided: Decided | None = None
    said: WaitPolicy | None = None


class CalledBack(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"at": "t", "payload": "p", "error": "e"}
):
    """A callback that has come before its node waits for it: it decides once the node's task is over. `at`:
    in milliseconds since the epoch. `payload`: as JSON; `error`: the failure that it tells of instead."""

    at: int
    payload: msgspec.Raw = msgspec.Raw(b"null")
    error: NodeError | None = None


class Repeated(msgspec.Struct, frozen=True, array_like=True):
    """How far a node is that repeats.

    `number`: that of the iteration which was sent last; 0: none was. `ended`: how many have ended; so many
    had when it went on after it had exhausted them (`before`). `since`: when the first of those that it may
    have now was sent. `kept`: bytes that are stored of what iterations have given. `delayed`: the wait before
    the first one is over. `given`: when the iteration began whose child has completed, of a group of which
    only its `until` is left to be rendered; 0: nothing is. `size`: the bytes that are stored of what that
    child has given.
    """

    number: int = 0
    ended: int = 0
    before: int = 0
    since: int = 0
    kept: int = 0
    delayed: bool = False
    given: int = 0
    size: int = 0


class AwaitedChild(msgspec.Struct, frozen=True, array_like=True):
    """A child execution, and the run of it whose end ends its node. `run` 0: the node has begun an execution
    that is nobody's child."""

    execution: str
    run: int


class NodeRecord(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={
        "status": "s",
        "attempt": "a",
        "dispatch": "n",
        "queued_at": "q",
        "started_at": "b",
        "finished_at": "f",
        "delivery": "d",
        "error": "e",
        "run": "r",
        "tolerated": "t",
        "skipped": "k",
        "unsettled": "o",
        "when": "w",
        "unseen": "u",
        "counted": "z",
        "tried": "y",
        "since": "c",
        "until": "v",
        "answered": "i",
        "moment": "m",
        "waits": "x",
        "repeated": "l",
        "child": "h",
        "turn": "j",
        "pace": "J",
        "map": "p",
        "called": "B",
        "cached": "g",
        "keys": "K",
        "asks": "A",
    },
):
    """One node: the field `state` of its key.

    `dispatch` goes up by one each time that the node's task is sent, and never down: messages, timers
    and starts name it, so that what belongs to an earlier one is recognised. `attempt` is what people
    see: it goes up once a try. `delivery` is the delivery whose outcome was accepted. `run` is the
    trigger that made the node pending: a dispatch, however late, is part of that run.

    `tolerated`: it failed, and its `on_error` says that the execution goes on. `skipped` says why it was
    skipped. `unsettled`: it failed at once by a node upstream, or an operator ended it, and others that it
    depends on have not ended. `when`: what its `when` gives where that was known at the trigger. `unseen`:
    the indexes of the nodes that it reads and that had not ended when it was dispatched. `counted`: the bytes
    of its result that count towards the execution's limit. Of a node that is tried again, `tried` counts its
    tries since it was reset, and `since` is when the first of them was sent; a waiting one is tried again at
    `until`. `answered` goes up after a failure that is certain to be the end of what was asked, and when a
    completed node is reset: it is the number in the idempotency key. `moment` is when a task with this key
    was first sent, where that was before `queued_at` (see `first_sent`): whatever leaves `answered` as it is
    keeps it. `waits`: what a node waits for, until `until`, if it is no other try and no iteration.
    `repeated`: how far it is, of a node that repeats; `tried` and `since` speak of one iteration then, and
    `counted` of what is kept of those that have ended. One that waits for its next iteration has no error.
    `child`: the execution that it stands for while it is open, and after that the one that it stood for last,
    if it may go on. `map`: of a map, from when its items are known.
    `turn`: where it stands for its turn among the nodes of its key, waiting or in flight. `pace`: where it
    waits to start, and, in flight, as what its start is counted. `called`: the callback that has come while
    its task is on its way or runs. `cached`: its result was given at another time; False: it is not to be,
    nor that of a node below it, as a rerun has asked for a new one. `keys`: those of its limits that were
    made, when the execution was triggered or by a task of the node. `asks`: what its child has failed with,
    while a worker is to say whether it is tried again (`retry.when`).
    """

    status: StoredNodeStatus = "pending"
    attempt: int = 0
    dispatch: int = 0
    queued_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    delivery: int = 0
    error: NodeError | None = None
    run: int = 1
    tolerated: bool = False
    skipped: SkipReason | None = None
    unsettled: bool = False
    when: bool | None = None
    unseen: tuple[int, ...] = ()
    counted: int = 0
    tried: int = 0
    since: int = 0
    until: int | None = None
    answered: int = 0
    moment: int | None = None
    waits: Waits | None = None
    repeated: Repeated | None = None
    child: AwaitedChild | None = None
    map: MapRecord | None = None
    turn: NodeTurn | None = None
    pace: Pace | None = None
    called: CalledBack | None = None
    cached: bool | None = None
    keys: MadeKeys | None = None
    asks: NodeError | None = None

    @property
    def in_line(self) -> bool:
        """Whether it stands in a line, or did so to be put in flight."""
        return self.turn is not None or self.pace is not None


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt that is over, of a node that is tried again or repeats: the field `try:N` of its key.

    `iteration`: the number of the iteration that it was of; 0: the node does not repeat. `child`: the
    execution as which that ran.
    """

    queued_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    delivery: int = 0
    error: NodeError | None = None
    iteration: int = 0
    child: str | None = None


def attempt_of(record: NodeRecord) -> Attempt:
    """What is kept of a node's last attempt once another one may follow."""
    return Attempt(
        record.queued_at,
        record.started_at,
        record.finished_at,
        record.delivery,
        record.error,
        0 if record.repeated is None else record.repeated.number,
        None if record.repeated is None or record.child is None else record.child.execution,
    )


def is_open_map(record: NodeRecord) -> bool:
    """Whether it is a map whose items run: any other open node stands for a child."""
    return is_open(record.status) and record.map is not None


def holds_response(record: NodeRecord) -> bool:
    """Whether what the node's handler has given is stored, until a callback comes."""
    return record.waits is not None and record.waits.kind == "callback"


def awaits_judgement(record: NodeRecord) -> bool:
    """Whether a group that repeats has what the child of this iteration gave, and a worker is to say what
    follows from it."""
    return record.repeated is not None and record.repeated.given > 0


def is_failure(record: NodeRecord) -> bool:
    """Whether a node has failed, and nothing tolerates it."""
    return record.status == "failed" and not record.tolerated


def first_sent(record: NodeRecord) -> int | None:
    """When a task with this idempotency key was first sent, of a node whose task has been sent."""
    return record.queued_at if record.moment is None else record.moment


def counted_bytes(size: int) -> int:
    """How many bytes of a result of this size count towards the execution's limit."""
    return size if size >= COUNTED_RESULT_BYTES else 0


def carried_on(record: NodeRecord, status: StoredNodeStatus) -> NodeRecord:
    """A node in another status, of which no attempt is known: its numbers stay."""
    return NodeRecord(
        status=status,
        attempt=record.attempt,
        dispatch=record.dispatch,
        run=record.run,
        when=record.when,
        keys=record.keys,
        answered=record.answered,
        moment=record.moment,
        repeated=record.repeated,
        counted=0 if record.repeated is None else record.counted,
    )


UNTOUCHED = NodeRecord()


StopCause: TypeAlias = Literal["cancel", "end", "node_failure", "timeout", "hooks_timeout", "origin_gone"]


class Stop(msgspec.Struct, frozen=True, omit_defaults=True):
    """The mark of an execution that is being stopped: from then on nothing is decided about its nodes.

    `verdict` is the status in which it ends. `node`: the `end`, or the node whose failure stops it. `reason`:
    what the caller who cancels it says. `told`: the events tell of it. `by`: the id of that caller's key.
    """

    cause: StopCause
    verdict: ExecutionStatus
    at: int
    node: str | None = None
    reason: str | None = None
    told: bool = False
    by: str | None = None


class Closing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an execution does after its main nodes have ended.

    `verdict`: the status in which it ends; while its outputs are computed, that in which it ends if they can
    be. `at`: when the stage began. `ended_by`: the stop that its main nodes were ended by.
    """

    stage: Stage
    verdict: ExecutionStatus
    at: int
    ended_by: Stop | None = None


class Control(msgspec.Struct, frozen=True):
    """What may forbid a step. Nothing in it moves when a node ends, so every decision can WATCH it.

    `closing` is None while the main nodes run. `started_at`: when this run began, in milliseconds since the
    epoch; None where nobody has asked. `doomed`: it is deleted once it has ended. `notifies`: it has a
    `callback_url`. `line`: where it stands for its turn to run, until it has ended. `schedule`: the id of the
    schedule that has started it. `version`: of its definition; None: its document was posted. `started_by`:
    the id of the key of who has triggered it first.
    """

    status: ExecutionStatus
    run: int
    stop: Stop | None = None
    closing: Closing | None = None
    started_at: int | None = None
    doomed: bool = False
    notifies: bool = False
    line: InLine | None = None
    schedule: str | None = None
    version: int | None = None
    started_by: str | None = None

    @property
    def stage(self) -> Stage:
        """The stage of the execution whose nodes run, or ran last."""
        return "main" if self.closing is None else self.closing.stage

    @property
    def lets_dispatch(self) -> bool:
        """Whether nodes may be put in flight."""
        return self.stop is None and (lets_dispatch(self.status) or self._cleans_up)

    @property
    def lets_decide(self) -> bool:
        """Whether something may be decided about pending nodes."""
        return self.stop is None and (lets_decide(self.status) or self._cleans_up)

    @property
    def _cleans_up(self) -> bool:
        """Whether it was cancelled, and its hooks run now."""
        return self.closing is not None and self.status == "cancelling"


class Counts(msgspec.Struct, frozen=True):
    """An execution's numbers: nodes that have not ended, nodes that have failed, bytes of results.

    They move whenever a node ends. Nobody WATCHes them.
    """

    unfinished: int = 0
    failed: int = 0
    bytes: int = 0


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """The execution that a fork has its results of, and the run that it was in then. It may be gone."""

    execution: str
    run: int


class ExecutionRecord(msgspec.Struct, frozen=True):
    """All that is stored of an execution itself. Times are 0 where unknown.

    `token` names the trigger that was applied last, so that a caller whose connection failed can
    tell its own from another's. `doomed`: it is deleted once it has ended. `notifies`: it has a
    `callback_url`. `started_by`: the id of the key of who has triggered it first;
    `allowed`: the patterns of the definitions that the key of who has asked for its last run is for, none:
    all. `line`: where it stands for its turn to run, until it has ended. `version`: of its definition; None:
    its document was posted.
    `origin`: of a fork, what it was made of. It has no run until it has begun.
    `schedule`: the id of the schedule that has started it, and `scheduled_at` the time that it is of; a fork
    has that of its origin, and no schedule.
    `begun_by`: the execution of which a node has begun it, without waiting for it. `followed`: the end that
    has started it; `links`: how many ends have led to it, one after the other. `noted`: what its own ends
    have started, as it is stored.
    """

    status: ExecutionStatus
    run: int
    total: int
    created_at: int
    started_at: int
    finished_at: int
    correlation_id: str
    name: str
    token: str
    stop: Stop | None = None
    closing: Closing | None = None
    labels: Mapping[str, str] = {}
    doomed: bool = False
    notifies: bool = False
    started_by: str | None = None
    line: InLine | None = None
    version: int | None = None
    allowed: tuple[str, ...] = ()
    origin: Origin | None = None
    schedule: str | None = None
    scheduled_at: int | None = None
    begun_by: str | None = None
    followed: Followed | None = None
    links: int = 0
    noted: bytes | None = None

    @property
    def followers(self) -> tuple[Follower, ...]:
        """What its own ends have started: read where it is asked for, as lists do not."""
        return () if self.noted is None else decode_followers(self.noted)

    @property
    def is_being_made(self) -> bool:
        """Whether it is a fork that has not begun: it begins by itself, or never."""
        return self.origin is not None and not self.run

    @property
    def control(self) -> Control:
        """The part that decisions go by."""
        return Control(
            self.status,
            self.run,
            self.stop,
            self.closing,
            doomed=self.doomed,
            notifies=self.notifies,
            line=self.line,
            schedule=self.schedule,
            version=self.version,
            started_by=self.started_by,
        )

    @property
    def stage(self) -> Stage:
        """The stage whose nodes run, or ran last."""
        return self.control.stage
