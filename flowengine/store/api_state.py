"""State in Redis as the API needs it: commands that create and trigger, queries that look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from msgspec.structs import replace

from flowengine.access.acting import Note
from flowengine.engine.held import Sink
from flowengine.engine.node_store import Readable, StoredNode
from flowengine.engine.ports import (
    Acknowledge,
    Committed,
    Cursor,
    NodeKey,
    NodeState,
    Reading,
    Seen,
    StoredEntry,
    StoredRuns,
)
from flowengine.errors import StoredFormatError
from flowengine.execution.changes import Change
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.history.places import Place
from flowengine.execution.records import Control, Counts, ExecutionRecord, NodeRecord
from flowengine.execution.requests.idempotency import IdempotentRequest, KeptCreation, KeptTrigger
from flowengine.execution.rules.maps.choosing import KnownItems
from flowengine.execution.signals import KeptSignals
from flowengine.execution.views.maps import StoredItemState
from flowengine.store import keys
from flowengine.store.access.audit_log import add_note, was_written
from flowengine.store.admission import Admission, Asked
from flowengine.store.codec import (
    decode_record,
    parse_execution,
    parse_kept_creation,
    parse_kept_trigger,
)
from flowengine.store.committing.transaction import RedisUnit
from flowengine.store.connection.sessions import Commands, Session
from flowengine.store.delivering.delivery_state import read_deliveries
from flowengine.store.history.live_reads import LiveReads
from flowengine.store.history.node_reads import begun_at, read_node, read_readable
from flowengine.store.history.stream_pages import RedisHistory
from flowengine.store.lists.listing import RedisListing
from flowengine.store.lists.listing_entries import RERUN, having
from flowengine.store.lists.waiting_timers import RedisWaiting
from flowengine.store.maintenance.format_check import FormatCheck
from flowengine.store.map_reads import item_states, map_numbers
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan, UnknownFormatError


class Check(Protocol):
    """What has to pass, once, before anything is read or written."""

    def ensure(self) -> None:
        """Raises UnfitServerError, StoreUnavailableError."""


class RedisApiState:
    """Implements `flowengine.engine.ports.CommandStore`, `QueryStore` and `HistoryStore`, and
    `flowengine.engine.node_store.NodeStore`.

    `check`: by default of what is stored, not of the server.
    """

    def __init__(
        self, state: RedisState, admission: Admission | None = None, check: Check | None = None
    ) -> None:
        self._state = state
        self._admission = admission or Admission(state)
        self._check = check or FormatCheck(state)
        self._history = RedisHistory(state)
        self._listing = RedisListing(state)
        self._waits = RedisWaiting(state)
        self._live = LiveReads(state)

    def ensure_fit(self) -> None:
        """Refuse to work on a server that is not fit for it, or on state of another version.

        Raises UnfitServerError, StoreUnavailableError.
        """
        self._check.ensure()

    # -- commands

    @property
    def partition(self) -> str:
        """Where executions are created."""
        return self._state.keys.partition

    @property
    def owner(self) -> str:
        """The id of the execution whose own queues are used, the only one created here; else empty."""
        return self._state.keys.owner

    def line_length(self, line: str) -> int:
        """How many stand in a line."""
        return self._state.lines.length(line)

    def place_in_line(self, line: str, member: str) -> tuple[int | None, int]:
        """The place of a member, 1 is the first, None: it does not stand there; and how many may run."""
        return self._state.lines.place(line, member)

    def places_in_lines(self, standing: Sequence[tuple[str, str]]) -> list[int | None]:
        """The places of members, each given as its line and itself, in one round trip; None: it does not
        stand there, or too many stand before it."""
        return self._state.lines.places(standing)

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        return self._state.now()

    def plan(self, execution: str) -> Plan | None:
        """The compiled plan. Raises StoredFormatError: it is of a version that this process does not know."""
        try:
            return self._state.plan(execution)
        except UnknownFormatError as error:
            raise StoredFormatError(f"execution '{execution}': {error}") from error

    def keep_plan(self, execution: str, encoded: bytes, plan: Plan) -> None:
        """Keep a plan in memory that was just stored."""
        self._state.plans.put(execution, encoded, plan)

    def read_execution(self, execution: str) -> ExecutionRecord | None:
        """The execution's own record, or None."""
        self.ensure_fit()
        return self._state.read_execution(execution)

    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]:
        """The records of nodes that have one."""
        return self._state.read_nodes(execution, nodes)

    def read_records(self, nodes: Sequence[NodeKey]) -> list[NodeRecord]:
        """The records of nodes of any executions, in one round trip."""
        return self._state.read_records(nodes)

    def read_given(self, execution: str) -> tuple[bytes | None, bytes | None]:
        """Its inputs and its vars, as JSON."""
        return self._state.read_given(execution)

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""
        return self._state.outputs_before(execution)

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> dict[str, int]:
        """How many bytes of the results of these maps' items count."""
        return self._state.bytes_of_items(execution, maps)

    def known_items(self, execution: str, node: str, total: int, keys: Sequence[str]) -> KnownItems:
        """What is known of the items of an ended map, of which these are asked for by their keys."""
        return self._state.known_items(execution, node, total, keys)

    def response(self, execution: str, node: str) -> bytes | None:
        """What the handler of a node has given that waits for a callback."""
        return self._state.response(execution, node)

    def seed(self, execution: str) -> bytes | None:
        """That of the tokens of its callbacks, if it has one."""
        self.ensure_fit()
        return self._state.seed(execution)

    def letting_in(self, size: int) -> AbstractContextManager[None]:
        """Around the storing of a new execution of so many bytes. Raises TooManyExecutionsError or
        StoreFullError when it may not come in."""
        self.ensure_fit()
        return self._admission.letting_in(size)

    def begin_creating(self, request: IdempotentRequest) -> CreatingUnit:
        """WATCH and read what is kept of a request, and read the execution that it has created."""
        self.ensure_fit()
        name = self._state.keys.once(request.key)
        time, found = self._state.sessions.retrying_watch([name], [("TIME",), ("GET", name)])
        now, kept = self._state.clock.seen(time), parse_kept_creation(found)
        unit = CreatingUnit(self._state, self._admission, None, None, now, None)
        if kept is not None and (record := self._state.read_execution(kept.execution)) is not None:
            unit.before = kept, record
        return unit

    def begin_admitting(
        self, execution: str, request: IdempotentRequest | None = None, *, inputs: bool = False
    ) -> AdmittingUnit:
        """WATCH and read one execution, what is kept there of this request and, if they are wanted, its
        inputs, and ask whether work may come in: one round trip."""
        self.ensure_fit()
        state = self._state
        asked = self._admission.ask(starting=True)
        control = state.keys.control(execution)
        reads = [state.execution_read(execution), *asked.commands]
        if inputs:
            reads.append(("HGET", state.keys.inputs(execution), keys.VALUES))
        if request is not None:
            reads.append(("HGET", control, keys.once_field(request.key)))
        replies = state.timed_watch([control], reads)
        found = parse_execution(replies[0])
        kept = parse_kept_trigger(replies.pop()) if request is not None else None
        values = replies.pop() if inputs else None
        unit = AdmittingUnit(state, self._admission, found, values, state.now(), (asked, replies[1:]))
        unit.kept = kept
        return unit

    def begin_command(self, execution: str) -> AdmittingUnit:
        """WATCH and read one execution."""
        self.ensure_fit()
        names = self._state.keys
        reads = [("TIME",), self._state.execution_read(execution)]
        time, record = self._state.sessions.retrying_watch([names.control(execution)], reads)
        now = self._state.clock.seen(time)
        return AdmittingUnit(self._state, self._admission, parse_execution(record), None, now, None)

    def begin_deciding(self, reading: Reading) -> AuditedUnit:
        """WATCH and read nodes and the control of an execution."""
        self.ensure_fit()
        return AuditedUnit(self._state.begin(reading), self._state)

    @property
    def max_execution_result_bytes(self) -> int:
        """So many bytes of results may be stored of an execution."""
        return self._state.settings.limits.max_execution_result_bytes

    def write(self, changes: Mapping[str, Sequence[Change]]) -> None:
        """Write changes that depend on nothing read before."""
        commands = self._state.encoder().encode(changes)
        note = add_note(commands, self._state.keys, next(iter(changes)))
        self._state.sessions.here().write(commands)
        was_written(note)

    # -- queries

    @property
    def listing(self) -> RedisListing:
        """What lists are read from. Raises UnfitServerError, StoreUnavailableError."""
        self.ensure_fit()
        return self._listing

    @property
    def waits(self) -> RedisWaiting:
        """The nodes that wait. Raises UnfitServerError, StoreUnavailableError."""
        self.ensure_fit()
        return self._waits

    def node_states(self, execution: str, nodes: Sequence[str]) -> tuple[list[NodeState], bytes | None]:
        """The records of nodes, and when those in flight began; and the execution's inputs."""
        names = self._state.keys
        inputs, started, *states = self._state.sessions.retrying_read(
            [
                ("HGET", names.inputs(execution), keys.VALUES),
                ("HGETALL", names.started(execution)),
                *(("HGET", names.node(execution, node), keys.STATE) for node in nodes),
            ]
        )
        begun = begun_at(started)
        found = []
        for node, state in zip(nodes, states, strict=True):
            record = decode_record(state)
            found.append(NodeState(record, begun.get(keys.start_field(node, record.dispatch))))
        maps = [node for node, each in zip(nodes, found, strict=True) if each.record.map is not None]
        if maps:
            numbers = map_numbers(self._state, execution, maps)
            found = [
                replace(each, map=numbers[node]) if node in numbers else each
                for node, each in zip(nodes, found, strict=True)
            ]
        return found, inputs

    def item_states(
        self, execution: str, node: str, record: NodeRecord, indexes: Sequence[int]
    ) -> list[StoredItemState]:
        """What is stored of these items of a map, which follow one another. Large results are left out."""
        return item_states(self._state, execution, node, record, indexes)

    def stored_items(self, execution: str, node: str, indexes: Sequence[int]) -> list[bytes]:
        """These items of a map."""
        return self._state.stored_items(execution, node, indexes)

    def runs(self, execution: str) -> StoredRuns:
        """What is kept of its runs."""
        return self._history.runs(execution)

    def document(self, execution: str) -> tuple[bytes | None, bool]:
        """The document as it is stored, and whether the execution is there."""
        self.ensure_fit()
        names = self._state.keys
        document, there = self._state.sessions.retrying_read(
            [("GET", names.document(execution)), ("EXISTS", names.control(execution))]
        )
        return document, bool(there)

    def count_children(self, root: str, parent: str) -> int:
        """How many children an execution has."""
        span = having(self._state.keys.children(root), "", "", parent)
        (count,) = self._state.sessions.retrying_read([("ZLEXCOUNT", span.key, span.low, span.high)])
        return int(count)

    def count_reruns(self, execution: str) -> int:
        """How many new executions reruns have made of it."""
        span = having(self._state.keys.list_by, "", "", RERUN, execution)
        (count,) = self._state.sessions.retrying_read([("ZLEXCOUNT", span.key, span.low, span.high)])
        return int(count)

    def deliveries(self, execution: str) -> tuple[str | None, list[Delivery], bool]:
        """The `callback_url`, if there is one, the deliveries, and whether the execution is there."""
        self.ensure_fit()
        return read_deliveries(self._state, execution)

    def node_results(self, execution: str, nodes: Sequence[str]) -> list[tuple[NodeRecord, bytes | None]]:
        """The records and outputs of nodes."""
        return self._state.node_results(execution, nodes)

    def map_results(self, execution: str, node: str, primary: str | None) -> bytes | None:
        """What the items of a completed map gave, and their numbers, as JSON."""
        return self._state.map_results(execution, node, primary)

    def stored_node(self, execution: str, node: str) -> StoredNode:
        """All that is stored of a node."""
        return read_node(self._state, execution, node)

    def readable(self, execution: str, nodes: Sequence[str]) -> Readable:
        """What templates read but for outputs: what the execution is given, and how these nodes stand."""
        return read_readable(self._state, execution, nodes)

    # -- what has happened

    def event_entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        """The next entries of the events, from the one of this place on."""
        return self._history.event_entries(execution, begin)

    def events_are_cut(self, execution: str) -> bool:
        """Whether older events have been dropped."""
        return self._history.events_are_cut(execution)

    def look(self, cursors: Sequence[Cursor]) -> list[Seen]:
        """What has happened behind each place."""
        return self._live.look(cursors)

    def line_entries(self, execution: str, begin: Place) -> list[StoredEntry]:
        """The next entries of the nodes' lines, from the one of this place on."""
        return self._history.line_entries(execution, begin)

    def lines_are_cut(self, execution: str, node: str | None) -> bool:
        """Whether lines of a node, or of any, have been dropped."""
        return self._history.lines_are_cut(execution, node)


