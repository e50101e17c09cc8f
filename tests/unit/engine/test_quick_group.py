"""Several quick nodes in one delivery: one round trip to start them, one to report, none held up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import cast

import httpx
import msgspec
import pytest

from flowengine.engine.ports import Acknowledge, Start, StateStore
from flowengine.engine.running import quick_group as together_module
from flowengine.engine.running.handler_speed import SEEN_ENOUGH, HandlerSpeed
from flowengine.engine.running.quick_group import READS_AT_MOST, QuickGroups
from flowengine.engine.running.runner import Environment, Runner
from flowengine.errors import StoreUnavailableError
from flowengine.execution.records import Callback, Completed, Failed, Read, RunNode
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, HandlerError, Registry, handler
from flowengine.settings import Limits
from tests.support.waiting import wait_until


class Nothing(msgspec.Struct):
    """No config."""


@handler("quick")
def quick(config: Nothing, context: Context) -> str:
    """Names its node."""
    return context.node_id


class Queue:
    """A Receipt that remembers."""

    def __init__(self, size: int) -> None:
        self.deliveries = (1,) * size
        self.places = tuple(f"{at}-0/me" for at in range(size))
        self.confirmed: list[int] = []
        self.given_back: list[int] = []

    def acknowledge(self, sink: object, *, only: tuple[int, ...] | None = None) -> None:
        """Nothing to send."""

    def confirm(self, *, only: tuple[int, ...] | None = None) -> None:
        """Settled."""
        assert only is not None
        self.confirmed += only

    def give_back(self, only: tuple[int, ...]) -> None:
        """Handed back."""
        self.given_back += only


class Store:
    """As much of a StateStore as a worker uses."""

    def __init__(self, *, unwanted: frozenset[str] = frozenset()) -> None:
        self.unwanted = unwanted
        self.started: list[list[str]] = []
        self.forgotten: list[str] = []
        self.reports: list[list[Callback]] = []
        self.down = False

    def start_nodes(
        self, tasks: Sequence[RunNode], deliveries: Sequence[int], places: Sequence[str]
    ) -> list[Start]:
        """One round trip."""
        self.started.append([task.node for task in tasks])
        return [Start(task.node not in self.unwanted, {}, 1_000_000, 5) for task in tasks]

    def forget_start(self, task: RunNode) -> None:
        """One round trip."""
        self.forgotten.append(task.node)

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """One round trip."""

    def report(self, callbacks: Sequence[Callback], acknowledge: Acknowledge) -> None:
        """One round trip."""
        if self.down:
            raise StoreUnavailableError("down")
        self.reports.append(list(callbacks))


class Script:
    """An Invoker that asks the test what each node does."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.acts: dict[str, Callable[[], object]] = {}

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """What the node does."""
        self.calls.append(context.node_id)
        return self.acts.get(context.node_id, lambda: None)()


class NoSecrets:
    """Knows none."""

    def lookup(self, name: str) -> str:
        """Fails."""
        raise LookupError(name)

    def redact(self, text: str) -> str:
        """The text."""
        return text

    def redact_json(self, data: bytes) -> bytes:
        """The data."""
        return data


class Rig:
    """A QuickGroups over fakes, and one delivery of some nodes."""

    def __init__(self, nodes: str, *, unwanted: str = "") -> None:
        self.store = Store(unwanted=frozenset(unwanted))
        self.script = Script()
        self.pace = HandlerSpeed()
        self.queue = Queue(len(nodes))
        registry = Registry()
        registry.add(cast("Handler", vars(quick)["__flowengine_handler__"]))
        store = cast("StateStore", self.store)
        environment = Environment(_no_client, _no_async_client, lambda name: None)
        runner = Runner(
            store, registry, self.script, NoSecrets(), Limits(), environment, lambda: 7, self.pace
        )
        self.together = QuickGroups(store, runner, self.pace)
        self.tasks = [task(node) for node in nodes]

    def run(self) -> None:
        """Run the delivery."""
        self.together.run(self.tasks, self.queue, self.queue.give_back)

    @property
    def reported(self) -> list[list[str]]:
        """The nodes of each report."""
        return [[callback.node for callback in report] for report in self.store.reports]


