"""How a delivery begins: noted first, or at once where noting would cost more than the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest

from flowengine.engine.held import Held, Receipt
from flowengine.engine.ports import Begun, RunningStore, Start
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.starts import NOTED_AT_ONCE, Starts
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import RunNode
from flowengine.execution.records import COUNTED_RESULT_BYTES
from flowengine.execution.reports import Completed, Failed, Outcome
from flowengine.heuristics import LASTING_S, SPEED_KNOWN_AFTER
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, Registry, handler
from flowengine.settings import Limits
from tests.support.rigs.harness import NO_CALLS, NoSecrets
from tests.support.waiting import wait_until
from tests.unit.engine.tasks import task


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
    """As much of a RunningStore as starts use."""

    def __init__(self) -> None:
        self.started: list[list[str]] = []
        self.noted: list[tuple[str, Begun]] = []
        self.noted_together: list[int] = []
        self.places: list[str] = []
        self.free = 0
        self.away = False

    def start_nodes(self, tasks: Sequence[tuple[RunNode, int, str]]) -> list[Start]:
        """One round trip."""
        self.started.append([task.node for task, _, _ in tasks])
        self.places += [place for _, _, place in tasks]
        return [Start(True, {}, 1_000_000, 5) for _ in tasks]

    def note_starts(self, begun: Sequence[tuple[RunNode, Begun]]) -> None:
        """One round trip."""
        self.noted_together.append(len(begun))
        self.noted += [(task.node, start) for task, start in begun]

    def storable_bytes(self, execution: str) -> int:
        """One round trip."""
        if self.away:
            raise StoreUnavailableError("away")
        return self.free


class Texts(NoSecrets):
    """An Invoker whose every node gives so many characters; also a Redactor that knows no secret."""

    def __init__(self, length: int) -> None:
        self.length = length

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """A text."""
        return "x" * self.length


def held(*tasks: RunNode, delivery: int = 1) -> list[Held[RunNode]]:
    """Tasks in hand, each delivered so often. Nobody acknowledges them here."""
    return [Held(task, delivery, f"{at}-0/me", cast(Receipt, None), at) for at, task in enumerate(tasks)]


def hand_of(start: Start, one: RunNode | None = None) -> TaskInHand:
    """A delivery that began so."""
    return TaskInHand(held(one or task("n"))[0], start)


UNNOTED = Start(wanted=True, inputs={}, storable_bytes=None, now=7, noted=False)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def starts(store: Store) -> Starts:
    """They know the handler `quick` to be quick, and nothing of others."""
    speed = HandlerSpeed()
    for _ in range(SPEED_KNOWN_AFTER):
        speed.observe("quick", 0.0001)
    return Starts(cast(RunningStore, store), speed, lambda: 7)


def test_a_quick_node_begins_without_a_round_trip(store: Store, starts: Starts) -> None:
    """By this process's idea of the server's clock."""
    assert starts.of(held(task("a"), task("b"))) == [UNNOTED, UNNOTED]
    assert store.started == []


@pytest.mark.parametrize(
    ("one", "delivery"), [(task("b", reads=1), 1), (task("b", handler="new"), 1), (task("b"), 2)]
)
def test_others_are_noted_first(store: Store, starts: Starts, one: RunNode, delivery: int) -> None:
    """What reads, what is not known to be quick, and what somebody had before."""
    first, _, last = held(task("a"), one, task("c"))
    _, other, _ = held(task("a"), one, task("c"), delivery=delivery)
    assert [start.noted for start in starts.of([first, other, last])] == [False, True, False]
    assert store.started == [["b"]]
    assert store.places == ["1-0/me"]


@pytest.mark.parametrize("said", [[False, True], [True, False]])
def test_each_task_gets_its_own_start_though_the_speed_changes_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch, said: list[bool]
) -> None:
    """Other threads observe the handler between two looks: a node would begin with another's inputs."""
    speed = HandlerSpeed()
    answers = list(said)
    monkeypatch.setattr(speed, "is_quick", lambda handler: answers.pop(0) if answers else said[-1])
    begun = Starts(cast(RunningStore, store), speed, lambda: 7).of(held(task("a"), task("b", reads=1)))
    assert [start.noted for start in begun] == [not said[0], True]
    assert store.started == [["b"] if said[0] else ["a", "b"]]


