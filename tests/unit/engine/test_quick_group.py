"""Several quick nodes in one delivery: one round trip to start them, one to report, none held up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import cast

import msgspec
import pytest

from flowengine.engine.held import Held
from flowengine.engine.ports import Acknowledge, KeptResult, RunningStore, Start
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.quick_group import QuickGroup, QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.history.spoken import Said
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import Completed, Failed
from flowengine.heuristics import GROUP_UNREPORTED_BYTES, GROUPED_READS, SPEED_KNOWN_AFTER
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, HandlerError, Registry, handler
from flowengine.settings import Limits
from tests.support.rigs.handler_runs import described
from tests.support.rigs.harness import NO_CALLS, NoSecrets
from tests.support.waiting import wait_until
from tests.unit.engine.tasks import task


class Nothing(msgspec.Struct):
    """No config."""


@handler("quick")
def quick(config: Nothing, context: Context) -> str:
    """Names its node."""
    return context.node_id


class Queue:
    """A Receipt that remembers, of the tasks of one delivery."""

    def __init__(self) -> None:
        self.acknowledged: list[list[int]] = []
        self.confirmed: list[int] = []
        self.handed_back: list[int] = []
        self.lost: set[int] = set()

    def acknowledge(self, sink: object, entries: Sequence[int]) -> None:
        """Nothing to send."""
        self.acknowledged.append(list(entries))

    def confirm(self, entries: Sequence[int]) -> None:
        """Settled."""
        self.confirmed += entries

    def is_lost(self, entry: int) -> bool:
        """Whether the test says so."""
        return entry in self.lost

    def hand_back(self, entries: Sequence[int]) -> None:
        """Handed back."""
        self.handed_back += entries

    def pass_on(self, entries: Sequence[int]) -> None:
        """Nothing is passed on."""
        raise AssertionError("nothing is passed on here")


class NoSink:
    """Takes no command."""

    def execute_command(self, *args: object) -> None:
        """Fails: this Receipt queues none."""
        raise AssertionError("nothing is sent here")


class Store:
    """As much of a RunningStore as a worker uses."""

    def __init__(self, *, unwanted: frozenset[str] = frozenset()) -> None:
        self.unwanted = unwanted
        self.started: list[list[str]] = []
        self.forgotten: list[str] = []
        self.reports: list[list[Callback]] = []
        self.down = False

    def start_nodes(self, tasks: Sequence[tuple[RunNode, int, str]]) -> list[Start]:
        """One round trip."""
        self.started.append([task.node for task, _, _ in tasks])
        return [Start(task.node not in self.unwanted, {}, 1_000_000, 5) for task, _, _ in tasks]

    def forget_start(self, task: RunNode) -> None:
        """One round trip."""
        self.forgotten.append(task.node)

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """One round trip."""
        acknowledge(NoSink())

    def report(
        self,
        callbacks: Sequence[Callback],
        acknowledge: Acknowledge,
        said: Sequence[Said] = (),
        kept: Sequence[KeptResult] = (),
        *,
        crowd: bool = False,
    ) -> None:
        """One round trip."""
        if self.down:
            raise StoreUnavailableError("down")
        acknowledge(NoSink())
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


class Rig:
    """A QuickGroups over fakes that takes every node for slow, and one delivery of some nodes."""

    def __init__(
        self, nodes: str, *, unwanted: str = "", unreported_bytes: int = GROUP_UNREPORTED_BYTES
    ) -> None:
        self.store = Store(unwanted=frozenset(unwanted))
        self.script = Script()
        self.speed = HandlerSpeed()
        self.queue = Queue()
        registry = Registry()
        registry.add(described(quick))
        store = cast("RunningStore", self.store)
        runner = Runner(store, registry, self.script, NoSecrets(), Limits(), NO_CALLS, lambda: 7, self.speed)
        self.groups = QuickGroups(store, runner, self.speed, slow_s=0.0, unreported_bytes=unreported_bytes)
        self.held = [Held(task(node), 1, f"{at}-0/me", self.queue, at) for at, node in enumerate(nodes)]

    def run(self) -> None:
        """Run the delivery."""
        self.groups.run(self.held)

    @property
    def reported(self) -> list[list[str]]:
        """The nodes of each report."""
        return [[callback.node for callback in report] for report in self.store.reports]


def test_quick_nodes_are_started_at_once_and_reported_at_once() -> None:
    """Two round trips for any number of nodes, run in their order."""
    rig = Rig("abc")
    rig.run()
    assert rig.store.started == [["a", "b", "c"]]
    assert rig.script.calls == ["a", "b", "c"]
    assert rig.reported == [["a", "b", "c"]]
    assert rig.queue.acknowledged == [[0, 1, 2]]
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


def test_nothing_waits_behind_a_node_that_is_slow_after_all() -> None:
    """What was done is reported and what had not begun is handed back, while the slow one goes on."""
    rig, go_on = Rig("abcd"), threading.Event()
    rig.script.acts["b"] = lambda: go_on.wait(10)
    thread = threading.Thread(target=rig.run)
    thread.start()
    wait_until(lambda: "b" in rig.script.calls, what="the slow node begins")
    rig.groups.relieve()
    assert rig.reported == [["a"]]
    assert rig.store.forgotten == ["c", "d"]
    assert rig.queue.handed_back == [2, 3]
    go_on.set()
    thread.join()
    assert rig.script.calls == ["a", "b"]
    assert rig.reported == [["a"], ["b"]]
    assert rig.queue.acknowledged == [[0], [1]]
    assert rig.queue.confirmed == [0, 1]


def test_quick_nodes_that_read_nothing_are_not_noted_at_all() -> None:
    """They are reported, or handed back, as others are; there is nothing to take back."""
    rig, go_on = Rig("ab"), threading.Event()
    for _ in range(SPEED_KNOWN_AFTER):
        rig.speed.observe("quick", 0.0001)
    rig.script.acts["a"] = lambda: go_on.wait(10)
    thread = threading.Thread(target=rig.run)
    thread.start()
    wait_until(lambda: "a" in rig.script.calls, what="the slow node begins")
    rig.groups.relieve()
    go_on.set()
    thread.join()
    assert rig.queue.handed_back == [1]
    assert (rig.store.started, rig.store.forgotten) == ([], [])
    assert rig.reported == [["a"]]


def test_outcomes_that_could_not_be_reported_stay_unsettled() -> None:
    """The store's failure reaches the broker, which hands all of the delivery back."""
    rig = Rig("ab")
    rig.store.down = True
    with pytest.raises(StoreUnavailableError):
        rig.run()
    assert rig.queue.confirmed == []