def _no_client() -> httpx.Client:
    raise AssertionError("no handler here calls out")


def _no_async_client() -> httpx.AsyncClient:
    raise AssertionError("no handler here calls out")


def task(node: str, *, reads: int = 0) -> RunNode:
    """The task of one node."""
    return RunNode(
        execution="e",
        run=1,
        node=node,
        attempt=1,
        handler="quick",
        config=msgspec.Raw(b"{}"),
        reads=tuple(Read(f"p{number}") for number in range(reads)),
        timeout_ms=60_000,
        correlation_id="c",
    )


def test_quick_nodes_are_started_at_once_and_reported_at_once() -> None:
    """Two round trips for any number of nodes, run in their order."""
    rig = Rig("abc")
    rig.run()
    assert rig.store.started == [["a", "b", "c"]]
    assert rig.script.calls == ["a", "b", "c"]
    assert rig.reported == [["a", "b", "c"]]
    assert rig.queue.confirmed == [0, 1, 2]


def test_a_failing_node_fails_alone() -> None:
    """Its neighbours in the delivery complete."""

    def fail() -> object:
        raise HandlerError("boom", "on purpose")

    rig = Rig("abc")
    rig.script.acts["b"] = fail
    rig.run()
    outcomes = [type(callback.outcome) for callback in rig.store.reports[0]]
    assert outcomes == [Completed, Failed, Completed]


def test_an_unwanted_node_is_dropped_and_the_others_run() -> None:
    """Nobody waits for it: its start is taken back, and it is acknowledged."""
    rig = Rig("abc", unwanted="b")
    rig.run()
    assert rig.script.calls == ["a", "c"]
    assert rig.store.forgotten == ["b"]
    assert sorted(rig.queue.confirmed) == [0, 1, 2]


def test_nothing_waits_behind_a_node_that_is_slow_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is reported and what had not begun is given back, while the slow one goes on."""
    monkeypatch.setattr(together_module, "SLOW_S", 0.0)
    rig, go_on = Rig("abcd"), threading.Event()
    rig.script.acts["b"] = lambda: go_on.wait(10)
    thread = threading.Thread(target=rig.run)
    thread.start()
    wait_until(lambda: "b" in rig.script.calls, what="the slow node begins")
    rig.together.relieve()
    assert rig.reported == [["a"]]
    assert rig.store.forgotten == ["c", "d"]
    assert rig.queue.given_back == [2, 3]
    go_on.set()
    thread.join()
    assert rig.script.calls == ["a", "b"]
    assert rig.reported == [["a"], ["b"]]
    assert rig.queue.confirmed == [0, 1]


def test_quick_nodes_that_read_nothing_are_not_noted_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are reported, or given back, as others are; there is nothing to take back."""
    monkeypatch.setattr(together_module, "SLOW_S", 0.0)
    rig, go_on = Rig("ab"), threading.Event()
    for _ in range(SEEN_ENOUGH):
        rig.pace.observe("quick", 0.0001)
    rig.script.acts["a"] = lambda: go_on.wait(10)
    thread = threading.Thread(target=rig.run)
    thread.start()
    wait_until(lambda: "a" in rig.script.calls, what="the slow node begins")
    rig.together.relieve()
    go_on.set()
    thread.join()
    assert rig.queue.given_back == [1]
    assert (rig.store.started, rig.store.forgotten) == ([], [])
    assert rig.reported == [["a"]]


def test_outcomes_that_could_not_be_reported_stay_unsettled() -> None:
    """The store's failure reaches the broker, which hands all of the delivery back."""
    rig = Rig("ab")
    rig.store.down = True
    with pytest.raises(StoreUnavailableError):
        rig.run()
    assert rig.queue.confirmed == []


