"""What a worker does with a node whose handler it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from flowengine.engine.held import Held
from flowengine.engine.ports import Invoker, KeptResult, RunningStore, Start
from flowengine.engine.running.runner import Runner
from flowengine.execution.history.spoken import Said
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import Failed
from flowengine.plugin import Registry
from flowengine.settings import Limits
from tests.support.rigs.harness import NO_CALLS, NoSecrets
from tests.unit.engine.tasks import task


class Store:
    """As much of a RunningStore as it takes to fail; also the Receipt."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.callbacks: list[Callback] = []

    def start_nodes(self, tasks: Sequence[tuple[RunNode, int, str]]) -> list[Start]:
        """One round trip."""
        self.done.append("started")
        return [Start(True, {}, 1_000_000, 5) for _ in tasks]

    def report(
        self,
        callbacks: Sequence[Callback],
        acknowledge: object,
        said: Sequence[Said] = (),
        kept: Sequence[KeptResult] = (),
        *,
        crowd: bool = False,
    ) -> None:
        """One round trip."""
        self.done.append("reported")
        self.callbacks += callbacks

    def acknowledge(self, sink: object, entries: Sequence[int]) -> None:
        """Nothing to send."""

    def confirm(self, entries: Sequence[int]) -> None:
        """Settled."""

    def is_lost(self, entry: int) -> bool:
        """It is not."""
        return False

    def hand_back(self, entries: Sequence[int]) -> None:
        """Handed back."""
        self.done.append("handed back")

    def pass_on(self, entries: Sequence[int]) -> None:
        """Passed on."""
        self.done.append(f"passed on {list(entries)}")


@pytest.fixture
def store() -> Store:
    return Store()


def run(store: Store, *, passes_on: bool) -> None:
    """Let a worker that knows no handler have a task."""
    runner = Runner(
        cast(RunningStore, store),
        Registry(),
        cast(Invoker, None),
        NoSecrets(),
        Limits(),
        NO_CALLS,
        lambda: 7,
        passes_on=passes_on,
    )
    runner.run(Held(task("n", handler="new"), 1, "1-0/me", store))


@pytest.mark.proves("handler-unknown")
def test_it_is_passed_on_as_it_is(store: Store) -> None:
    """Nothing is noted of it: it has not begun."""
    run(store, passes_on=True)
    assert store.done == ["passed on [0]"]


def test_it_fails_where_there_is_no_other_worker(store: Store) -> None:
    """The error says what to do."""
    run(store, passes_on=False)
    assert store.done == ["started", "reported"]
    outcome = store.callbacks[0].outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "unknown_handler"
    assert "FLOWENGINE_HANDLERS" in outcome.error.message
