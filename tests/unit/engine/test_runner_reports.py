"""What a worker does with an outcome while Redis is away, and how much of an error it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
import pytest

from flowengine.engine.held import Held
from flowengine.engine.ports import Invoker, KeptResult, Redactor, RunningStore, Start
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.runner import MOST_ERRORS, Patience, Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.history.spoken import Said
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import ByDelivery, Completed
from flowengine.jsonvalue import UnencodableError
from flowengine.plugin import AttemptError, HandlerError, Registry
from flowengine.settings import Limits
from tests.support.rigs.harness import NoSecrets


class Outage:
    """A store that fails so many times; also a Redactor that changes nothing."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.reports = 0
        self.callbacks: list[Callback] = []
        self.crowds: list[bool] = []

    def report(
        self,
        callbacks: Sequence[Callback],
        acknowledge: object,
        said: Sequence[Said] = (),
        kept: Sequence[KeptResult] = (),
        *,
        crowd: bool = False,
    ) -> None:
        """Fails, then succeeds."""
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("away")
        self.reports += 1
        self.callbacks += callbacks
        self.crowds.append(crowd)

    def redact(self, text: str) -> str:
        """As it is."""
        return text


class Settled:
    """A Receipt that remembers."""

    def __init__(self) -> None:
        self.confirmed: list[tuple[int, ...]] = []
        self.lost: set[int] = set()

    def acknowledge(self, sink: object, entries: Sequence[int]) -> None:
        """Nothing to send."""

    def confirm(self, entries: Sequence[int]) -> None:
        """Settled."""
        self.confirmed.append(tuple(entries))

    def is_lost(self, entry: int) -> bool:
        """Whether the test says so."""
        return entry in self.lost

    def hand_back(self, entries: Sequence[int]) -> None:
        """Nobody hands back what has run."""
        raise AssertionError("it has run")

    def pass_on(self, entries: Sequence[int]) -> None:
        """Nobody passes on what has run."""
        raise AssertionError("it has run")


TASK = RunNode(
    execution="e",
    run=1,
    node="n",
    dispatch=4,
    attempt=2,
    handler="any",
    config=msgspec.Raw(b"{}"),
    reads=(),
    timeout_ms=60_000,
    correlation_id="c",
)


def runner_over(
    store: Outage, *, in_all_s: float = 0, redactor: Redactor | None = None, limits: Limits | None = None
) -> Runner:
    """A runner that only reports."""
    return Runner(
        cast(RunningStore, store),
        Registry(),
        cast(Invoker, None),
        redactor or cast(Redactor, store),
        limits or Limits(),
        cast(Environment, None),
        lambda: 0,
        patience=Patience(in_all_s, first_pause_s=0.001, longest_pause_s=0.002),
    )


@pytest.mark.proves("redis-away-at-report")
def test_outcome_is_reported_once_the_outage_is_over() -> None:
    """Work that is done is not done again because Redis was away for a moment."""
    store = Outage(failures=5)
    runner_over(store, in_all_s=30).send([], lambda sink: None)
    assert (store.failures, store.reports) == (0, 1)


@pytest.mark.proves("redis-away-at-report")
def test_patience_ends() -> None:
    """After most of a lease the message is left to be handed back."""
    store = Outage(failures=10_000)
    with pytest.raises(StoreUnavailableError):
        runner_over(store, in_all_s=0.02).send([], lambda sink: None)
    assert store.reports == 0


def test_outcome_whose_report_failed_may_be_reported_again() -> None:
    """By the runner or by the watchdog, the one that comes first; then by nobody else."""
    store, receipt = Outage(failures=1), Settled()
    runner = runner_over(store)
    hand = TaskInHand(Held(TASK, 1, "1-0/me", receipt, 3), Start(True, {}, None, 5))
    outcome = Completed(msgspec.Raw(b"1"))
    with pytest.raises(StoreUnavailableError):
        runner.report(hand, outcome)
    assert (hand.taken, receipt.confirmed) == (False, [])
    assert runner.report(hand, outcome)
    assert not runner.report(hand, outcome)
    assert (store.reports, receipt.confirmed) == (1, [(3,)])


def test_outcome_of_a_node_that_another_process_has_is_not_reported() -> None:
    """Its lease was lost: to report and acknowledge it would settle what runs there."""
    store, receipt = Outage(failures=0), Settled()
    receipt.lost.add(0)
    hand = TaskInHand(Held(TASK, 1, "1-0/me", receipt), Start(True, {}, None, 5))
    assert not runner_over(store).report(hand, Completed(msgspec.Raw(b"1")))
    assert (store.reports, receipt.confirmed, hand.taken) == (0, [], True)