def test_an_outcome_whose_report_failed_goes_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tried first has put it back; it is neither lost nor reported twice."""
    monkeypatch.setattr(together_module, "SLOW_S", 0.0)
    rig, go_on = Rig("ab"), threading.Event()
    rig.script.acts["b"] = lambda: go_on.wait(10)
    thread = threading.Thread(target=rig.run)
    thread.start()
    wait_until(lambda: "b" in rig.script.calls, what="the slow node begins")
    rig.store.down = True
    with pytest.raises(StoreUnavailableError):
        rig.together.relieve()
    assert rig.queue.confirmed == []
    rig.store.down = False
    go_on.set()
    thread.join()
    assert rig.reported == [["a", "b"]]
    assert rig.queue.confirmed == [0, 1]


def test_large_results_are_reported_before_more_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report stays small enough for one transaction."""
    monkeypatch.setattr(together_module, "UNREPORTED_BYTES", 100)
    rig = Rig("abc")
    rig.script.acts["a"] = lambda: "x" * 200
    rig.run()
    assert rig.reported == [["a"], ["b", "c"]]


def test_a_handler_is_quick_once_it_has_been_seen_to_be() -> None:
    """New handlers run alone; one that turns slow runs alone again."""
    rig = Rig("a")
    payload = msgspec.json.encode(rig.tasks[0])
    assert not rig.together.is_quick(payload)
    for _ in range(SEEN_ENOUGH):
        rig.pace.observe("quick", 0.0001)
    assert rig.together.is_quick(payload)
    rig.pace.observe("quick", 1.0)
    assert not rig.together.is_quick(payload)


def test_a_node_that_reads_much_runs_alone() -> None:
    """Several such nodes together could read more than fits into memory."""
    rig = Rig("a")
    for _ in range(SEEN_ENOUGH):
        rig.pace.observe("quick", 0.0001)
    assert rig.together.is_quick(msgspec.json.encode(task("a", reads=READS_AT_MOST)))
    assert not rig.together.is_quick(msgspec.json.encode(task("a", reads=READS_AT_MOST + 1)))


def test_a_task_that_cannot_be_read_runs_alone() -> None:
    """It must not take others with it."""
    for payload in (b"no task", b'"\xff"', b"[" * 100_000):
        assert not Rig("a").together.is_quick(payload)


def test_a_delivery_does_not_end_while_some_of_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker would hand the same nodes back once more, as if they had been begun."""
    monkeypatch.setattr(together_module, "SLOW_S", 0.0)
    rig, begun, go_on = Rig("ab"), threading.Event(), threading.Event()
    giving, forgotten = threading.Event(), threading.Event()

    def linger() -> object:
        begun.set()
        return go_on.wait(10)

    def forget(task: RunNode) -> None:
        giving.set()
        assert forgotten.wait(10)

    monkeypatch.setattr(rig.store, "forget_start", forget)
    rig.script.acts["a"] = linger
    runner = threading.Thread(target=rig.run)
    runner.start()
    assert begun.wait(10)
    watchdog = threading.Thread(target=rig.together.relieve)
    watchdog.start()
    assert giving.wait(10)
    go_on.set()
    wait_until(lambda: rig.reported == [["a"]], what="the slow node is reported")
    runner.join(0.05)
    assert runner.is_alive()
    assert rig.queue.given_back == []
    forgotten.set()
    watchdog.join()
    runner.join()
    assert (rig.queue.given_back, rig.script.calls) == ([1], ["a"])


def test_nodes_that_could_not_be_given_back_are_run() -> None:
    """Redis was away just then; the delivery goes on with them."""
    rig = Rig("ab")
    group = together_module.Group(rig.queue, rig.queue.give_back, [])
    assert not group.is_unfinished()
    group.wait_again([(None, None)])  # type: ignore[list-item]  # only counted here
    assert group.is_unfinished()