class AdmittingUnit:
    """Implements `flowengine.engine.ports.Admitting` and `CommandUnit`."""

    kept: KeptTrigger | None = None

    def __init__(
        self,
        state: RedisState,
        admission: Admission,
        record: ExecutionRecord | None,
        inputs: bytes | None,
        now: int,
        answers: tuple[Asked, Sequence[Any]] | None,
    ) -> None:
        self.record = record
        self.inputs = inputs
        self.now = now
        self._state = state
        self._admission = admission
        self._answers = answers
        self._let_in = 0
        self._session: Session = state.sessions.here()
        self._epoch = self._session.epoch

    def admit(self, size: int = 0) -> None:
        """Raises TooManyExecutionsError or StoreFullError if no execution may start now that stores so many
        bytes more."""
        if self._answers is not None:
            self._admission.let_in(*self._answers, size)
            self._let_in = size

    def commit(
        self, changes: Mapping[str, Sequence[Change]], acknowledge: Acknowledge | None = None
    ) -> Committed | None:
        """Write everything in one transaction; None if the execution has changed meanwhile."""
        encoder = self._state.encoder()
        commands = encoder.encode(changes)
        if acknowledge is not None:
            acknowledge(commands)
        note = add_note(commands, self._state.keys, next(iter(changes)))
        try:
            replies = self._session.transact(commands, self._epoch)
        finally:
            self._admission.has_stored(self._let_in)
        if replies is None:
            return None
        was_written(note)
        return encoder.committed(replies)

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()


