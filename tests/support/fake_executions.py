"""An in-memory store for tests of the API: the contract of `Executions`, without Redis and without rules.

An execution that was triggered stays `running` until a test says how it ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from flowengine.engine.commands.answering.call_back import Carried
from flowengine.engine.commands.answering.decide import AlreadyDecidedError
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.definitions.definitions import Start
from flowengine.engine.drawn_graphs import DrawnGraph, DrawnGraphs
from flowengine.engine.ports import Cursor, Seen
from flowengine.errors import (
    BadCursorError,
    BulkNotFoundError,
    CallbackGoneError,
    CallbackNotFoundError,
    DocumentNotFoundError,
    ExecutionNotFoundError,
    NodeNotFoundError,
    RerunOvertakenError,
    SignalNotFoundError,
    WrongStateError,
)
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.delivery.views import DeliveriesView, deliveries_view
from flowengine.execution.history.live import Message
from flowengine.execution.history.places import LIVE_START, LivePlace, Place, parse_live_place, parse_place
from flowengine.execution.history.places import NOW as FROM_NOW_ON
from flowengine.execution.history.runs import RunPage, Why, view_of_last
from flowengine.execution.history.views import EventPage, EventView, LinePage, LineView
from flowengine.execution.records import Decided, NodeError, WaitKind
from flowengine.execution.requests.bulk import Bulk, BulkView, Progress, bulk_view
from flowengine.execution.requests.idempotency import (
    AlreadyAnsweredError,
    IdempotencyConflictError,
    IdempotentRequest,
)
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.steering.overruling import STATUS_OF, Overruling
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.execution.status import ExecutionStatus, NodeStatus
from flowengine.execution.views.executions import (
    NULL,
    AnewView,
    AttemptView,
    CalledBackView,
    CancelledView,
    CountsView,
    CreatedView,
    DecidedView,
    DeletedView,
    ExecutionView,
    ForkPreviewView,
    HealthView,
    ItemsAgainView,
    ListView,
    NodeDetailView,
    NodeView,
    OverruledView,
    RerunPreviewView,
    RerunView,
    ResultsView,
    SignalledView,
    StartedView,
    SteeredView,
    TriggeredView,
    WaitingView,
    decision_view,
)
from flowengine.execution.views.maps import ItemPage, ItemStatus, ItemView, without_result
from flowengine.execution.views.node_kinds import kind_of
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.inputs.beginning import begin
from flowengine.workflow.inputs.values import Occasion, check_given
from flowengine.workflow.plan import Plan, PlanNode
from flowengine.workflow.posting.posted_document import PostedDocument, unpack
from flowengine.workflow.problems import Problem
from flowengine.workflow.requests.chosen_version import ORIGINAL, Version
from tests.support.fake_definitions import FakeDefinitions, FakeDefinitionStore
from tests.support.fake_operations import FakeOperations
from tests.support.fake_schedules import FakeSchedules

Inputs = Mapping[str, JsonValue] | None
Labels = Mapping[str, str] | None
NOW = "2026-01-02T03:04:05.000Z"


class _Stored:
    def __init__(
        self, plan: Plan, correlation_id: str, inputs: dict[str, JsonValue], labels: dict[str, str]
    ) -> None:
        self.labels = labels
        self.document: bytes | None = None
        self.callback_url: str | None = None
        self.deliveries: list[Delivery] = []
        self.inputs = inputs
        self.plan = plan
        self.correlation_id = correlation_id
        self.status: ExecutionStatus = "pending"
        self.run = 0
        self.reason: str | None = None
        self.results: dict[str, msgspec.Raw] = {}
        self.errors: dict[str, NodeError] = {}
        self.attempts: dict[str, tuple[AttemptView, ...]] = {}
        self.events: list[EventView] = []
        self.is_cut = False
        self.lines: list[LineView] = []
        self.overruled: list[tuple[str, Overruling]] = []
        self.signals: list[tuple[str, bytes]] = []
        self.picked: tuple[str | None, int | None] = (None, None)
        self.decisions: dict[str, Decided] = {}
        self.answers: list[tuple[str, Answer]] = []


class FakeExecutions:
    """Set `broken` to make every call raise it, `before` to run something (a wait, say) in every call.

    `asked`: what a list was last asked for; it shows nothing. `reruns`: what reruns and previews were
    asked for; `forks`: those that make new executions.
    """

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.before: Callable[[], object] = lambda: None
        self.stored: dict[str, _Stored] = {}
        self._drawn = DrawnGraphs()
        self.bulks: dict[str, Bulk] = {}
        self.asked: tuple[Wanted, int, str] | None = None
        self.answers: dict[str, tuple[str, CreatedView | StartedView | TriggeredView]] = {}
        self.reruns: list[RerunAsked] = []
        self.forks: list[tuple[RerunAsked, Version]] = []
        self.asked_waiting: list[tuple[tuple[str, ...], int, str]] = []
        self.map_items: list[ItemView] = []
        self.callbacks: dict[str, Carried | None] = {}
        self.definition_store = FakeDefinitionStore()
        self._lock = threading.Lock()

    @property
    def operations(self) -> FakeOperations:
        return FakeOperations(self._enter)

    @property
    def definitions(self) -> FakeDefinitions:
        return FakeDefinitions(self.definition_store, self._enter, self._start_definition)

    @property
    def schedules(self) -> FakeSchedules:
        return FakeSchedules(self.definition_store, self._enter, self._start_definition)

    def _start_definition(self, plan: Plan, asked: Start, labels: Mapping[str, str]) -> StartedView:
        if asked.request is not None:
            self.answered_before(asked.request)
        return self.start(
            plan,
            correlation_id=asked.correlation_id,
            inputs=asked.inputs,
            labels=labels,
            request=asked.request,
            callback_url=asked.callback_url,
        )

    def create(
        self,
        plan: Plan,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        document: bytes | None = None,
        warnings: tuple[Problem, ...] = (),
        request: IdempotentRequest | None = None,
        callback_url: str | None = None,
    ) -> CreatedView:
        self._enter()
        given = check_given(plan.inputs, inputs or {})
        with self._lock:
            execution_id = f"x{len(self.stored) + 1}"
            self.stored[execution_id] = _Stored(plan, correlation_id, given, dict(labels or {}))
            self.stored[execution_id].document = document
            self.stored[execution_id].callback_url = callback_url
        view = CreatedView(
            execution_id=execution_id,
            name=plan.name,
            status="pending",
            created_at=NOW,
            correlation_id=correlation_id,
            warnings=warnings or msgspec.UNSET,
        )
        self._keep(request, view)
        return view

    def start(
        self,
        plan: Plan,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        document: bytes | None = None,
        warnings: tuple[Problem, ...] = (),
        request: IdempotentRequest | None = None,
        callback_url: str | None = None,
    ) -> StartedView:
        self._enter()
        begin(plan, inputs or {}, Occasion({}, 0))
        made = self.create(
            plan,
            correlation_id=correlation_id,
            inputs=inputs,
            labels=labels,
            document=document,
            callback_url=callback_url,
        )
        self.trigger(made.execution_id, correlation_id=correlation_id)
        view = StartedView(
            execution_id=made.execution_id,
            name=plan.name,
            status="running",
            run=1,
            created_at=NOW,
            correlation_id=correlation_id,
            warnings=warnings or msgspec.UNSET,
        )
        self._keep(request, view)
        return view

    def answered_before(self, request: IdempotentRequest) -> None:
        self._enter()
        if request.key not in self.answers:
            return
        content, view = self.answers[request.key]
        if content != request.content:
            raise IdempotencyConflictError
        raise AlreadyAnsweredError(view)

    def _keep(
        self, request: IdempotentRequest | None, view: CreatedView | StartedView | TriggeredView
    ) -> None:
        if request is not None:
            self.answers[request.key] = request.content, view

    def trigger(
        self,
        execution_id: str,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        request: IdempotentRequest | None = None,
    ) -> TriggeredView:
        self._enter()
        if request is not None:
            self.answered_before(request)
        with self._lock:
            found = self._find(execution_id)
            if found.status in ("running", "completed"):
                raise WrongStateError(f"the execution is {found.status}")
            occasion = Occasion({"id": execution_id}, 0)
            found.inputs = begin(found.plan, {**found.inputs, **(inputs or {})}, occasion).inputs
            found.labels = {**found.labels, **(labels or {})}
            found.status, found.run = "running", found.run + 1
        view = TriggeredView(execution_id=execution_id, status="running", run=found.run)
        self._keep(request, view)
        return view

    def pause(self, execution_id: str) -> SteeredView:
        return self._steer(execution_id, "paused")

    def resume(self, execution_id: str) -> SteeredView:
        return self._steer(execution_id, "running")

    def _steer(self, execution_id: str, status: ExecutionStatus) -> SteeredView:
        self._enter()
        with self._lock:
            found = self._find(execution_id)
            if found.status not in ("running", "paused"):
                raise WrongStateError(f"the execution is {found.status}")
            found.status = status
        return SteeredView(execution_id=execution_id, status=status, run=found.run)

    def rerun(self, execution_id: str, asked: RerunAsked) -> RerunView:
        self._enter()
        with self._lock:
            found = self._ended(execution_id, asked)
            found.status, found.run = "running", found.run + 1
        shown, items = self._rerun(found, asked), self._items(asked)
        return RerunView(
            execution_id=execution_id,
            status="running",
            run=found.run,
            rerun_of=msgspec.UNSET,
            items=items,
            **shown,
        )

    def preview_rerun(self, execution_id: str, asked: RerunAsked) -> RerunPreviewView:
        self._enter()
        found = self._ended(execution_id, asked)
        shown, items = self._rerun(found, asked), self._items(asked)
        return RerunPreviewView(
            execution_id=execution_id,
            run=found.run,
            version=None,
            not_possible=(),
            forks=msgspec.UNSET,
            items=items,
            **shown,
        )

    def fork(self, execution_id: str, asked: RerunAsked, version: Version = ORIGINAL) -> RerunView:
        self._enter()
        found = self._find(execution_id)
        self.forks.append((asked, version))
        with self._lock:
            new = f"x{len(self.stored) + 1}"
            self.stored[new] = _Stored(found.plan, found.correlation_id, found.inputs, dict(found.labels))
        shown, items = self._rerun(found, asked), self._items(asked)
        return RerunView(
            execution_id=new, status="pending", run=2, rerun_of=execution_id, items=items, **shown
        )

    def preview_fork(
        self, execution_id: str, asked: RerunAsked, version: Version = ORIGINAL
    ) -> RerunPreviewView:
        self._enter()
        found = self._find(execution_id)
        self.forks.append((asked, version))
        shown, items = self._rerun(found, asked), self._items(asked)
        anew = AnewView(node="a", code="definition", message="'a' is another in this version")
        return RerunPreviewView(
            execution_id=execution_id,
            run=found.run,
            version=None,
            not_possible=(),
            forks=ForkPreviewView(version=None, anew=(anew,)),
            items=items,
            **shown,
        )

    def _ended(self, execution_id: str, asked: RerunAsked) -> _Stored:
        found = self._find(execution_id)
        self.reruns.append(asked)
        if found.status not in ("failed", "completed", "cancelled"):
            raise WrongStateError(f"the execution is {found.status}")
        if asked.run not in (None, found.run):
            raise RerunOvertakenError(f"the execution is in run {found.run}")
        return found

    @staticmethod
    def _items(asked: RerunAsked) -> dict[str, ItemsAgainView] | msgspec.UnsetType:
        named = asked.wanted.items
        return {
            node: ItemsAgainView(reset=len(keys), reused=1, failed=0, cancelled=0)
            for node, keys in named.items()
        } or msgspec.UNSET

    @staticmethod
    def _rerun(found: _Stored, asked: RerunAsked) -> dict[str, tuple[str, ...]]:
        return {
            "reset": tuple(node.id for node in found.plan.nodes if node.id not in asked.wanted.skip),
            "reused": (),
            "skipped": asked.wanted.skip,
        }

    def overrule(self, execution_id: str, node: str, said: Overruling) -> OverruledView:
        self._enter()
        found = self._find(execution_id)
        if node not in found.plan.index:
            raise NodeNotFoundError(f"the execution has no node '{node}'")
        if found.status not in ("running", "paused"):
            raise WrongStateError(f"the execution is {found.status}")
        found.overruled.append((node, said))
        status = STATUS_OF[type(said.word)]
        return OverruledView(execution_id=execution_id, node=node, status=status, run=found.run, attempt=0)

    def was_given_out(self, token: str) -> bool:
        """Whether it is one of those that wait here, or have waited."""
        return token in self.callbacks

    def call_back(self, token: str, carried: Carried) -> CalledBackView:
        """Takes it, if the token is one of those that wait here; a second one comes too late."""
        if token not in self.callbacks:
            raise CallbackNotFoundError("nobody waits at this URL, or what waited has expired")
        if self.callbacks[token] is not None:
            raise CallbackGoneError("what waited at this URL waits no more: a callback ended it")
        self.callbacks[token] = carried
        return CalledBackView(accepted=True)

    def send_signal(
        self,
        execution_id: str,
        name: str,
        payload: bytes,
        *,
        item: str | None = None,
        iteration: int | None = None,
    ) -> SignalledView:
        self._enter()
        found = self._find(execution_id)
        if name not in found.plan.signal_names:
            raise SignalNotFoundError(f"no node waits for '{name}'")
        found.signals.append((name, payload))
        found.picked = (item, iteration)
        return SignalledView(execution_id=execution_id, signal=name, run=found.run)

    def decide(self, execution_id: str, node: str, answer: Answer) -> DecidedView:
        self._enter()
        found = self._find(execution_id)
        first = found.decisions.get(node)
        if first is not None:
            raise AlreadyDecidedError(node, first)
        found.decisions[node] = Decided(answer.approved, 1_795_525_433_000, "ada", answer.comment)
        found.answers.append((node, answer))
        return DecidedView(
            execution_id=execution_id,
            node=node,
            status="completed",
            run=found.run,
            attempt=1,
            decision=decision_view(found.decisions[node]),
        )

    def waiting(self, kinds: Sequence[WaitKind], *, limit: int, cursor: str = "") -> WaitingView:
        self._enter()
        self.asked_waiting.append((tuple(kinds), limit, cursor))
        return WaitingView(items=(), next_cursor=None)

    def cancel(self, execution_id: str, *, reason: str | None = None) -> CancelledView:
        self._enter()
        with self._lock:
            found = self._find(execution_id)
            if found.status in ("failed", "completed", "cancelled"):
                raise WrongStateError(f"the execution is {found.status}")
            found.status, found.reason = "cancelling" if found.run else "cancelled", reason
        return CancelledView(execution_id=execution_id, status=found.status, run=found.run)

    def delete(self, execution_id: str, *, force: bool = False) -> DeletedView:
        self._enter()
        with self._lock:
            found = self._find(execution_id)
            deleted = found.status in ("pending", "failed", "completed", "cancelled")
            if not deleted and not force:
                raise WrongStateError(f"the execution is {found.status}")
            if deleted:
                del self.stored[execution_id]
            else:
                found.status = "cancelling"
        return DeletedView(execution_id=execution_id, deleted=deleted)

    def start_bulk(self, bulk: Bulk) -> BulkView:
        self._enter()
        bulk_id = f"y{len(self.bulks) + 1}"
        self.bulks[bulk_id] = msgspec.structs.replace(bulk, created_at=1)
        return bulk_view(bulk_id, self.bulks[bulk_id], Progress(1, ""))

    def bulk(self, bulk_id: str) -> BulkView:
        self._enter()
        if bulk_id not in self.bulks:
            raise BulkNotFoundError.of(bulk_id)
        count = len(self.bulks[bulk_id].ids)
        return bulk_view(bulk_id, self.bulks[bulk_id], Progress(2, "", count, count, {}, 2))

    def list(self, wanted: Wanted, *, limit: int, cursor: str = "") -> ListView:
        self._enter()
        self.asked = (wanted, limit, cursor)
        return ListView(items=(), next_cursor=None)

    def status(
        self,
        execution_id: str,
        patterns: Sequence[str] = (),
        only: Collection[NodeStatus] | None = None,
    ) -> ExecutionView:
        self._enter()
        found = self._find(execution_id)
        nodes = tuple(self._node(found, node) for node in found.plan.nodes)
        return ExecutionView(
            execution_id=execution_id,
            name=found.plan.name,
            status=found.status,
            run=found.run,
            created_at=NOW,
            started_at=None,
            finished_at=None,
            correlation_id=found.correlation_id,
            labels=found.labels,
            counts=CountsView(
                total=len(nodes),
                pending=sum(node.status == "pending" for node in nodes),
                queued=0,
                running=0,
                waiting=0,
                completed=len(found.results),
                failed=len(found.errors),
                skipped=0,
                cancelled=0,
            ),
            nodes=tuple(node for node in nodes if only is None or node.status in only),
        )

    def runs(self, execution_id: str, *, limit: int, cursor: str | None = None) -> RunPage:
        shown = self.status(execution_id)
        if cursor is not None and not cursor.isdigit():
            raise BadCursorError(f"{cursor!r} is no cursor")
        items = (view_of_last(shown, Why()),) if shown.run else ()
        return RunPage(items=items[:limit], next_cursor=None)

    def document(self, execution_id: str) -> PostedDocument:
        self._enter()
        found = self._find(execution_id).document
        if found is None:
            raise DocumentNotFoundError("no document is kept")
        return unpack(found)

    def graph(self, execution_id: str) -> DrawnGraph:
        self._enter()
        return self._drawn.of(self._find(execution_id).plan)

    def results(self, execution_id: str) -> ResultsView:
        self._enter()
        found = self._find(execution_id)
        return ResultsView(
            execution_id=execution_id, status=found.status, results=found.results, errors=found.errors
        )

    def deliveries(self, execution_id: str) -> DeliveriesView:
        self._enter()
        found = self._find(execution_id)
        return deliveries_view(execution_id, found.callback_url or "", found.deliveries)

    def node(self, execution_id: str, node: str) -> NodeDetailView:
        self._enter()
        found = self._find(execution_id)
        if node not in found.plan.index:
            raise NodeNotFoundError(f"the execution has no node '{node}'")
        at = found.plan.nodes[found.plan.index[node]]
        return NodeDetailView(
            **msgspec.structs.asdict(self._node(found, at)),
            result=found.results.get(node, NULL),
            attempts=found.attempts.get(node, ()),
            config=at.work.config,
        )

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
        self._enter()
        if node not in self._find(execution_id).plan.index:
            raise NodeNotFoundError(f"the execution has no node '{node}'")
        if cursor == "bad":
            raise BadCursorError("the cursor is none that a page of items has given")
        found = [item for item in self.map_items[begin:] if not statuses or item.status in statuses]
        shown = found if with_results else [without_result(item) for item in found]
        return ItemPage(items=tuple(shown[:limit]), next_cursor=None)

    def events(self, execution_id: str, *, after: Place, limit: int) -> EventPage:
        self._enter()
        listed = self._find(execution_id).events
        left = [event for event in listed if (parse_place(event.id) or after) > after]
        items = tuple(left[:limit])
        return EventPage(items=items, next_cursor=items[-1].id if len(left) > limit else None)

    def lines(
        self, execution_id: str, *, node: str | None, attempt: int | None, after: Place, limit: int
    ) -> LinePage:
        self._enter()
        plan = self._find(execution_id).plan
        if node is not None and node not in plan.index:
            raise NodeNotFoundError(f"the execution has no node '{node}'")
        listed = [line for line in self._find(execution_id).lines if node in (None, line.node)]
        left = [line for line in listed if attempt in (None, line.attempt)]
        left = [line for line in left if (parse_place(line.id) or after) > after]
        items = tuple(left[:limit])
        return LinePage(items=items, next_cursor=items[-1].id if len(left) > limit else None)

    def look(self, cursors: Sequence[Cursor]) -> Sequence[Seen]:
        self._enter()
        return [self._seen(cursor) for cursor in cursors]

    def events_are_cut(self, execution_id: str, after: LivePlace) -> bool:
        return self._find(execution_id).is_cut

    def _seen(self, cursor: Cursor) -> Seen:
        found = self.stored.get(cursor.execution)
        if found is None:
            return Seen((), cursor.after, more=False, ended=bool(cursor.execution), is_there=False)
        places = [(parse_live_place(event.id), event) for event in found.events]
        if cursor.after == FROM_NOW_ON:
            after = max([LIVE_START, *(place for place, _ in places if place is not None)])
            cursor = msgspec.structs.replace(cursor, after=after)
        told = [
            Message(place, "event", msgspec.json.encode(event))
            for place, event in places
            if place is not None and place > cursor.after
        ]
        return Seen(
            told,
            max([cursor.after, *(message.place for message in told)]),
            more=False,
            ended=found.status in ("completed", "failed", "cancelled"),
            is_there=True,
        )

    def definition_of(self, execution_id: str) -> tuple[bool, str | None]:
        self._enter()
        return execution_id in self.stored, None

    def health(self) -> HealthView:
        self.before()
        if self.broken is not None:
            return HealthView(status="down", checks={"redis": str(self.broken)})
        return HealthView(status="ok", checks={"redis": "ok"})

    def finish(self, execution_id: str, results: dict[str, msgspec.Raw]) -> None:
        """The execution completed with these outputs."""
        found = self._find(execution_id)
        found.status, found.results = "completed", results

    def _enter(self) -> None:
        self.before()
        if self.broken is not None:
            raise self.broken

    def _find(self, execution_id: str) -> _Stored:
        try:
            return self.stored[execution_id]
        except KeyError:
            raise ExecutionNotFoundError(f"no execution has the id {execution_id!r}") from None

    @staticmethod
    def _node(found: _Stored, node: PlanNode) -> NodeView:
        done = node.id in found.results
        return NodeView(
            id=node.id,
            kind=kind_of(found.plan.policy(found.plan.index[node.id])),
            handler=node.work.handler,
            status="completed" if done else "failed" if node.id in found.errors else "pending",
            attempt=int(done),
            dependencies=tuple(found.plan.nodes[parent].id for parent in node.parents),
            queued_at=None,
            started_at=None,
            finished_at=NOW if done else None,
            error=found.errors.get(node.id),
        )
