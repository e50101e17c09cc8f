"""What the engine asks of the store about chains. Every method may raise StoreUnavailableError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowengine.engine.ports import Acknowledge, CommandStore, Committed, ResultsStore
from flowengine.execution.changes import Change
from flowengine.execution.messages import StartFollowers
from flowengine.execution.records import ExecutionRecord
from flowengine.workflow.chains.declared import Links


class ChainUnit(Protocol):
    """One optimistic transaction about an execution that has ended. `now`: in milliseconds since the
    epoch."""

    @property
    def record(self) -> ExecutionRecord | None: ...
    @property
    def now(self) -> int: ...
    def commit(self, changes: Mapping[str, Sequence[Change]]) -> Committed | None:
        """Write everything. None if the execution has changed meanwhile: nothing was written."""

    def abandon(self) -> None:
        """Write nothing."""


class ChainStore(Protocol):
    """Chains, as those need them who start what follows."""

    def begin(self, execution: str) -> ChainUnit:
        """WATCH and read an execution."""

    def following(self, name: str, most: int) -> Sequence[str]:
        """The definitions that follow this one, so many at most, by name."""

    def links(self, name: str) -> Links:
        """What ties the version in force of a definition to others."""

    def settle(self, message: StartFollowers, due: int | None, acknowledge: Acknowledge) -> None:
        """Acknowledge, and let somebody look again when `due`; None: nobody needs to."""


class EndedStore(CommandStore, ResultsStore, Protocol):
    """Executions, as those need them who start others when they end."""