def test_an_outcome_whose_report_failed_goes_with_the_next() -> None:
    """The one that tried first has put it back; it is neither lost nor reported twice."""
    rig, go_on = Rig("ab"), threading.Event()
    rig.script.acts["b"] = lambda: go_on.wait(10)
    thread = threading.Thread(target=rig.run)
    thread.start()
    wait_until(lambda: "b" in rig.script.calls, what="the slow node begins")
    rig.store.down = True
    with pytest.raises(StoreUnavailableError):
        rig.groups.relieve()
    assert rig.queue.confirmed == []
    rig.store.down = False
    go_on.set()
    thread.join()
    assert rig.reported == [["a", "b"]]
    assert rig.queue.confirmed == [0, 1]


def test_what_another_process_has_by_now_is_not_reported_with_the_others() -> None:
    """Its lease was lost while the group ran."""
    rig = Rig("abc")
    rig.queue.lost.add(1)
    rig.run()
    assert rig.reported == [["a", "c"]]
    assert rig.queue.acknowledged == [[0, 2]]


def test_large_results_are_reported_before_more_come() -> None:
    """A report stays small enough for one transaction."""
    rig = Rig("abc", unreported_bytes=100)
    rig.script.acts["a"] = lambda: "x" * 200
    rig.run()
    assert rig.reported == [["a"], ["b", "c"]]


def test_a_handler_is_quick_once_it_has_been_seen_to_be() -> None:
    """New handlers run alone; one that turns slow runs alone again."""
    rig = Rig("a")
    payload = msgspec.json.encode(rig.held[0].payload)
    assert not rig.groups.is_quick(payload)
    for _ in range(SPEED_KNOWN_AFTER):
        rig.speed.observe("quick", 0.0001)
    assert rig.groups.is_quick(payload)
    rig.speed.observe("quick", 1.0)
    assert not rig.groups.is_quick(payload)


def test_a_node_that_reads_much_runs_alone() -> None:
    """Several such nodes together could read more than fits into memory."""
    rig = Rig("a")
    for _ in range(SPEED_KNOWN_AFTER):
        rig.speed.observe("quick", 0.0001)
    assert rig.groups.is_quick(msgspec.json.encode(task("a", reads=GROUPED_READS)))
    assert not rig.groups.is_quick(msgspec.json.encode(task("a", reads=GROUPED_READS + 1)))


def test_a_task_that_cannot_be_read_runs_alone() -> None:
    """It must not take others with it."""
    for payload in (b"no task", b'"\xff"', b"[" * 100_000):
        assert not Rig("a").groups.is_quick(payload)


def test_a_delivery_does_not_end_while_some_of_it_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker would hand the same nodes back once more, as if they had been begun."""
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
    watchdog = threading.Thread(target=rig.groups.relieve)
    watchdog.start()
    assert giving.wait(10)
    go_on.set()
    wait_until(lambda: rig.reported == [["a"]], what="the slow node is reported")
    runner.join(0.05)
    assert runner.is_alive()
    assert rig.queue.handed_back == []
    forgotten.set()
    watchdog.join()
    runner.join()
    assert (rig.queue.handed_back, rig.script.calls) == ([1], ["a"])


def test_nodes_that_could_not_be_handed_back_are_run() -> None:
    """Redis was away just then; the delivery goes on with them."""
    (held,) = Rig("a").held
    start = Start(True, {}, None, 5)
    group = QuickGroup([])
    assert not group.is_unfinished()
    group.wait_again([(TaskInHand(held, start), start)])
    assert group.is_unfinished()