def test_a_report_names_its_dispatch_and_the_delivery_that_makes_it() -> None:
    """The orchestrator goes by the dispatch, and tells repetitions by the delivery."""
    store = Outage(failures=0)
    hand = TaskInHand(Held(TASK, 2, "1-0/me", Settled()), Start(True, {}, None, 5))
    runner_over(store).report(hand, Completed(msgspec.Raw(b"1")))
    (callback,) = store.callbacks
    assert (callback.execution, callback.run, callback.node) == ("e", 1, "n")
    assert (callback.dispatch, callback.attempt, callback.by) == (4, 2, ByDelivery(2, 5))


def test_the_report_of_a_crowd_steps_back() -> None:
    """As its task did. One that is sent with others' reports goes with them."""
    store = Outage(failures=0)
    places = ("1-0/me", "1-0/me/worker:crowd", "1-0/me/worker:async:crowd")
    done = []
    for place in places:
        hand = TaskInHand(Held(TASK, 1, place, Settled()), Start(True, {}, None, 5))
        done.append((hand, runner_over(store).callback(hand, Completed(msgspec.Raw(b"1")))))
    for sent in (done, done[:1], done[1:]):
        runner_over(store).send(sent, lambda sink: None)
    assert store.crowds == [False, False, True]


def test_error_of_a_node_is_bounded() -> None:
    """Neither the number nor the length of what a handler lists can swell the record."""
    tried = tuple(AttemptError(code="c" * 5000, message="m" * 100_000) for _ in range(50))
    error = runner_over(Outage(0)).outcomes.error(HandlerError("x" * 5000, "y" * 100_000, errors=tried))
    assert error.attempts == 50
    assert len(error.errors) == MOST_ERRORS
    assert (
        len(error.code) + len(error.message) + sum(len(e.code) + len(e.message) for e in error.errors)
        < 10_000
    )


class Masking(NoSecrets):
    """A Redactor that replaces `canary`, and notes what it searched."""

    def __init__(self, mask: str) -> None:
        self.searched = 0
        self._mask = mask

    def lookup(self, name: str) -> str:
        """There is none."""
        raise LookupError(name)

    def redact(self, text: str) -> str:
        """Of a text."""
        return text.replace("canary", self._mask)

    def redact_json(self, data: bytes) -> bytes:
        """Of a document."""
        self.searched += 1
        return data.replace(b"canary", self._mask.encode())


def test_secret_is_replaced_in_the_code_of_an_error_before_it_is_cut() -> None:
    """A handler's code is its own text, as its message is."""
    tried = AttemptError(code="c" * 95 + "canary", message="m")
    runner = runner_over(Outage(0), redactor=Masking("***"))
    error = runner.outcomes.error(HandlerError("bad canary", "m", errors=(tried,)))
    assert error.code == "bad ***"
    assert error.errors[0].code == "c" * 95 + "***"


def checked(output: object, redactor: Redactor) -> bytes:
    """The output as it would be stored, of 100 bytes at most."""
    runner = runner_over(Outage(0), redactor=redactor, limits=Limits(max_result_bytes=100))
    return runner.outcomes._checked(cast(RunNode, None), output, None)


def test_result_too_large_is_not_searched_for_secrets() -> None:
    """That takes a multiple of its size."""
    redactor = Masking("***")
    with pytest.raises(HandlerError, match="the result is 102 bytes") as caught:
        checked("x" * 100, redactor)
    assert caught.value.code == "result_too_large"
    assert redactor.searched == 0


def test_result_is_measured_again_once_secrets_are_replaced() -> None:
    """A mask may be longer than what it stands for."""
    with pytest.raises(HandlerError, match="the result is 202 bytes"):
        checked("canary", Masking("x" * 200))
    assert checked("canary", Masking("***")) == b'"***"'


def test_result_that_cannot_be_searched_is_unencodable() -> None:
    """It is the handler's result that is at fault, not the engine."""

    class TooDeep(Masking):
        def redact_json(self, data: bytes) -> bytes:
            raise UnencodableError("nested too deeply")

    with pytest.raises(HandlerError, match="nested too deeply") as caught:
        checked([], TooDeep(""))
    assert caught.value.code == "unencodable_result"
