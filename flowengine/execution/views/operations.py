"""What the API shows of the service at work: dead letters, queues, processes. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine import __version__
from flowengine.execution.views.executions import Moment

DeadReason: TypeAlias = Literal["undecodable", "exhausted", "unknown_actor", "rejected", "raised"]
"""Why a message became a dead letter."""

LetterRetry: TypeAlias = Literal["trigger", "send"]
"""What a retry of a dead letter does: trigger its execution again, or send the message again."""


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was set aside. `deliveries`: how often it was started.

    What it speaks of is there only where it can be read. `retry`: what a retry does.
    """

    id: str
    queue: str
    reason: DeadReason
    deliveries: int
    buried_at: Moment
    retry: LetterRetry
    actor: str | msgspec.UnsetType = msgspec.UNSET
    execution_id: str | msgspec.UnsetType = msgspec.UNSET
    run: int | msgspec.UnsetType = msgspec.UNSET
    node: str | msgspec.UnsetType = msgspec.UNSET
    handler: str | msgspec.UnsetType = msgspec.UNSET


class DeadLettersView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of dead letters, the newest first. `next_cursor` asks for the next page; null: there is none."""

    items: tuple[DeadLetterView, ...]
    next_cursor: str | None


class RetriedLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a retry. `done`: its execution was triggered, for this `run`; the message was sent again; or
    its execution was triggered by others before, and nothing was to be done. The letter is gone."""

    id: str
    done: Literal["triggered", "sent", "overtaken"]
    execution_id: str | msgspec.UnsetType = msgspec.UNSET
    run: int | msgspec.UnsetType = msgspec.UNSET


class DeletedLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to the deletion of a dead letter."""

    id: str


class HandlerLineView(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks beside a queue that wait for a worker that knows their handler. `known`: a live worker does."""

    handler: str
    length: int
    in_flight: int
    oldest_age_s: float | None
    known: bool


class QueueLoadView(msgspec.Struct, frozen=True, kw_only=True):
    """One queue: its messages, and how many of them were delivered and have not been acknowledged.

    `oldest_age_s`: the age of the oldest message that no live process works on. `consumers`: live processes
    that serve it. `put_off`: messages that no process has understood yet. `handlers`: the lines beside it,
    which do not count in the other numbers.
    """

    queue: str
    length: int
    in_flight: int
    oldest_age_s: float | None
    consumers: int
    dead_letters: int
    put_off: int
    handlers: tuple[HandlerLineView, ...]


class QueuesView(msgspec.Struct, frozen=True, kw_only=True):
    """Every queue of the stack."""

    items: tuple[QueueLoadView, ...]
    next_cursor: None = None


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A live process that serves queues. `busy`: how many of its threads work; `async_running`: how many
    nodes run without a thread, of `concurrency` at most; as of its last notice, a third of a lease ago at
    most. `stopping`: it takes nothing new. `seen_at`: its last sign of life."""

    id: str
    service: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    threads: int
    busy: int
    concurrency: int = 0
    async_running: int = 0
    stopping: bool
    started_at: Moment
    seen_at: Moment


class WorkersView(msgspec.Struct, frozen=True, kw_only=True):
    """The live processes of orchestrators and workers. `api_version`: that of the process that answers."""

    items: tuple[WorkerView, ...]
    next_cursor: None = None
    api_version: str = __version__


class DefinitionStatsView(msgspec.Struct, frozen=True, kw_only=True):
    """How executions of the workflow of this name have ended in the last day."""

    name: str
    completed: int
    failed: int
    cancelled: int


class HourStatsView(msgspec.Struct, frozen=True, kw_only=True):
    """How executions have ended in one hour."""

    begins_at: Moment
    completed: int
    failed: int
    cancelled: int


class DurationsView(msgspec.Struct, frozen=True, kw_only=True):
    """What half, 95 % and 99 % of the executions took at most, in seconds: upper bounds of classes,
    of which two double the length."""

    p50_s: float
    p95_s: float
    p99_s: float


class SpanStatsView(msgspec.Struct, frozen=True, kw_only=True):
    """How executions have ended since this time, and how many a minute. `durations` is null where none has
    run."""

    since: Moment
    completed: int
    failed: int
    cancelled: int
    per_minute: float
    durations: DurationsView | None


class StatsView(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics. `executions`: how many are kept, by status. `definitions`: those of which most executions
    have ended in the last day. `hours`: the last 24, this one included, the oldest first."""

    at: Moment
    executions: dict[str, int]
    definitions: tuple[DefinitionStatsView, ...]
    hours: tuple[HourStatsView, ...]
    last_hour: SpanStatsView
    last_day: SpanStatsView
