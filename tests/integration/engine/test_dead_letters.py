"""Dead letters: listed in order, deleted, and retried in one transaction with what a retry does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Final

import pytest
from msgspec import UNSET

from flowengine.broker.delivery import Entry as BrokerEntry
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.set_aside.dead_letters import Reason, bury
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import ACTOR, PAYLOAD
from flowengine.engine.operations import StoredOperations
from flowengine.errors import (
    BadCursorError,
    DeadLetterNotFoundError,
    ExecutionNotFoundError,
    StoreUnavailableError,
    WrongStateError,
)
from flowengine.execution.rules.deadlines import worker_lost
from flowengine.execution.views.operations import DeadLetterView
from flowengine.queues import WORKER_QUEUE, dead_letter_key
from flowengine.store.operations import dead_letters
from tests.support.faults import Gate, ProcessDied, Way
from tests.support.rigs.harness import CONSUMER, Entry, Harness, plan_of

CHAIN = {"a": (), "b": ("a",)}
WAYS_TRIED: Final[tuple[Way, ...]] = ("die_before", "fail_after")
DEAD = dead_letter_key(WORKER_QUEUE)


@pytest.fixture
def operations(harness: Harness) -> StoredOperations:
    return harness.api.executions.operations


def give_up(harness: Harness, entry: Entry, reason: Reason = "exhausted") -> None:
    """Let the broker set a message aside, after three deliveries."""
    policy = ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, harness.now()))
    group = ConsumerGroup(harness.client, CONSUMER, lease_ms=60_000)
    fields = [ACTOR, entry.actor.encode(), PAYLOAD, entry.payload]
    buried = BrokerEntry(entry.id, 4, entry.actor, entry.payload, fields)
    bury(group, entry.queue, buried, reason, {"run_node": policy})


def killed(harness: Harness) -> str:
    """An execution that has failed because its first node killed each worker."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    give_up(harness, harness.task_of("a"))
    harness.drain()
    assert harness.api.executions.status(execution).status == "failed"
    return execution


def letters(operations: StoredOperations) -> tuple[DeadLetterView, ...]:
    """All of them, the newest first."""
    return operations.dead_letters(500, None).items


def stored(harness: Harness) -> list[str]:
    """The ids of the worker queue's letters, read past the API."""
    return [f"worker:{entry.decode()}" for entry, _ in harness.client.xrange(DEAD)]


def throw_away(harness: Harness) -> None:
    """A test that has passed leaves no letter."""
    harness.client.delete(DEAD, dead_letter_key("orchestrator"))


