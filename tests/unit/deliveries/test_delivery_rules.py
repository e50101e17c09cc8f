"""When results are sent again, and when no more."""

from __future__ import annotations

import pytest

from flowengine.execution.changes import ArmTimer, Change, Send, WriteDelivery
from flowengine.execution.delivery.records import KEPT_ATTEMPTS, Delivery, DeliveryAttempt
from flowengine.execution.delivery.rules import (
    LONGEST_ASKED_MS,
    LONGEST_PAUSE_MS,
    TRIED_FOR_MS,
    after_attempt,
    deliver,
    is_awaited,
    is_overtaken,
    overtake,
    send,
)
from flowengine.execution.messages import DeliverResults, DeliveryAttempted, DeliveryDue
from flowengine.execution.records import Control
from flowengine.execution.rules.dispatching import Run

RUN = Run("x", 2, "c")
SINCE = 1_000_000
FRESH = Delivery(2, SINCE)


def report(
    status_code: int | None, *, number: int = 1, at: int = SINCE, retry_after_ms: int | None = None
) -> DeliveryAttempted:
    """What a worker tells of an attempt."""
    error = None if status_code == 200 else "no"
    return DeliveryAttempted(
        execution="x",
        run=2,
        number=number,
        correlation_id="c",
        attempt=DeliveryAttempt(at, 5, status_code, error),
        retry_after_ms=retry_after_ms,
    )


def written(changes: tuple[Change, ...]) -> Delivery:
    """What is stored of the delivery."""
    (found,) = (change.delivery for change in changes if isinstance(change, WriteDelivery))
    return found


def armed(changes: tuple[Change, ...]) -> list[tuple[DeliveryDue, int]]:
    """The timers of deliveries that are armed."""
    return [
        (change.timer, change.due)
        for change in changes
        if isinstance(change, ArmTimer) and isinstance(change.timer, DeliveryDue)
    ]


def test_the_end_of_a_run_sends_its_results_for_the_first_time() -> None:
    """The record and the message are changes of the transaction that ends it."""
    stored, sent = deliver(RUN, SINCE)
    assert stored == WriteDelivery(FRESH, SINCE)
    assert sent == Send(DeliverResults(execution="x", run=2, number=1, correlation_id="c"))


@pytest.mark.parametrize("status_code", [200, 204, 299])
def test_an_answer_of_2xx_is_the_end(status_code: int) -> None:
    """Nothing is sent again."""
    changes = after_attempt("x", FRESH, report(status_code), SINCE + 10)
    assert (written(changes).state, written(changes).why, armed(changes)) == ("delivered", None, [])


def test_410_is_the_end_at_once() -> None:
    """The receiver says that nobody waits for it there."""
    changes = after_attempt("x", FRESH, report(410), SINCE + 10)
    assert (written(changes).state, written(changes).why, armed(changes)) == ("failed", "gone", [])


@pytest.mark.parametrize("status_code", [None, 199, 301, 400, 401, 404, 409, 429, 500, 503])
def test_everything_else_is_sent_again_after_a_pause(status_code: int | None) -> None:
    """As the next attempt, by a timer, about five seconds later."""
    now = SINCE + 10
    changes = after_attempt("x", FRESH, report(status_code), now)
    ((timer, due),) = armed(changes)
    assert timer == DeliveryDue(execution="x", run=2, number=2)
    assert now + 4_000 <= due <= now + 5_000
    assert written(changes).state == "pending"
    assert (written(changes).number, written(changes).until) == (2, due)


def test_pauses_double_up_to_an_hour_and_differ_between_executions() -> None:
    """The jitter keeps receivers that were down from being called by all at once."""
    pauses = []
    for number in range(1, 16):
        delivery = Delivery(2, SINCE, number=number)
        ((_, due),) = armed(after_attempt("x", delivery, report(500, number=number), SINCE))
        pauses.append(due - SINCE)
    assert pauses[1] > pauses[0]
    assert all(LONGEST_PAUSE_MS * 0.8 <= pause <= LONGEST_PAUSE_MS for pause in pauses[-4:])
    others = {armed(after_attempt(f"x{n}", FRESH, report(500), SINCE))[0][1] for n in range(20)}
    assert len(others) > 10


@pytest.mark.proves("delivery-retry-after")
def test_a_receiver_may_ask_for_a_longer_pause_and_for_no_shorter_one() -> None:
    """Six hours at most: a receiver must not be able to put it off for ever."""
    pauses = [
        armed(after_attempt("x", FRESH, report(503, retry_after_ms=asked), SINCE))[0][1] - SINCE
        for asked in (0, 600_000, 10**12)
    ]
    assert pauses[0] >= 4_000
    assert pauses[1:] == [600_000, LONGEST_ASKED_MS]


@pytest.mark.proves("delivery-given-up")
def test_after_a_day_it_is_given_up() -> None:
    """When the next attempt would come later than that."""
    last = Delivery(2, SINCE, number=30)
    late = after_attempt("x", last, report(500, number=30), SINCE + TRIED_FOR_MS - 1)
    assert (written(late).state, written(late).why, armed(late)) == ("failed", "given_up", [])
    early = after_attempt("x", last, report(500, number=30), SINCE + TRIED_FOR_MS - LONGEST_PAUSE_MS)
    assert written(early).state == "pending"


def test_the_newest_attempts_are_kept() -> None:
    """A day has some thirty of them."""
    delivery = FRESH
    for number in range(1, KEPT_ATTEMPTS + 6):
        delivery = written(after_attempt("x", delivery, report(500, number=number, at=number), SINCE))
    assert [each.at for each in delivery.attempts] == list(range(6, KEPT_ATTEMPTS + 6))


def test_what_is_sent_again_is_the_attempt_that_was_waited_for() -> None:
    """And it waits no more."""
    waiting = Delivery(2, SINCE, number=4, until=SINCE + 9)
    stored, sent = send(RUN, waiting, SINCE + 9)
    assert stored == WriteDelivery(Delivery(2, SINCE, number=4), SINCE + 9)
    assert sent == Send(DeliverResults(execution="x", run=2, number=4, correlation_id="c"))


@pytest.mark.parametrize(
    ("delivery", "waits"),
    [
        (None, False),
        (FRESH, True),
        (Delivery(2, SINCE, number=2), False),
        (Delivery(2, SINCE, state="delivered"), False),
        (Delivery(2, SINCE, state="failed", why="gone"), False),
    ],
)
def test_only_the_attempt_whose_turn_it_is_is_awaited(delivery: Delivery | None, waits: bool) -> None:
    """What belongs to another one is stale."""
    assert is_awaited(delivery, 1) is waits


def test_a_run_that_another_one_follows_is_overtaken() -> None:
    """Its results are gone, or will be."""
    assert not is_overtaken(Control("completed", 2), FRESH)
    assert is_overtaken(Control("running", 3), FRESH)
    assert is_overtaken(Control("failed", 3), FRESH)
    assert written(overtake(FRESH, SINCE)).why == "overtaken"