def test_a_node_that_lasts_is_noted_once(store: Store, starts: Starts) -> None:
    """With the time at which it began, so that status shows it running."""
    hand = hand_of(UNNOTED)
    starts.note_those_that_last([hand])
    assert store.noted == []
    hand.began -= 2 * LASTING_S
    starts.note_those_that_last([hand])
    starts.note_those_that_last([hand])
    assert store.noted == [("n", Begun(delivery=1, at=7, place="0-0/me"))]


def test_what_is_noted_or_reported_is_not_noted_again(store: Store, starts: Starts) -> None:
    """A start that is written after the outcome would stay."""
    noted, reported = hand_of(msgspec.structs.replace(UNNOTED, noted=True)), hand_of(UNNOTED)
    assert reported.take()
    for hand in (noted, reported):
        hand.began -= 2 * LASTING_S
    starts.note_those_that_last([noted, reported])
    assert store.noted == []


def test_a_start_that_may_have_been_noted_is_taken_back(store: Store, starts: Starts) -> None:
    """Its noting failed, which does not say that nothing was written: the report must take it back."""
    quick, lasting, noted = (
        hand_of(UNNOTED),
        hand_of(UNNOTED),
        hand_of(msgspec.structs.replace(UNNOTED, noted=True)),
    )
    lasting.began -= 2 * LASTING_S

    def fail(begun: Sequence[tuple[RunNode, Begun]]) -> None:
        raise StoreUnavailableError("away")

    store.note_starts = fail  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        starts.note_those_that_last([quick, lasting])
    assert [hand.noted for hand in (quick, lasting, noted)] == [False, True, True]


def test_a_start_whose_noting_failed_is_noted_at_the_next_look(store: Store, starts: Starts) -> None:
    """Once Redis is back, status shows the node running."""
    hand, note = hand_of(UNNOTED), store.note_starts
    hand.began -= 2 * LASTING_S

    def fail(begun: Sequence[tuple[RunNode, Begun]]) -> None:
        raise StoreUnavailableError("away")

    store.note_starts = fail  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        starts.note_those_that_last([hand])
    store.note_starts = note  # type: ignore[method-assign]
    starts.note_those_that_last([hand])
    assert [node for node, _ in store.noted] == ["n"]


def test_nobody_reports_while_the_start_is_being_noted(starts: Starts, store: Store) -> None:
    """The outcome must come after it."""
    hand, noting, go_on = hand_of(UNNOTED), threading.Event(), threading.Event()
    hand.began -= 2 * LASTING_S
    order: list[str] = []

    def note(begun: Sequence[tuple[RunNode, Begun]]) -> None:
        noting.set()
        go_on.wait(10)
        order.append("noted")

    def report() -> None:
        hand.take()
        order.append("reported")

    store.note_starts = note  # type: ignore[method-assign]
    threads = [threading.Thread(target=starts.note_those_that_last, args=([hand],))]
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


def outcome_of(store: Store, length: int) -> Outcome:
    """What a node gives that began unnoted and returns so many characters."""
    texts, registry = Texts(length), Registry()
    registry.collect(Handlers)
    runner = Runner(
        cast(RunningStore, store),
        registry,
        texts,
        texts,
        Limits(),
        NO_CALLS,
        lambda: 7,
    )
    return runner.outcome_of(hand_of(UNNOTED, task("n", handler="text")), UNNOTED)


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


def test_what_lasts_is_noted_together(starts: Starts, store: Store) -> None:
    """A thousand nodes of a quick handler that waits for once are a few round trips, not a thousand."""
    hands = [hand_of(UNNOTED) for _ in range(NOTED_AT_ONCE + 2)]
    for hand in hands:
        hand.began -= 2 * LASTING_S
    hands[1].take()
    starts.note_those_that_last(hands)
    assert store.noted_together == [NOTED_AT_ONCE, 1]
    starts.note_those_that_last(hands)
    assert [hand.noted for hand in hands].count(False) == 1
    assert len(store.noted) == len(hands) - 1