def pages(operations: StoredOperations, limit: int) -> Iterator[tuple[str, ...]]:
    """The ids of every page."""
    cursor = None
    while True:
        page = operations.dead_letters(limit, cursor)
        yield tuple(letter.id for letter in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def test_a_task_that_was_given_up_says_what_it_was(harness: Harness, operations: StoredOperations) -> None:
    """Its execution, run, node and handler, why, and how often it was started."""
    execution = killed(harness)
    (letter,) = letters(operations)
    assert letter == DeadLetterView(
        id=letter.id,
        queue=WORKER_QUEUE,
        reason="exhausted",
        deliveries=3,
        buried_at=letter.buried_at,
        actor="run_node",
        execution_id=execution,
        run=1,
        node="a",
        handler="sum",
        retry="trigger",
    )
    throw_away(harness)


def test_what_nobody_can_read_is_listed_as_well(harness: Harness, operations: StoredOperations) -> None:
    """An entry without a known form, and one whose last fields are missing."""
    harness.client.execute_command(
        "XADD", DEAD, "*", "x", b"\xff", "reason", "undecodable", "entry", "1-1", "deliveries", "1"
    )
    harness.client.execute_command("XADD", DEAD, "*", "a", b"\xff")
    found = letters(operations)
    assert [(each.reason, each.actor, each.deliveries, each.retry) for each in found] == [
        ("undecodable", UNSET, 0, "send"),
        ("undecodable", UNSET, 1, "send"),
    ]
    throw_away(harness)


def test_pages_come_newest_first_over_all_queues(harness: Harness, operations: StoredOperations) -> None:
    """Letters of one moment in two queues too; nothing twice, nothing missed."""
    expected = []
    for number in range(30):
        for queue in ("orchestrator", "worker"):
            entry = f"{1000 + number // 3}-{number % 3 + 1}"
            harness.client.execute_command("XADD", dead_letter_key(queue), entry, "x", "y")
            expected.append(f"{queue}:{entry}")
    for limit in (1, 7, 60, 500):
        found = list(pages(operations, limit))
        assert [each for page in found for each in page] == expected[::-1], limit
        assert {len(page) for page in found[:-1]} <= {limit}
    throw_away(harness)


def test_a_page_of_large_letters_is_short(
    harness: Harness, operations: StoredOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends behind the letter that is one too many, and the next page goes on."""
    monkeypatch.setattr(dead_letters, "PAGE_BYTES", 2500)
    for number in range(5):
        harness.client.execute_command("XADD", DEAD, f"1000-{number}", "x", "y" * 1000)
    assert [len(page) for page in pages(operations, 50)] == [3, 2]
    throw_away(harness)


@pytest.mark.parametrize("cursor", ["", "x", "worker", "worker:1", "nobody:1-1", f"worker:{2**64}-0"])
def test_a_cursor_that_no_page_gave_is_refused(operations: StoredOperations, cursor: str) -> None:
    """Its queue must be one of this stack's."""
    with pytest.raises(BadCursorError, match="next_cursor"):
        operations.dead_letters(10, cursor)


@pytest.mark.proves("letter-retried")
def test_a_retry_of_a_task_triggers_its_execution_and_takes_the_letter(
    harness: Harness, operations: StoredOperations
) -> None:
    """What was below the node runs too, as after any trigger."""
    execution = killed(harness)
    (letter,) = letters(operations)
    answer = operations.retry_dead_letter(letter.id)
    assert (answer.done, answer.execution_id, answer.run) == ("triggered", execution, 2)
    assert letters(operations) == ()
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"


@pytest.mark.proves("letter-retried")
def test_a_second_retry_finds_no_letter(harness: Harness, operations: StoredOperations) -> None:
    """Nothing is triggered twice."""
    execution = killed(harness)
    (letter,) = letters(operations)
    operations.retry_dead_letter(letter.id)
    with pytest.raises(DeadLetterNotFoundError, match="retried or deleted"):
        operations.retry_dead_letter(letter.id)
    assert harness.api.executions.status(execution).run == 2


@pytest.mark.proves("letter-retried")
def test_an_execution_that_was_triggered_since_is_left_alone(
    harness: Harness, operations: StoredOperations
) -> None:
    """By somebody, or by the retry of another letter of the same run: the letter goes, and no more."""
    execution = killed(harness)
    harness.trigger(execution)
    (letter,) = letters(operations)
    assert operations.retry_dead_letter(letter.id).done == "overtaken"
    assert (letters(operations), harness.api.executions.status(execution).run) == ((), 2)


def test_an_execution_that_still_runs_is_not_triggered(
    harness: Harness, operations: StoredOperations
) -> None:
    """The letter stays for later."""
    execution = harness.begin(plan_of({"a": (), "b": ()}))
    harness.start_executions()
    give_up(harness, harness.task_of("a"))
    (letter,) = letters(operations)
    with pytest.raises(WrongStateError, match=f"'{execution}' is running.* or delete it"):
        operations.retry_dead_letter(letter.id)
    assert letters(operations) == (letter,)
    throw_away(harness)


def test_an_execution_that_has_expired_is_said_to_be_gone(
    harness: Harness, operations: StoredOperations
) -> None:
    """The letter can be deleted."""
    execution = killed(harness)
    harness.client.delete(*harness.client.scan_iter(f"fe:x:{execution}:*"), "fe:list:by")
    (letter,) = letters(operations)
    with pytest.raises(ExecutionNotFoundError):
        operations.retry_dead_letter(letter.id)
    assert operations.delete_dead_letter(letter.id).id == letter.id
    assert letters(operations) == ()


def test_any_other_message_moves_back_to_its_queue(harness: Harness, operations: StoredOperations) -> None:
    """As it was: a task that was taken for undecodable runs."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    give_up(harness, harness.task_of("a"), "undecodable")
    assert harness.tasks() == []
    (letter,) = letters(operations)
    assert (letter.node, letter.retry) == ("a", "send")
    assert operations.retry_dead_letter(letter.id).done == "sent"
    assert letters(operations) == ()
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"


def test_a_message_that_is_out_of_date_changes_nothing(
    harness: Harness, operations: StoredOperations
) -> None:
    """Its dispatch number says so."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    task = harness.task_of("a")
    harness.client.execute_command(
        "XADD", DEAD, "*", ACTOR, task.actor, PAYLOAD, task.payload,
        "reason", "undecodable", "entry", task.id, "deliveries", 1,
    )  # fmt: skip
    harness.drain()
    results = harness.results(execution)
    (letter,) = letters(operations)
    operations.retry_dead_letter(letter.id)
    harness.drain()
    assert harness.results(execution) == results


@pytest.mark.parametrize(
    "letter", ["", "worker", "worker:", "worker:1-1", "nobody:1-1", "worker:1-1-1", f"worker:{2**64}-0"]
)
def test_an_id_that_no_letter_has_is_not_found(operations: StoredOperations, letter: str) -> None:
    """Neither retried nor deleted."""
    with pytest.raises(DeadLetterNotFoundError):
        operations.retry_dead_letter(letter)
    with pytest.raises(DeadLetterNotFoundError):
        operations.delete_dead_letter(letter)


@pytest.mark.proves("letter-retried")
@pytest.mark.parametrize("reason", ["exhausted", "undecodable"])
def test_a_retry_cut_anywhere_is_done_whole_or_not_at_all(harness: Harness, reason: Reason) -> None:
    """The letter is there until what it asks for is done, and gone from then on."""
    for way in WAYS_TRIED:
        for at in count(1):
            execution = harness.begin(plan_of({"a": ()}))
            harness.start_executions()
            give_up(harness, harness.task_of("a"), reason)
            if reason == "exhausted":
                harness.drain()
            harness.gate = Gate(at=at, way=way)
            harness.api.reborn()
            (letter,) = stored(harness)
            with suppress(ProcessDied, StoreUnavailableError):
                harness.api.executions.operations.retry_dead_letter(letter)
            struck, harness.gate = harness.gate.struck, Gate()
            harness.api.reborn()
            run = harness.api.executions.status(execution).run
            done = run == 2 if reason == "exhausted" else bool(harness.tasks())
            assert done == (stored(harness) == []), f"{way} at {at} ({struck})"
            if not done:
                harness.api.executions.operations.retry_dead_letter(letter)
            harness.drain()
            assert harness.api.executions.status(execution).status == "completed"
            if struck is None:
                break
