"""How a delivery begins: noted first, or at once where noting would cost more than the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from flowengine.engine.ports import Begun, Receipt, Start, StateStore
from flowengine.engine.running import starts as beginnings_module
from flowengine.engine.running.handler_speed import SEEN_ENOUGH, HandlerSpeed
from flowengine.engine.running.runner import Environment, Runner
from flowengine.engine.running.starts import Starts
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.records import Completed, Failed, Outcome, Read, RunNode
from flowengine.execution.rules import COUNTED_RESULT_BYTES
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, Registry, handler
from flowengine.settings import Limits
from tests.support.waiting import wait_until


class Nothing(msgspec.Struct):
    """No config."""


class Handlers:
    """What runs here."""

    @handler("text")
    @staticmethod
    def text(config: Nothing, context: Context) -> str:
        """Not called: the invoker answers."""
        return ""


class Store:
    """As much of a StateStore as the beginnings use."""

    def __init__(self) -> None:
        self.started: list[list[str]] = []
        self.noted: list[tuple[str, Begun]] = []
        self.places: list[str] = []
        self.free = 0
        self.away = False

    def start_nodes(
        self, tasks: Sequence[RunNode], deliveries: Sequence[int], places: Sequence[str]
    ) -> list[Start]:
        """One round trip."""
        self.started.append([task.node for task in tasks])
        self.places += places
        return [Start(True, {}, 1_000_000, 5) for _ in tasks]

    def note_start(self, task: RunNode, begun: Begun) -> None:
        """One round trip."""
        self.noted.append((task.node, begun))

    def room(self, execution: str) -> int:
        """One round trip."""
        if self.away:
            raise StoreUnavailableError("away")
        return self.free


class Texts:
    """An Invoker whose every node gives so many characters; also a Redactor that knows no secret."""

    def __init__(self, length: int) -> None:
        self.length = length

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """A text."""
        return "x" * self.length

    def lookup(self, name: str) -> str:
        """Fails."""
        raise LookupError(name)

    def redact(self, text: str) -> str:
        """As it is."""
        return text

    def redact_json(self, data: bytes) -> bytes:
        """As it is."""
        return data


def task(node: str, *, reads: int = 0, handler: str = "quick") -> RunNode:
    """The task of one node."""
    return RunNode(
        execution="e",
        run=1,
        node=node,
        attempt=1,
        handler=handler,
        config=msgspec.Raw(b"{}"),
        reads=tuple(Read(f"p{number}") for number in range(reads)),
        timeout_ms=60_000,
        correlation_id="c",
    )


class Held(msgspec.Struct, frozen=True):
    """As much of a Receipt as the beginnings look at."""

    deliveries: tuple[int, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """One after the other."""
        return tuple(f"{at}-0/me" for at in range(len(self.deliveries)))


def held(*deliveries: int) -> Receipt:
    """Payloads in hand, delivered so often."""
    return cast(Receipt, Held(deliveries))


def hand_of(start: Start) -> TaskInHand:
    """A delivery that began so."""
    return TaskInHand(task("n"), 1, held(1), start)


UNNOTED = Start(wanted=True, inputs={}, room=None, now=7, noted=False)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def beginnings(store: Store) -> Starts:
    """They know the handler `quick` to be quick, and nothing of others."""
    pace = HandlerSpeed()
    for _ in range(SEEN_ENOUGH):
        pace.observe("quick", 0.0001)
    return Starts(cast(StateStore, store), pace, lambda: 7)


def test_a_quick_node_begins_without_a_round_trip(store: Store, beginnings: Starts) -> None:
    """By this process's idea of the server's clock."""
    assert beginnings.of([task("a"), task("b")], held(1, 1)) == [UNNOTED, UNNOTED]
    assert store.started == []


@pytest.mark.parametrize(
    ("one", "delivery"), [(task("b", reads=1), 1), (task("b", handler="new"), 1), (task("b"), 2)]
)
def test_others_are_noted_first(store: Store, beginnings: Starts, one: RunNode, delivery: int) -> None:
    """What reads, what is not known to be quick, and what somebody had before."""
    starts = beginnings.of([task("a"), one, task("c")], held(1, delivery, 1))
    assert [start.noted for start in starts] == [False, True, False]
    assert store.started == [["b"]]
    assert store.places == ["1-0/me"]


@pytest.mark.parametrize("said", [[False, True], [True, False]])
def test_each_task_gets_its_own_start_though_the_pace_changes_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch, said: list[bool]
) -> None:
    """Other threads observe the handler between two looks: a node would begin with another's inputs."""
    pace = HandlerSpeed()
    answers = list(said)
    monkeypatch.setattr(pace, "is_quick", lambda handler: answers.pop(0) if answers else said[-1])
    starts = Starts(cast(StateStore, store), pace, lambda: 7).of([task("a"), task("b", reads=1)], held(1, 1))
    assert [start.noted for start in starts] == [not said[0], True]
    assert store.started == [["b"] if said[0] else ["a", "b"]]


