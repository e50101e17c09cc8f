"""The nodes of async handlers: reported together, dropped where they are another's, and let go of."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import pytest

from flowengine.engine.held import Held, Sink
from flowengine.engine.ports import Acknowledge, RunningStore, Start
from flowengine.engine.running.asynchronous.async_nodes import CLEAN_UP_S, AsyncNodes
from flowengine.engine.running.asynchronous.kept_memory import kept_bytes
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback, Read, RunNode
from flowengine.execution.reports import Outcome
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, Registry, handler
from flowengine.settings import Limits
from tests.support.rigs.harness import NoSecrets
from tests.support.waiting import wait_until


class Nothing(msgspec.Struct):
    """Config of the handler `wait`."""


@handler("wait")
async def wait(config: Nothing, context: Context) -> None:
    """Never called here: the test says what it gives."""


class Store:
    """Keeps what is reported, in transactions; refuses those with a node of these names."""

    def __init__(self) -> None:
        self.reported: list[list[str]] = []
        self.refused: dict[str, Exception] = {}
        self.unwanted: set[str] = set()
        self.unreadable: set[str] = set()
        self.inputs: dict[str, bytes] = {}
        self.round_trips: list[list[str]] = []
        self.is_away = False
        self.away_for: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.has_said_too_much = False

    def start_nodes(self, tasks: Sequence[tuple[RunNode, int, str]]) -> list[Start]:
        self.round_trips.append([task.node for task, _, _ in tasks])
        if self.is_away or self.round_trips[-1] == self.away_for:
            raise StoreUnavailableError("away")
        if self.unreadable & {task.node for task, _, _ in tasks}:
            raise ValueError("no start")
        return [Start(task.node not in self.unwanted, self.inputs, 1000, 0) for task, _, _ in tasks]

    def report(
        self,
        callbacks: Sequence[Callback],
        acknowledge: Acknowledge,
        said: object = (),
        kept: object = (),
        *,
        crowd: bool = False,
    ) -> None:
        self.gate.wait(20)
        names = [each.node for each in callbacks]
        for name in names:
            if name in self.refused:
                raise self.refused[name]
        self.reported.append(names)

    def forget_start(self, task: RunNode) -> None: ...
    def acknowledge(self, acknowledge: Acknowledge) -> None: ...


class Invoker:
    """Holds what was begun, until the test ends it."""

    def __init__(self) -> None:
        self.begun: dict[str, Callable[[tuple[object, BaseException | None]], None]] = {}
        self.forsaken = 0

    def begin(
        self,
        handler: Handler,
        config: JsonValue,
        context: Context,
        ended: Callable[[tuple[object, BaseException | None]], None],
    ) -> None:
        self.begun[context.node_id] = ended

    def forsake(self, handler: str) -> None:
        self.forsaken += 1


class Holding:
    """Notes what is let go of, and why."""

    def __init__(self) -> None:
        self.let_go_of: dict[str, BaseException | None] = {}
        self.times: Counter[str] = Counter()
        self.handed_back: set[str] = set()
        self.weights: dict[str, int] = {}
        self.most_bytes = 10**9

    def let_go(self, held: Sequence[Held[Any]], error: BaseException | None = None) -> None:
        self.let_go_of |= {each.payload.node: error for each in held}
        self.times.update(each.payload.node for each in held)

    def is_handed_back(self, held: Held[Any]) -> bool:
        return held.payload.node in self.handed_back

    def weigh(self, held: Held[Any], size: int) -> None:
        self.weights[held.payload.node] = size

    def keeps_too_much(self) -> bool:
        return sum(self.weights.values()) > self.most_bytes

    def hand_back(self, held: Sequence[Held[Any]]) -> None:
        self.handed_back |= {each.payload.node for each in held}

    def acknowledge(self, sink: Sink, held: Sequence[Held[Any]]) -> None: ...


class Receipt:
    """A message of the test's."""

    def __init__(self) -> None:
        self.lost = False

    def is_lost(self, entry: int) -> bool:
        return self.lost

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None: ...
    def confirm(self, entries: Sequence[int]) -> None: ...
    def hand_back(self, entries: Sequence[int]) -> None: ...
    def pass_on(self, entries: Sequence[int]) -> None: ...


