"""What the engine asks of the store, the broker, the handlers. Adapters below the engine's users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from flowengine.execution.changes import Change
from flowengine.execution.records import Callback, ExecutionStatus, NodeRecord, RunNode
from flowengine.execution.rules import Standing
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler
from flowengine.workflow.plan import Plan

NodeKey: TypeAlias = tuple[str, str]

Ahead: TypeAlias = tuple[Sequence[NodeKey], Sequence[str]]
"""Nodes, and executions, as `StateStore.begin` takes them."""


class Sink(Protocol):
    """Takes Redis commands that are to be sent together."""

    def execute_command(self, *args: object) -> object: ...


Acknowledge: TypeAlias = Callable[[Sink], None]


class MetaView(Protocol):
    """An execution's own record."""

    @property
    def status(self) -> ExecutionStatus: ...
    @property
    def run(self) -> int: ...
    @property
    def unfinished(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def started_at(self) -> int: ...
    @property
    def correlation_id(self) -> str: ...


class Numbers(Protocol):
    """What a committed transaction left: counters by (execution, node), unfinished by execution."""

    @property
    def counters(self) -> Mapping[NodeKey, int]: ...
    @property
    def unfinished(self) -> Mapping[str, int]: ...


class Unit(Protocol):
    """One optimistic transaction: what it read, and its only chance to write.

    `ahead`: what the next unit of the same thread will probably read; the store may read it at once.
    `nodes` lacks what was never written. `now` is Redis's clock in milliseconds since the epoch.
    """

    @property
    def nodes(self) -> Mapping[NodeKey, NodeRecord]: ...
    @property
    def metas(self) -> Mapping[str, MetaView | None]: ...
    @property
    def now(self) -> int: ...
    def commit(
        self,
        changes: Mapping[str, Sequence[Change]],
        acknowledge: Acknowledge | None = None,
        ahead: Ahead | None = None,
    ) -> Numbers | None: ...
    def abandon(self) -> None: ...


class Start(msgspec.Struct, frozen=True):
    """What a worker learns when it begins: whether the attempt is still wanted, and its inputs.

    `inputs`: upstream node -> its output as JSON. `room`: bytes of results that the execution may
    still store; None where nobody has looked. `now`: milliseconds since the epoch. `noted`: whether
    the start is written down.
    """

    wanted: bool
    inputs: dict[str, bytes]
    room: int | None
    now: int
    oversized: int = 0
    noted: bool = True


class Begun(msgspec.Struct, frozen=True):
    """What a worker has noted of the newest delivery of an attempt that it began.

    `at`: milliseconds since the epoch. `place`: where the task stands in its queue (see `Receipt`).
    """

    delivery: int
    at: int
    place: str


class StateStore(Protocol):
    """State as the engine needs it. Every method may raise StoreUnavailableError.

    `begin`: with `commits` the unit may have read before its message was sent: to decide that nothing is
    to be done takes a commit then, as all else does.
    """

    def plan(self, execution: str) -> Plan | None: ...
    def forget_plan(self, execution: str) -> None: ...
    def begin(
        self, nodes: Sequence[NodeKey], metas: Sequence[str] = (), *, commits: bool = False
    ) -> Unit: ...
    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]: ...
    def plans_and_metas(
        self, executions: Sequence[str]
    ) -> Mapping[str, tuple[Plan | None, MetaView | None]]: ...
    def read_meta(self, execution: str) -> MetaView | None: ...
    def counters(self, wanted: Sequence[NodeKey]) -> dict[NodeKey, int]: ...
    def begun(self, execution: str, node: str, attempt: int) -> Begun | None: ...
    def standing(self, queue: str, begun: Begun) -> Standing: ...
    def acknowledge(self, acknowledge: Acknowledge) -> None: ...
    def start_nodes(
        self, tasks: Sequence[RunNode], deliveries: Sequence[int], places: Sequence[str]
    ) -> list[Start]: ...
    def note_start(self, task: RunNode, begun: Begun) -> None: ...
    def room(self, execution: str) -> int: ...
    def forget_start(self, task: RunNode) -> None: ...
    def report(self, callbacks: Sequence[Callback], acknowledge: Acknowledge) -> None: ...


class Receipt(Protocol):
    """The queue entries behind the message in hand (see `flowengine.broker.streams.wire`)."""

    @property
    def deliveries(self) -> tuple[int, ...]: ...
    @property
    def places(self) -> tuple[str, ...]: ...
    def acknowledge(self, sink: Sink, *, only: tuple[int, ...] | None = None) -> None: ...
    def confirm(self, *, only: tuple[int, ...] | None = None) -> None: ...


class Invoker(Protocol):
    """Runs a handler on a rendered config. Raises HandlerError."""

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object: ...


class Redactor(Protocol):
    """Secrets: looked up for templates, and kept out of everything that is stored or shown."""

    def lookup(self, name: str) -> str: ...
    def redact(self, text: str) -> str: ...
    def redact_json(self, data: bytes) -> bytes: ...
