"""What the API asks of the store about definitions. Calls block: run them in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flowengine.engine.definitions.definitions import Applied, Compared, NewVersion, Start
from flowengine.engine.drawn_graphs import DrawnGraph
from flowengine.execution.definitions.views import (
    ChangesView,
    DefinitionListView,
    DefinitionView,
    DeletedDefinitionView,
    DiffView,
    VersionListView,
)
from flowengine.execution.views.executions import StartedView
from flowengine.workflow.problems import Problem


class Definitions(Protocol):
    """Definitions as the API needs them. Every method may raise StoreUnavailableError; those that take a
    name, but for `apply`, DefinitionNotFoundError."""

    def apply(self, new: NewVersion) -> Applied:
        """Let a document be in force under its name. Raises StoreFullError, ConflictError."""

    def delete(self, name: str) -> DeletedDefinitionView:
        """Let a name have no version any more. Its executions stay. Raises ConflictError."""

    def start(self, name: str, asked: Start) -> StartedView:
        """Store an execution of a definition that has begun already.

        Raises AlreadyAnsweredError, IdempotencyConflictError, InputsInvalidError, VarsInvalidError,
        TooManyExecutionsError, ConcurrencyLimitError, StoreFullError.
        """

    def diff(self, documents: Sequence[Compared], warnings: tuple[Problem, ...] = ()) -> DiffView:
        """What an apply of these would do."""

    def changes(self, name: str, version: int | None = None, since: int | None = None) -> ChangesView:
        """What differs in a version, by default the one in force, from another one, by default the one
        before."""

    def list(self, *, limit: int, cursor: str = "", patterns: tuple[str, ...] = ()) -> DefinitionListView:
        """A page of definitions, by name, with those that fit one of the patterns, if there are some. Raises
        BadCursorError."""

    def unknown(self, names: Sequence[str]) -> set[str]:
        """Those of these names under which nothing is applied."""

    def show(self, name: str, version: int | None = None, patterns: tuple[str, ...] = ()) -> DefinitionView:
        """A version with its document, its picture and what it is given; of those that follow it, those that
        fit one of the patterns, if there are some."""

    def graph(self, name: str, version: int | None = None) -> DrawnGraph:
        """The picture of a version."""

    def versions(self, name: str, *, limit: int, cursor: str = "") -> VersionListView:
        """A page of versions, the newest first. Raises BadCursorError."""
