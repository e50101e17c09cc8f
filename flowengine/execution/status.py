"""Statuses of nodes and executions: what each means, and which step leads from which to which.

The rules go by these tables. A step that a table does not have is a defect: `after` raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

NodeStatus: TypeAlias = Literal[
    "pending", "queued", "running", "waiting", "completed", "failed", "skipped", "cancelled"
]
StoredNodeStatus: TypeAlias = Literal[
    "pending", "queued", "open", "waiting", "completed", "failed", "skipped", "cancelled"
]
"""`running` is never stored: it is a queued node whose start a worker has noted, or an open one.

`open`: what the node stands for runs, a child execution or the items of a map. No worker has a task of the
node itself.
"""

SkipReason: TypeAlias = Literal["when", "upstream_skipped", "trigger_rule", "ended_early", "operator"]
"""Why a node does not run: its `when` is false, a node that it depends on was skipped, its trigger rule does
not hold, the execution had ended by an `end`, an operator said so."""

ExecutionStatus: TypeAlias = Literal[
    "pending", "running", "paused", "cancelling", "completed", "failed", "cancelled"
]

NODE_STATUSES: Final[Mapping[NodeStatus, str]] = MappingProxyType(
    {
        "pending": "It has not been dispatched in this run: it waits for the nodes that it depends on.",
        "queued": "Its task is in a worker queue, and no worker has noted that it runs.",
        "running": "A worker has noted that it runs.",
        "waiting": "It waits for a time, an event or a place, and no worker holds it.",
        "completed": "It has a result.",
        "failed": "It has an error, its own or that of a node upstream.",
        "skipped": "It was decided that it does not run.",
        "cancelled": "It was stopped before it had a result.",
    }
)

EXECUTION_STATUSES: Final[Mapping[ExecutionStatus, str]] = MappingProxyType(
    {
        "pending": "It is stored and has not been triggered, or it waits for its turn to run.",
        "running": "It has been triggered, and something is left to do.",
        "paused": "It runs, and nothing new is dispatched.",
        "cancelling": "It is being stopped, and some of its nodes have not ended.",
        "completed": "Every node has ended, and none has failed, tolerated failures aside, or an `end` "
        "said so.",
        "failed": "Every node has ended, and one at least has failed, tolerated failures aside, or its "
        "time was over, or an `end` said so.",
        "cancelled": "It was stopped on request, and every node has ended.",
    }
)

NodeStep: TypeAlias = Literal[
    "dispatch",
    "dispatch_again",
    "complete",
    "fail",
    "inherit_failure",
    "settle",
    "skip",
    "open",
    "wait",
    "line_up",
    "try_again",
    "call_again",
    "iterate",
    "judge",
    "cancel",
    "skip_by_hand",
    "complete_by_hand",
    "fail_by_hand",
    "reset",
]

_BY_HAND: Final[Mapping[NodeStep, StoredNodeStatus]] = MappingProxyType(
    {"skip_by_hand": "skipped", "complete_by_hand": "completed", "fail_by_hand": "failed"}
)
"""Where an operator's word leads, from each status in which a node has not ended."""

NODE_STEPS: Final[Mapping[StoredNodeStatus, Mapping[NodeStep, StoredNodeStatus]]] = MappingProxyType(
    {
        "pending": {
            "dispatch": "queued",
            "line_up": "waiting",
            "inherit_failure": "failed",
            "skip": "skipped",
            "cancel": "cancelled",
            "reset": "pending",
            **_BY_HAND,
        },
        "queued": {
            "dispatch_again": "queued",
            "complete": "completed",
            "fail": "failed",
            "skip": "skipped",
            "open": "open",
            "wait": "waiting",
            "line_up": "waiting",
            "iterate": "queued",
            "cancel": "cancelled",
            **_BY_HAND,
        },
        # `judge`: its child has completed, and a worker says whether that was the last iteration.
        "open": {
            "complete": "completed",
            "fail": "failed",
            "wait": "waiting",
            "judge": "queued",
            "cancel": "cancelled",
            **_BY_HAND,
        },
        # `complete` and `fail` by what it has waited for, or by the end of its time; `wait`: once more.
        "waiting": {
            "line_up": "waiting",
            "try_again": "queued",
            "call_again": "queued",
            "iterate": "queued",
            "complete": "completed",
            "fail": "failed",
            "wait": "waiting",
            "cancel": "cancelled",
            **_BY_HAND,
        },
        "completed": {"settle": "completed", "reset": "pending"},
        "failed": {"settle": "failed", "reset": "pending"},
        "skipped": {"settle": "skipped", "reset": "pending"},
        "cancelled": {"reset": "pending"},
    }
)

