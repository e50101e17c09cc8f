"""Executions as the API and the tool see them: each call is one command or one query."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from msgspec.structs import replace

from flowengine.engine import history, map_items, queries, waiting_nodes
from flowengine.engine.commands.answering.addressing import Pick
from flowengine.engine.commands.answering.call_back import Carried, call_back, was_given_out
from flowengine.engine.commands.answering.decide import decide
from flowengine.engine.commands.answering.send_signal import send_signal
from flowengine.engine.commands.bulk import BulkCommands, show_bulk, start_bulk
from flowengine.engine.commands.cancel import cancel
from flowengine.engine.commands.create import New, answered_before, create, create_and_start
from flowengine.engine.commands.delete import delete
from flowengine.engine.commands.overrule import overrule_node
from flowengine.engine.commands.pause import pause, resume
from flowengine.engine.commands.rerun import RerunAsked, preview, rerun
from flowengine.engine.commands.trigger import Brought, trigger
from flowengine.engine.definitions.definitions import StoredDefinitions
from flowengine.engine.drawn_graphs import DrawnGraph, DrawnGraphs
from flowengine.engine.forking.fork import fork, preview_fork
from flowengine.engine.limits.turn import take_turn
from flowengine.engine.listing import ListingStore, page
from flowengine.engine.node_store import NodeStore
from flowengine.engine.operations import StoredOperations
from flowengine.engine.ports import CommandStore, Cursor, HistoryStore, Seen, WatchingStore
from flowengine.engine.run_history import runs
from flowengine.engine.schedules.schedules import StoredSchedules
from flowengine.errors import BulkNotFoundError, ExecutionNotFoundError
from flowengine.execution.delivery.views import DeliveriesView
from flowengine.execution.history.places import LivePlace, Place
from flowengine.execution.history.runs import RunPage
from flowengine.execution.history.views import EventPage, LinePage
from flowengine.execution.records import WaitKind
from flowengine.execution.requests.bulk import Bulk, BulkView
from flowengine.execution.requests.idempotency import IdempotentRequest
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.steering.overruling import Overruling
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.execution.status import NodeStatus
from flowengine.execution.views.executions import (
    CalledBackView,
    CancelledView,
    CreatedView,
    DecidedView,
    DeletedView,
    ExecutionView,
    HealthView,
    ListView,
    NodeDetailView,
    OverruledView,
    RerunPreviewView,
    RerunView,
    ResultsView,
    SignalledView,
    StartedView,
    SteeredView,
    TriggeredView,
    WaitingView,
)
from flowengine.execution.views.maps import ItemPage, ItemStatus
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.posted_document import PostedDocument
from flowengine.workflow.problems import Problem
from flowengine.workflow.requests.chosen_version import ORIGINAL, Version

Inputs: TypeAlias = "Mapping[str, JsonValue] | None"
"""What a caller gives an execution, by name."""

Labels: TypeAlias = "Mapping[str, str] | None"
"""The names and values by which it is found."""

Warnings: TypeAlias = "tuple[Problem, ...]"
"""What may go wrong with a workflow."""

_LIMITS: Final = Limits()

_ID: Final = re.compile(r"[0-9a-f]{8,64}\Z")


class ApiStore(CommandStore, NodeStore, HistoryStore, WatchingStore, Protocol):
    """State as the API needs it."""

    @property
    def listing(self) -> ListingStore: ...
    @property
    def waits(self) -> waiting_nodes.WaitingStore: ...


class StoredExecutions:
    """Implements `flowengine.api.ports.Executions`. `health` is passed in: it looks at queues too.

    `operations`: the service at work; only the API needs it. `limits`: what the config of a node may read and
    make when it is shown. `definitions`: the applied ones, and `schedules`, when these start some by
    themselves; only the API needs them.
    """

    def __init__(
        self,
        store: ApiStore,
        health: Callable[[], HealthView],
        operations: StoredOperations | None = None,
        bulks: BulkCommands | None = None,
        limits: Limits = _LIMITS,
        definitions: StoredDefinitions | None = None,
        schedules: StoredSchedules | None = None,
    ) -> None:
        self._store = store
        self._health = health
        self._operations = operations
        self._drawn = DrawnGraphs()
        self._bulks = bulks
        self._limits = limits
        self._definitions = definitions
        self._schedules = schedules

    @property
    def operations(self) -> StoredOperations:
        """The service at work. Raises TypeError where it was made without."""
        if self._operations is None:
            raise TypeError("these executions were made without the service that runs them")
        return self._operations

    @property
    def bulks(self) -> BulkCommands:
        """Actions on many. Raises TypeError where it was made without."""
        if self._bulks is None:
            raise TypeError("these executions were made without actions on many of them")
        return self._bulks

    @property
    def definitions(self) -> StoredDefinitions:
        """The applied ones. Raises TypeError where it was made without."""
        if self._definitions is None:
            raise TypeError("these executions were made without definitions")
        return self._definitions

    @property
    def schedules(self) -> StoredSchedules:
        """When definitions start some by themselves. Raises TypeError where it was made without."""
        if self._schedules is None:
            raise TypeError("these executions were made without schedules")
        return self._schedules

    def create(
        self,
        plan: Plan,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        document: bytes | None = None,
        warnings: Warnings = (),
        request: IdempotentRequest | None = None,
        callback_url: str | None = None,
    ) -> CreatedView:
        """Store a new pending execution, which expires by itself if it is never triggered."""
        new = _new(plan, correlation_id, inputs, labels, document, callback_url)
        return create(self._store, replace(new, warnings=warnings, request=request))

    def start(
        self,
        plan: Plan,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        document: bytes | None = None,
        warnings: Warnings = (),
        request: IdempotentRequest | None = None,
        callback_url: str | None = None,
    ) -> StartedView:
        """Store a new execution that has begun already."""
        new = _new(plan, correlation_id, inputs, labels, document, callback_url)
        return create_and_start(self._store, replace(new, warnings=warnings, request=request))

    def answered_before(self, request: IdempotentRequest) -> None:
        """Raises AlreadyAnsweredError where a request has created an execution, IdempotencyConflictError
        where another one with its key has."""
        answered_before(self._store, request)

    def trigger(
        self,
        execution_id: str,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        request: IdempotentRequest | None = None,
    ) -> TriggeredView:
        """Start a pending execution, or run again what failed or was cancelled in one that has ended so."""
        return trigger(self._store, _checked(execution_id), Brought(inputs or {}, labels or {}, request))

    def rerun(self, execution_id: str, asked: RerunAsked) -> RerunView:
        """Run an ended execution again, from where the caller wants it."""
        view = rerun(self._store, _checked(execution_id), asked)
        return (
            view if view.status == "running" else replace(view, status=take_turn(self._store, execution_id))
        )

    def preview_rerun(self, execution_id: str, asked: RerunAsked) -> RerunPreviewView:
        """What that would do."""
        return preview(self._store, _checked(execution_id), asked)

    def fork(self, execution_id: str, asked: RerunAsked, version: Version = ORIGINAL) -> RerunView:
        """Run an execution again as a new one, by this version of its definition."""
        return fork(self._store, self.definitions, _checked(execution_id), asked, version)

    def preview_fork(
        self, execution_id: str, asked: RerunAsked, version: Version = ORIGINAL
    ) -> RerunPreviewView:
        """What that would do."""
        return preview_fork(self._store, self.definitions, _checked(execution_id), asked, version)

    def pause(self, execution_id: str) -> SteeredView:
        """Let nothing new begin in an execution that runs."""
        return pause(self._store, _checked(execution_id))

    def resume(self, execution_id: str) -> SteeredView:
        """Let a paused execution go on."""
        return resume(self._store, _checked(execution_id))

    def delete(self, execution_id: str, *, force: bool = False) -> DeletedView:
        """Delete an execution that has ended or was never triggered. `force`: another is cancelled first."""
        return delete(self._store, _checked(execution_id), force=force)

    def overrule(self, execution_id: str, node: str, said: Overruling) -> OverruledView:
        """End a node that has not ended, as an operator says."""
        return overrule_node(self._store, _checked(execution_id), node, said)

    def send_signal(
        self,
        execution_id: str,
        name: str,
        payload: bytes,
        *,
        item: str | None = None,
        iteration: int | None = None,
    ) -> SignalledView:
        """Send it what one of its nodes waits for, or one in its groups."""
        return send_signal(self._store, _checked(execution_id), name, payload, Pick(item, iteration))

    def was_given_out(self, token: str) -> bool:
        """Whether this is the token of a callback URL, of an execution that is kept."""
        return was_given_out(self._store, token)

    def call_back(self, token: str, carried: Carried) -> CalledBackView:
        """Let the node take a callback whose token this is."""
        return call_back(self._store, token, carried)

    def decide(self, execution_id: str, node: str, answer: Answer) -> DecidedView:
        """Let a node that asks for an approval end as a person decides."""
        return decide(self._store, _checked(execution_id), node, answer)

    def waiting(self, kinds: Sequence[WaitKind], *, limit: int, cursor: str = "") -> WaitingView:
        """The nodes of all executions that wait for a person."""
        return waiting_nodes.page(self._store.waits, kinds, limit, cursor)

    def cancel(self, execution_id: str, *, reason: str | None = None) -> CancelledView:
        """Stop an execution that has not ended."""
        return cancel(self._store, _checked(execution_id), reason=reason)

    def start_bulk(self, bulk: Bulk) -> BulkView:
        """Begin with one action on many executions."""
        return start_bulk(self.bulks, bulk)

    def bulk(self, bulk_id: str) -> BulkView:
        """How far one is."""
        if not _ID.match(bulk_id):
            raise BulkNotFoundError.of(bulk_id)
        return show_bulk(self.bulks, bulk_id)

    def list(self, wanted: Wanted, *, limit: int, cursor: str = "") -> ListView:
        """Those that are wanted, newest first."""
        return page(self._store.listing, wanted, limit, cursor)

    def status(
        self,
        execution_id: str,
        patterns: Sequence[str] = (),
        only: Collection[NodeStatus] | None = None,
    ) -> ExecutionView:
        """The state of the execution and of its nodes, all or `only` those in some statuses, as the holder of
        a key for these definitions may see it."""
        return queries.status(self._store, _checked(execution_id), patterns, only)

    def runs(self, execution_id: str, *, limit: int, cursor: str | None = None) -> RunPage:
        """Its runs, the newest first."""
        return runs(self._store, _checked(execution_id), limit=limit, cursor=cursor)

    def document(self, execution_id: str) -> PostedDocument:
        """The document as it was posted."""
        return queries.document(self._store, _checked(execution_id))

    def graph(self, execution_id: str) -> DrawnGraph:
        """The picture of its workflow."""
        return queries.graph(self._store, _checked(execution_id), self._drawn)

    def results(self, execution_id: str) -> ResultsView:
        """Outputs of the completed nodes, errors of the failed."""
        return queries.results(self._store, _checked(execution_id))

    def deliveries(self, execution_id: str) -> DeliveriesView:
        """How the sending of its results to its `callback_url` went."""
        return queries.deliveries(self._store, _checked(execution_id))

    def node(self, execution_id: str, node: str) -> NodeDetailView:
        """Everything of one node. Raises NodeNotFoundError."""
        # Imported where somebody asks: it renders, and an orchestrator, which loads this too, never does.
        from flowengine.engine import node_detail

        return node_detail.show(self._store, _checked(execution_id), node, self._limits)

    def items(
        self,
        execution_id: str,
        node: str,
        *,
        statuses: Collection[ItemStatus],
        begin: int,
        with_results: bool,
        limit: int,
        cursor: str | None,
    ) -> ItemPage:
        """A page of the items of a map. Raises NodeNotFoundError, BadCursorError."""
        return map_items.items(
            self._store,
            _checked(execution_id),
            node,
            statuses=statuses,
            begin=begin,
            with_results=with_results,
            limit=limit,
            cursor=cursor,
        )

    def events(self, execution_id: str, *, after: Place, limit: int) -> EventPage:
        """What has happened in it, after a place."""
        return history.events(self._store, _checked(execution_id), after=after, limit=limit)

    def lines(
        self, execution_id: str, *, node: str | None, attempt: int | None, after: Place, limit: int
    ) -> LinePage:
        """At most so many lines after a place: of all its nodes, of one, or of one of its attempts.

        Raises NodeNotFoundError.
        """
        return history.lines(
            self._store, _checked(execution_id), node=node, attempt=attempt, after=after, limit=limit
        )

    def look(self, cursors: Sequence[Cursor]) -> Sequence[Seen]:
        """What has happened behind each place."""
        return self._store.look(cursors)

    def events_are_cut(self, execution_id: str, after: LivePlace) -> bool:
        """Whether events behind a place have been dropped."""
        return history.is_cut_behind(self._store, _checked(execution_id), after)

    def definition_of(self, execution_id: str) -> tuple[bool, str | None]:
        """Whether there is such an execution, and the name of the definition that it is of, if it is of
        one: a group's child is of that of its document."""
        record = self._store.read_execution(execution_id) if _ID.match(execution_id) else None
        if record is None:
            return False, None
        if record.version is not None or not is_child(execution_id):
            return True, None if record.version is None else record.name
        plan = self._store.plan(execution_id)
        lineage = None if plan is None else plan.lineage
        if lineage is None or lineage.is_called:
            return True, None
        return self.definition_of(lineage.chain[0])

    def health(self) -> HealthView:
        """Whether Redis answers and accepts writes, and how the queues are."""
        return self._health()


def _new(
    plan: Plan,
    correlation_id: str,
    inputs: Inputs,
    labels: Labels,
    document: bytes | None,
    callback_url: str | None,
) -> New:
    return New(
        plan=plan,
        correlation_id=correlation_id,
        inputs=inputs or {},
        labels=labels or {},
        document=document,
        callback_url=callback_url,
    )


def _checked(execution_id: str) -> str:
    """The id, if it can be one. Raises ExecutionNotFoundError."""
    if not _ID.match(execution_id):
        raise ExecutionNotFoundError.of(execution_id)
    return execution_id