def test_a_node_that_lasts_is_noted_once(store: Store, beginnings: Starts) -> None:
    """With the time at which it began, so that status shows it running."""
    hand = hand_of(UNNOTED)
    beginnings.note_those_that_last([hand])
    assert store.noted == []
    hand.began -= 2 * beginnings_module.SLOW_S
    beginnings.note_those_that_last([hand])
    beginnings.note_those_that_last([hand])
    assert store.noted == [("n", Begun(delivery=1, at=7, place="0-0/me"))]


def test_what_is_noted_or_reported_is_not_noted_again(store: Store, beginnings: Starts) -> None:
    """A start that is written after the outcome would stay."""
    noted, reported = hand_of(msgspec.structs.replace(UNNOTED, noted=True)), hand_of(UNNOTED)
    assert reported.take()
    for hand in (noted, reported):
        hand.began -= 2 * beginnings_module.SLOW_S
    beginnings.note_those_that_last([noted, reported])
    assert store.noted == []


def test_nobody_reports_while_the_start_is_being_noted(beginnings: Starts, store: Store) -> None:
    """The outcome must come after it."""
    hand, noting, go_on = hand_of(UNNOTED), threading.Event(), threading.Event()
    hand.began -= 2 * beginnings_module.SLOW_S
    order: list[str] = []

    def note(task: RunNode, begun: Begun) -> None:
        noting.set()
        go_on.wait(10)
        order.append("noted")

    def report() -> None:
        hand.take()
        order.append("reported")

    store.note_start = note  # type: ignore[method-assign]
    threads = [threading.Thread(target=beginnings.note_those_that_last, args=([hand],))]
    threads[0].start()
    wait_until(noting.is_set, what="the start is being noted")
    threads.append(threading.Thread(target=report))
    threads[1].start()
    time.sleep(0.05)
    assert order == []
    go_on.set()
    for thread in threads:
        thread.join()
    assert order == ["noted", "reported"]


def _none() -> Any:
    raise AssertionError("no handler here calls out")


def outcome_of(store: Store, length: int) -> Outcome:
    """What a node gives that began unnoted and returns so many characters."""
    texts, registry = Texts(length), Registry()
    registry.collect(Handlers)
    runner = Runner(
        cast(StateStore, store),
        registry,
        texts,
        texts,
        Limits(),
        Environment(_none, _none, lambda name: None),
        lambda: 7,
    )
    hand = TaskInHand(task("n", handler="text"), 1, cast(Receipt, None), UNNOTED)
    return runner.outcome_of(hand, UNNOTED)


def test_a_large_result_has_the_executions_room_looked_at_late(store: Store) -> None:
    """It was not read with the start; a small result does not count."""
    assert isinstance(outcome_of(store, COUNTED_RESULT_BYTES // 2), Completed)
    large = outcome_of(store, COUNTED_RESULT_BYTES)
    assert isinstance(large, Failed)
    assert large.error.code == "results_too_large"
    store.free = 1_000_000
    assert isinstance(outcome_of(store, COUNTED_RESULT_BYTES), Completed)


def test_a_result_is_not_lost_because_the_room_cannot_be_looked_at(store: Store) -> None:
    """The node has run; its report is tried until the outage is over."""
    store.away = True
    assert isinstance(outcome_of(store, COUNTED_RESULT_BYTES), Completed)
