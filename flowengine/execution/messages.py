"""Every message between the services: its payload, its actor, its queue, its sender. Pure data.

To add one: write its struct, give it a row in MESSAGES, and an actor in the service that receives it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from flowengine.execution.reports import Outcome, Reporter
from flowengine.queues import ORCHESTRATOR_QUEUE


class StartExecution(msgspec.Struct, frozen=True, kw_only=True):
    """A run was triggered: dispatch its first nodes. `nodes` is how many the execution has."""

    execution: str
    run: int
    correlation_id: str
    nodes: int


class Read(msgspec.Struct, frozen=True, array_like=True):
    """An upstream node whose output a node reads, and the field that `X.result` means there."""

    node: str
    primary: str | None = None


class RunNode(msgspec.Struct, frozen=True, kw_only=True):
    """The task of running one node."""

    execution: str
    run: int
    node: str
    dispatch: int
    attempt: int
    handler: str
    config: msgspec.Raw
    reads: tuple[Read, ...]
    timeout_ms: int
    correlation_id: str


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one dispatch of a node. `finished_at` in milliseconds since the epoch."""

    execution: str
    run: int
    node: str
    dispatch: int
    attempt: int
    by: Reporter
    finished_at: int
    outcome: Outcome
    correlation_id: str


class Deadline(msgspec.Struct, frozen=True, kw_only=True, tag="deadline", tag_field="kind"):
    """A node's time is over, by the timer's account."""

    execution: str
    run: int
    node: str
    dispatch: int


Timer: TypeAlias = Deadline
"""The kinds of timers. Each kind has a sorted set of its own, so that an older process never meets a
kind that it does not know."""

Payload: TypeAlias = StartExecution | RunNode | Callback | Timer


class MessageKind(msgspec.Struct, frozen=True):
    """One row of the table. `queue` is None for a task: its node's handler names the queue."""

    payload: type[Payload]
    actor: str
    queue: str | None
    sender: str


MESSAGES: Final = (
    MessageKind(StartExecution, "start_execution", ORCHESTRATOR_QUEUE, "the API, when it triggers"),
    MessageKind(RunNode, "run_node", None, "the orchestrator, when it dispatches"),
    MessageKind(Callback, "node_finished", ORCHESTRATOR_QUEUE, "workers, also for a task that kills them"),
    MessageKind(Deadline, "timer_fired", ORCHESTRATOR_QUEUE, "the timer loop"),
)

_KINDS: Final = MappingProxyType({kind.payload: kind for kind in MESSAGES})


def kind_of(payload: Payload) -> MessageKind:
    """The row of a payload's type."""
    return _KINDS[type(payload)]