class CreatingUnit(AdmittingUnit):
    """Implements `flowengine.engine.ports.Creating`."""

    before: tuple[KeptCreation, ExecutionRecord] | None = None


class AuditedUnit:
    """Implements `flowengine.engine.ports.DecidingUnit`, of one execution. Its commit tells the audit."""

    def __init__(self, unit: RedisUnit, state: RedisState) -> None:
        self._unit = unit
        self._state = state

    @property
    def nodes(self) -> Mapping[NodeKey, NodeRecord]:
        """What was read of nodes."""
        return self._unit.nodes

    @property
    def controls(self) -> Mapping[str, Control]:
        """What was read of executions."""
        return self._unit.controls

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Their numbers."""
        return self._unit.counts

    @property
    def signals(self) -> Mapping[str, KeptSignals]:
        """The signals that are kept."""
        return self._unit.signals

    @property
    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        return self._unit.now

    def extend(self, nodes: Sequence[NodeKey]) -> None:
        """WATCH and read more nodes."""
        self._unit.extend(nodes)

    def commit(self, changes: Mapping[str, Sequence[Change]]) -> Committed | None:
        """Write everything in one transaction; None if something that was read has changed meanwhile."""
        notes: list[Note | None] = []

        def tell(sink: Sink) -> None:
            if isinstance(sink, Commands):
                notes.append(add_note(sink, self._state.keys, next(iter(changes))))

        committed = self._unit.commit(changes, tell)
        if committed is not None:
            for note in notes:
                was_written(note)
        return committed

    def abandon(self) -> None:
        """Write nothing."""
        self._unit.abandon()
