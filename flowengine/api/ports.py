"""What the API asks of the store. Calls block: run them in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from flowengine.access.records import AuditItem, FoundKeys
from flowengine.execution.views import (
    CancelledView,
    CreatedView,
    ExecutionView,
    HealthView,
    ResultsView,
    StartedView,
    TriggeredView,
)
from flowengine.jsonvalue import JsonValue
from flowengine.workflow.plan import Plan

Inputs: TypeAlias = "Mapping[str, JsonValue] | None"
Labels: TypeAlias = "Mapping[str, str] | None"


class Executions(Protocol):
    """Executions as the API needs them.

    Every method but `health` may raise StoreUnavailableError. Those that take an id raise
    ExecutionNotFoundError when there is no such execution.
    """

    def create(
        self, plan: Plan, *, correlation_id: str, inputs: Inputs = None, labels: Labels = None
    ) -> CreatedView:
        """Store a new pending execution, with the inputs that are known already.

        Raises InputsInvalidError, TooManyExecutionsError, StoreFullError.
        """

    def start(
        self, plan: Plan, *, correlation_id: str, inputs: Inputs = None, labels: Labels = None
    ) -> StartedView:
        """Store a new execution that has begun already.

        Raises InputsInvalidError, VarsInvalidError, TooManyExecutionsError, StoreFullError.
        """

    def trigger(
        self, execution_id: str, *, correlation_id: str, inputs: Inputs = None, labels: Labels = None
    ) -> TriggeredView:
        """Start it, or retry what failed. `inputs` and `labels` are the first trigger's.

        Raises InputsInvalidError, WrongStateError, TooManyExecutionsError, StoreFullError.
        """

    def cancel(self, execution_id: str, *, reason: str | None = None) -> CancelledView:
        """Stop an execution that has not ended. Raises WrongStateError."""

    def status(self, execution_id: str) -> ExecutionView:
        """The state of the execution and of all its nodes."""

    def results(self, execution_id: str) -> ResultsView:
        """The outputs and errors of the nodes that have ended."""

    def health(self) -> HealthView:
        """Whether Redis answers and accepts writes. Never raises."""


class Access(Protocol):
    """Who may use the API, as far as Redis has it. Every method may raise StoreUnavailableError."""

    def keys(self, used: Mapping[str, int]) -> FoundKeys:
        """The keys. `used`: when keys were used, to be noted by id, in milliseconds."""

    def revoke(self, key_id: str) -> bool:
        """Keep a key no more; False if there is none of this id."""

    def audit(self, limit: int, before: str | None) -> list[AuditItem]:
        """The newest entries of the audit, or the newest before this place."""
