"""What the API asks of the store. Calls block: run them in a thread."""

from __future__ import annotations

from typing import Protocol

from flowengine.execution.views import (
    CreatedView,
    ExecutionView,
    HealthView,
    ResultsView,
    TriggeredView,
)
from flowengine.workflow.plan import Plan


class Executions(Protocol):
    """Executions as the API needs them.

    Every method but `health` may raise StoreUnavailableError. Those that take an id raise
    ExecutionNotFoundError when there is no such execution.
    """

    def create(self, plan: Plan, *, correlation_id: str) -> CreatedView:
        """Store a new pending execution. Raises TooManyExecutionsError, StoreFullError."""

    def trigger(self, execution_id: str, *, correlation_id: str) -> TriggeredView:
        """Start it, or retry what failed. Raises WrongStateError, TooManyExecutionsError, StoreFullError."""

    def status(self, execution_id: str) -> ExecutionView:
        """The state of the execution and of all its nodes."""

    def results(self, execution_id: str) -> ResultsView:
        """The outputs and errors of the nodes that have ended."""

    def health(self) -> HealthView:
        """Whether Redis answers and accepts writes. Never raises."""