class Rig:
    """The nodes of one process, with everything around them in the test's hands."""

    def __init__(self) -> None:
        self.store, self.invoker, self.holding = Store(), Invoker(), Holding()
        self.receipts: dict[str, Receipt] = {}
        registry = Registry()
        registry.add(wait.__flowengine_handler__)  # type: ignore[attr-defined]
        secrets, speed = NoSecrets(), HandlerSpeed()
        self.secrets = secrets
        store = cast(RunningStore, self.store)
        environment = Environment(cast(Any, None), cast(Any, None), cast(Any, None))
        self.runner = Runner(
            store, registry, cast(Any, None), secrets, Limits(), environment, lambda: 0, speed
        )
        self.nodes = AsyncNodes(store, self.runner, self.invoker, secrets, speed, self.holding)

    def begin(self, *names: str, timeout_ms: int = 60_000) -> None:
        """Begin nodes of these names."""
        self.receipts |= {name: Receipt() for name in names}
        self.nodes.begin([Held(task(name, timeout_ms), 1, "1-0/c", self.receipts[name]) for name in names])

    def end(self, *names: str) -> None:
        """They return."""
        for name in names:
            self.invoker.begun[name](("done", None))

    def wait_for(self, *names: str) -> None:
        """Until these are let go of."""
        wait_until(lambda: set(names) <= set(self.holding.let_go_of), what="the report")


def task(name: str, timeout_ms: int, reads: int = 0) -> RunNode:
    """A node's task."""
    return RunNode(
        execution="x",
        run=1,
        node=name,
        dispatch=1,
        attempt=1,
        handler="wait",
        config=msgspec.Raw(b"{}"),
        reads=tuple(Read(f"n{number}") for number in range(reads)),
        timeout_ms=timeout_ms,
        correlation_id="c",
    )


@pytest.fixture
def rig() -> Rig:
    """One process."""
    return Rig()


def test_what_was_handed_back_is_not_reported(rig: Rig) -> None:
    """Its handler is cancelled by the stop, which would fail the node; another process runs it."""
    rig.begin("mine", "theirs")
    rig.holding.handed_back.add("theirs")
    rig.end("theirs", "mine")
    rig.wait_for("mine", "theirs")
    assert [name for names in rig.store.reported for name in names] == ["mine"]


def test_an_outcome_that_cannot_be_written_costs_no_other(rig: Rig) -> None:
    """The others of its transaction are written without it; in an outage all are handed back, uncounted."""
    rig.store.refused["bad"] = ValueError("no")
    rig.begin("bad", *"abc")
    rig.end("a", "bad", "b", "c")
    rig.wait_for("bad", *"abc")
    assert sorted(name for names in rig.store.reported for name in names) == ["a", "b", "c"]
    assert isinstance(rig.holding.let_go_of["bad"], ValueError)

    rig.store.refused["d"] = StoreUnavailableError("away")
    rig.begin("d")
    rig.end("d")
    rig.wait_for("d")
    assert isinstance(rig.holding.let_go_of["d"], StoreUnavailableError)


def test_a_handler_that_ignores_the_end_of_its_time_is_let_go_of(rig: Rig) -> None:
    """Once the watchdog has reported it: its room is free again, and what it gives later is nobody's. The
    loop is asked at once whether it turns."""
    rig.begin("deaf", timeout_ms=0)
    rig.begin("fine")
    rig.nodes.look()
    assert rig.invoker.forsaken == 0
    (hand,) = [each for each in rig.runner.running.values() if each.task.node == "deaf"]
    hand.began = time.monotonic() - CLEAN_UP_S - 1
    for _ in range(2):
        rig.nodes.look()
        assert (rig.invoker.forsaken, list(rig.holding.let_go_of)) == (1, [])
        assert hand in rig.runner.running.values(), "nobody would report it"
    hand.take()
    rig.nodes.look()
    assert (rig.invoker.forsaken, list(rig.holding.let_go_of)) == (1, ["deaf"])
    rig.end("deaf", "fine")
    rig.wait_for("fine")
    assert rig.store.reported == [["fine"]]
    assert rig.holding.times == {"deaf": 1, "fine": 1}


def test_what_another_process_has_by_now_is_not_reported(rig: Rig) -> None:
    """Its lease was lost: the other process runs it, or has told how it ended."""
    rig.begin("mine", "theirs")
    rig.receipts["theirs"].lost = True
    rig.end("theirs", "mine")
    rig.wait_for("mine", "theirs")
    assert [name for names in rig.store.reported for name in names] == ["mine"]