ExecutionStep: TypeAlias = Literal[
    "trigger",
    "rerun",
    "queue",
    "admit",
    "withdraw",
    "pause",
    "resume",
    "stop",
    "cancel",
    "complete",
    "fail",
    "end_cancelled",
    "give_up",
]

EXECUTION_STEPS: Final[Mapping[ExecutionStatus, Mapping[ExecutionStep, ExecutionStatus]]] = MappingProxyType(
    {
        # One that is queued for its turn is pending, and has a place in a line.
        "pending": {
            "trigger": "running",
            "queue": "pending",
            "admit": "running",
            "withdraw": "pending",
            "end_cancelled": "cancelled",
            # A fork whose origin is gone before all is copied.
            "give_up": "failed",
        },
        "running": {
            "complete": "completed",
            "fail": "failed",
            "stop": "running",
            "cancel": "cancelling",
            "pause": "paused",
        },
        "paused": {
            "complete": "completed",
            "fail": "failed",
            "stop": "running",
            "cancel": "cancelling",
            "resume": "running",
        },
        # Hooks run in it: these may be stopped, and leave the verdict as it was.
        "cancelling": {
            "end_cancelled": "cancelled",
            "complete": "completed",
            "fail": "failed",
            "stop": "cancelling",
        },
        "completed": {"rerun": "running", "queue": "pending"},
        "failed": {"trigger": "running", "rerun": "running", "queue": "pending"},
        "cancelled": {"trigger": "running", "rerun": "running", "queue": "pending"},
    }
)

_FINAL: Final[frozenset[StoredNodeStatus]] = frozenset({"completed", "failed", "skipped", "cancelled"})
_OVER: Final[frozenset[ExecutionStatus]] = frozenset({"completed", "failed", "cancelled"})

ALL_EXECUTION_STATUSES: Final[tuple[ExecutionStatus, ...]] = get_args(ExecutionStatus)


class IllegalStepError(AssertionError):
    """A rule took a step that the table does not have."""


def after(status: StoredNodeStatus, step: NodeStep) -> StoredNodeStatus:
    """The status that `step` leads to. Raises IllegalStepError."""
    following = NODE_STEPS[status].get(step)
    if following is None:
        raise IllegalStepError(f"a node that is {status} has no step '{step}'")
    return following


def may(status: StoredNodeStatus, step: NodeStep) -> bool:
    """Whether a node in this status can take the step."""
    return step in NODE_STEPS[status]


def execution_after(status: ExecutionStatus, step: ExecutionStep) -> ExecutionStatus:
    """The status that `step` leads to. Raises IllegalStepError."""
    following = EXECUTION_STEPS[status].get(step)
    if following is None:
        raise IllegalStepError(f"an execution that is {status} has no step '{step}'")
    return following


def execution_may(status: ExecutionStatus, step: ExecutionStep) -> bool:
    """Whether an execution in this status can take the step."""
    return step in EXECUTION_STEPS[status]


def is_final(status: StoredNodeStatus) -> bool:
    """Whether a node in this status has ended, for this run."""
    return status in _FINAL


def counts_as_success(status: StoredNodeStatus) -> bool:
    """Whether a node in this status lets the nodes that need its result run."""
    return status == "completed"


def is_open(status: StoredNodeStatus) -> bool:
    """Whether what the node stands for runs, and will end it."""
    return status == "open"


def shown(status: StoredNodeStatus) -> NodeStatus:
    """The status under which a node is shown of which no worker has a task."""
    return "running" if status == "open" else status


def is_in_flight(status: StoredNodeStatus) -> bool:
    """Whether a worker has the node's task, or will get it."""
    return status == "queued"


def is_over(status: ExecutionStatus) -> bool:
    """Whether an execution in this status has ended, until it is triggered again."""
    return status in _OVER


def takes_reports(status: ExecutionStatus) -> bool:
    """Whether what is reported of nodes in flight counts while their execution is in this status."""
    return status in ("running", "paused", "cancelling")


def lets_dispatch(status: ExecutionStatus) -> bool:
    """Whether nodes of an execution in this status may be dispatched, if it is not being stopped."""
    return status == "running"


def lets_decide(status: ExecutionStatus) -> bool:
    """Whether something may be decided about pending nodes of an execution in this status, if it is not being
    stopped."""
    return status in ("running", "paused")
