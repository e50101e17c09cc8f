"""What the API asks of the store. Calls block: run them in a thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, TypeAlias

from flowengine.access.records import AuditItem, FoundKeys, SignIn
from flowengine.api.definition_ports import Definitions
from flowengine.api.schedule_ports import Schedules
from flowengine.engine.commands.answering.call_back import Carried
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.drawn_graphs import DrawnGraph
from flowengine.engine.ports import Cursor, Seen
from flowengine.execution.delivery.views import DeliveriesView
from flowengine.execution.history.places import LivePlace, Place
from flowengine.execution.history.runs import RunPage
from flowengine.execution.history.views import EventPage, LinePage
from flowengine.execution.limits.views import LimitsView
from flowengine.execution.records import WaitKind
from flowengine.execution.requests.bulk import Bulk, BulkView
from flowengine.execution.requests.idempotency import IdempotentRequest
from flowengine.execution.requests.listing import Wanted
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
from flowengine.execution.views.operations import (
    DeadLettersView,
    DeletedLetterView,
    QueuesView,
    RetriedLetterView,
    StatsView,
    WorkersView,
)
from flowengine.jsonvalue import JsonValue
from flowengine.observability.metrics.gauges import Reading
from flowengine.workflow.plan import Plan
from flowengine.workflow.posting.posted_document import PostedDocument
from flowengine.workflow.problems import Problem
from flowengine.workflow.requests.chosen_version import ORIGINAL, Version

Inputs: TypeAlias = "Mapping[str, JsonValue] | None"
Labels: TypeAlias = "Mapping[str, str] | None"


class Operations(Protocol):
    """The service at work as the API needs it. Every method may raise StoreUnavailableError."""

    def dead_letters(self, limit: int, cursor: str | None) -> DeadLettersView:
        """A page of dead letters, the newest first. Raises BadCursorError."""

    def retry_dead_letter(self, letter: str) -> RetriedLetterView:
        """Do what was given up anew, and remove the letter.

        Raises DeadLetterNotFoundError, ExecutionNotFoundError, WrongStateError, TooManyExecutionsError,
        StoreFullError.
        """

    def delete_dead_letter(self, letter: str) -> DeletedLetterView:
        """Remove a letter. Raises DeadLetterNotFoundError."""

    def queues(self) -> QueuesView:
        """Every queue of the stack."""

    def workers(self) -> WorkersView:
        """The live processes that serve queues."""

    def limits(self, limit: int, cursor: str | None) -> LimitsView:
        """A page of limits: who runs, and who waits. Raises BadCursorError."""

    def stats(self) -> StatsView:
        """How executions have ended in the last day."""

    def gauges(self) -> tuple[Reading, ...]:
        """What metrics tell of Redis. Never raises."""


class Executions(Protocol):
    """Executions as the API needs them.

    Every method but `health` may raise StoreUnavailableError. Those that take an id raise
    ExecutionNotFoundError when there is no such execution.
    """

    @property
    def operations(self) -> Operations:
        """The service that runs them."""

    @property
    def definitions(self) -> Definitions:
        """The applied documents that they may be of."""

    @property
    def schedules(self) -> Schedules:
        """When those start executions by themselves."""

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
        """Store a new pending execution, with the inputs that are known already, and its document, packed.
        `callback_url`: where its results are sent.

        Raises AlreadyAnsweredError and IdempotencyConflictError for an idempotent `request`,
        InputsInvalidError, TooManyExecutionsError, StoreFullError.
        """

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
        """Store a new execution that has begun already.

        Raises AlreadyAnsweredError, IdempotencyConflictError, InputsInvalidError, VarsInvalidError,
        TooManyExecutionsError, ConcurrencyLimitError, StoreFullError.
        """

    def answered_before(self, request: IdempotentRequest) -> None:
        """Raises AlreadyAnsweredError where a request has created an execution, IdempotencyConflictError
        where another one with its key has."""

    def trigger(
        self,
        execution_id: str,
        *,
        correlation_id: str,
        inputs: Inputs = None,
        labels: Labels = None,
        request: IdempotentRequest | None = None,
    ) -> TriggeredView:
        """Start it, or retry what failed. `inputs` and `labels` are the first trigger's.

        Raises AlreadyAnsweredError, IdempotencyConflictError, InputsInvalidError, WrongStateError,
        TooManyExecutionsError, ConcurrencyLimitError, StoreFullError.
        """

    def rerun(self, execution_id: str, asked: RerunAsked) -> RerunView:
        """Run an ended execution again.

        Raises WrongStateError, RerunOvertakenError, RerunInvalidError, RerunNotPossibleError,
        TooManyExecutionsError, ConcurrencyLimitError, StoreFullError.
        """

    def preview_rerun(self, execution_id: str, asked: RerunAsked) -> RerunPreviewView:
        """What that would do. Raises WrongStateError, RerunOvertakenError."""

    def fork(self, execution_id: str, asked: RerunAsked, version: Version = ORIGINAL) -> RerunView:
        """Run an execution again as a new one, by this version of its definition.

        Raises as `rerun`, and DefinitionNotFoundError.
        """

    def preview_fork(
        self, execution_id: str, asked: RerunAsked, version: Version = ORIGINAL
    ) -> RerunPreviewView:
        """What that would do. Raises WrongStateError, RerunOvertakenError, RerunNotPossibleError,
        DefinitionNotFoundError."""

    def pause(self, execution_id: str) -> SteeredView:
        """Let nothing new begin in an execution that runs."""

    def resume(self, execution_id: str) -> SteeredView:
        """Let a paused execution go on."""

    def overrule(self, execution_id: str, node: str, said: Overruling) -> OverruledView:
        """End a node that has not ended, as an operator says.

        Raises NodeNotFoundError, WrongStateError, ResultInvalidError.
        """

    def send_signal(
        self,
        execution_id: str,
        name: str,
        payload: bytes,
        *,
        item: str | None = None,
        iteration: int | None = None,
    ) -> SignalledView:
        """Send it what one of its nodes waits for, or one in its groups, as JSON. `item`, `iteration`: which
        of several is meant.

        Raises SignalNotFoundError, PayloadInvalidError, WrongStateError, SignalsFullError.
        """

    def was_given_out(self, token: str) -> bool:
        """Whether this is the token of a callback URL, of an execution that is kept."""

    def call_back(self, token: str, carried: Carried) -> CalledBackView:
        """Let the node take a callback whose token this is.

        Raises CallbackNotFoundError, CallbackGoneError, PayloadInvalidError.
        """

    def decide(self, execution_id: str, node: str, answer: Answer) -> DecidedView:
        """Let a node that asks for an approval end as a person decides.

        Raises NodeNotFoundError, PayloadInvalidError, AlreadyDecidedError, WrongStateError,
        ResultInvalidError.
        """

    def waiting(self, kinds: Sequence[WaitKind], *, limit: int, cursor: str = "") -> WaitingView:
        """The nodes of all executions that wait for a person. Raises BadCursorError."""

    def cancel(self, execution_id: str, *, reason: str | None = None) -> CancelledView:
        """Stop an execution that has not ended. Raises WrongStateError."""

    def delete(self, execution_id: str, *, force: bool = False) -> DeletedView:
        """Delete one that has ended or was never triggered. `force`: another is cancelled first, and deleted
        once it has ended. Raises WrongStateError."""

    def start_bulk(self, bulk: Bulk) -> BulkView:
        """Begin with one action on many executions, in the background."""

    def bulk(self, bulk_id: str) -> BulkView:
        """How far one is. Raises BulkNotFoundError."""

    def list(self, wanted: Wanted, *, limit: int, cursor: str = "") -> ListView:
        """Those that are wanted, newest first, after the one that the cursor names."""

    def status(
        self,
        execution_id: str,
        patterns: Sequence[str] = (),
        only: Collection[NodeStatus] | None = None,
    ) -> ExecutionView:
        """The state of the execution and of its nodes, all or `only` those in some statuses, as the holder of
        a key for these definitions may see it."""

    def runs(self, execution_id: str, *, limit: int, cursor: str | None = None) -> RunPage:
        """Its runs, the newest first. Raises BadCursorError."""

    def document(self, execution_id: str) -> PostedDocument:
        """The document as it was posted. Raises DocumentNotFoundError."""

    def graph(self, execution_id: str) -> DrawnGraph:
        """The picture of its workflow: where nodes and edges stand."""

    def results(self, execution_id: str) -> ResultsView:
        """The outputs and errors of the nodes that have ended."""

    def deliveries(self, execution_id: str) -> DeliveriesView:
        """How the sending of its results to its `callback_url` went."""

    def node(self, execution_id: str, node: str) -> NodeDetailView:
        """Everything of one node, its config rendered now. Raises NodeNotFoundError."""

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
        """At most so many items of a map, in one of these statuses, or in any, from the index `begin` on.

        Raises NodeNotFoundError, BadCursorError.
        """

    def events(self, execution_id: str, *, after: Place, limit: int) -> EventPage:
        """At most so many of its events, those that follow a place."""

    def lines(
        self, execution_id: str, *, node: str | None, attempt: int | None, after: Place, limit: int
    ) -> LinePage:
        """At most so many lines after a place: of all its nodes, of one, or of one of its attempts.

        Raises NodeNotFoundError.
        """

    def look(self, cursors: Sequence[Cursor]) -> Sequence[Seen]:
        """What has happened behind each place, in executions that are watched. Raises nothing but
        StoreUnavailableError: `Seen` tells whether one is there."""

    def events_are_cut(self, execution_id: str, after: LivePlace) -> bool:
        """Whether events behind a place have been dropped before anybody could read them from there."""

    def definition_of(self, execution_id: str) -> tuple[bool, str | None]:
        """Whether there is such an execution, and the name of the definition that it is of, if it is of one.
        Raises nothing but StoreUnavailableError."""

    def health(self) -> HealthView:
        """Whether Redis answers and accepts writes. Never raises."""


class Access(Protocol):
    """Who may use the API, as far as Redis has it. Every method may raise StoreUnavailableError."""

    def keys(self, used: Mapping[str, int]) -> FoundKeys:
        """The keys. `used`: when keys were used, to be noted by id, in milliseconds."""

    def revoke(self, key_id: str) -> bool:
        """Keep a key no more; False if there is none of this id."""

    def start_session(self, token: str, sign_in: SignIn) -> None:
        """Keep a session until it ends. `token`: the digest of its token."""

    def session(self, token: str) -> SignIn | None:
        """The session with this digest of its token, if there is one."""

    def end_session(self, token: str) -> None:
        """Keep a session no more."""

    def audit(self, limit: int, before: str | None) -> list[AuditItem]:
        """The newest entries of the audit, or the newest before this place."""