def test_no_more_begins_than_memory_allows(rig: Rig) -> None:
    """What came with nodes that keep too much goes back to the line. One alone always begins."""
    reads = dict.fromkeys("abc", 16)
    rig.store.inputs = {f"n{number}": b'"%s"' % (b"x" * 60) for number in range(16)}
    rig.holding.most_bytes = 1500
    rig.nodes.begin(
        [Held(task(name, 60_000, number), 1, "1-0/c", Receipt()) for name, number in reads.items()]
    )
    assert (list(rig.invoker.begun), rig.holding.handed_back) == (["a", "b"], {"c"})
    assert all(size >= 1000 for size in rig.holding.weights.values())


def test_what_a_node_keeps_in_memory_is_counted_whole() -> None:
    """Its inputs, and all that its config was rendered to."""
    start = Start(True, {"a": b"x" * 500, "b": b"y" * 300}, 1000, 0)
    config: JsonValue = {"list": ["z" * 200, {"deep": "w" * 100}], "number": 1}
    assert 1100 <= kept_bytes(start, config) < 1500


def test_what_nobody_wants_any_more_is_not_begun(rig: Rig) -> None:
    """It is acknowledged at once."""
    rig.store.unwanted.add("old")
    rig.begin("old", "new")
    assert list(rig.invoker.begun) == ["new"]
    assert rig.holding.let_go_of == {"old": None}


@pytest.mark.parametrize("part", ["gather", "callback"])
def test_a_node_of_which_nothing_can_be_told_costs_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Its message is let go of, and so are those of the nodes that ended with it: once they are reported."""
    target = rig.runner.outputs if part == "gather" else rig.runner
    right = getattr(target, part)

    def fail_for_bad(hand: TaskInHand, *outcome: Outcome) -> object:
        if hand.task.node == "bad":
            raise SystemExit(1)
        return right(hand, *outcome)

    monkeypatch.setattr(target, part, fail_for_bad)
    rig.begin("bad", *"abc")
    rig.end("a", "bad", "b", "c")
    rig.wait_for("bad", *"abc")
    assert sorted(name for names in rig.store.reported for name in names) == ["a", "b", "c"]
    assert isinstance(rig.holding.let_go_of["bad"], SystemExit)


def test_what_has_ended_in_time_is_not_late_while_it_waits_for_the_reporter(rig: Rig) -> None:
    """The reporter may be busy, or the store away, when its time is over: the watchdog no longer looks."""
    rig.store.gate.clear()
    rig.begin("first", "second")
    rig.end("first", "second")
    assert not rig.runner.running
    rig.store.gate.set()
    rig.wait_for("first", "second")


def test_a_node_whose_start_cannot_be_read_keeps_no_other_from_it(rig: Rig) -> None:
    """They came in one fetch, and would come together again and again."""
    rig.store.unreadable.add("odd")
    rig.store.away_for = ["late"]
    rig.begin("a", "odd", "b", "late")
    assert list(rig.invoker.begun) == ["a", "b"]
    assert {node: type(error) for node, error in rig.holding.let_go_of.items()} == {
        "odd": ValueError,
        "late": StoreUnavailableError,
    }


def test_secrets_are_hidden_until_the_outcome_is_made(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the `retry.when` of one of many that ended together may quote what a node was given."""
    steps: list[str] = []

    @contextmanager
    def hiding(values: object) -> Iterator[None]:
        yield
        steps.append("shown")

    made = rig.runner.callback

    def callback(hand: TaskInHand, outcome: Outcome) -> Callback:
        steps.append("made")
        return made(hand, outcome)

    monkeypatch.setattr(rig.secrets, "hiding", hiding)
    monkeypatch.setattr(rig.runner, "callback", callback)
    rig.begin(*"ab")
    rig.end(*"ab")
    rig.wait_for(*"ab")
    assert steps == ["made", "shown"] * 2


def test_nodes_that_read_much_begin_in_round_trips_of_their_own(rig: Rig) -> None:
    """Together they might read gigabytes in one answer, which comes too late and never fits."""
    reads = {"a": 10, "b": 6, "c": 1, "d": 40, "e": 0}
    held = [Held(task(name, 60_000, number), 1, "1-0/c", Receipt()) for name, number in reads.items()]
    rig.nodes.begin(held)
    assert rig.store.round_trips == [["a", "b"], ["c"], ["d"], ["e"]]
    assert list(rig.invoker.begun) == list(reads)

    rig.store.is_away = True
    rig.nodes.begin(held)
    assert len(rig.store.round_trips) == 5
    assert {type(error) for error in rig.holding.let_go_of.values()} == {StoreUnavailableError}
    assert set(rig.holding.let_go_of) == set(reads)
