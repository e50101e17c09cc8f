"""One action on many executions: what it is done to, what is counted, and what comes in between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from flowengine.access.acting import Note, acting
from flowengine.access.records import Actor, ApiKey
from flowengine.errors import (
    BulkNotFoundError,
    StoredFormatError,
    StoreFullError,
    TooManyExecutionsError,
)
from flowengine.execution.requests.bulk import Bulk, BulkAction, BulkMode, BulkView
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.status import ExecutionStatus
from flowengine.queues import GROUP
from flowengine.store.access.stored_keys import StoredKeys
from flowengine.store.admission import Admission
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import ApiProcess, Entry, Harness, failing_in, plan_of
from tests.support.waiting import wait_until

ONE = {"a": ()}


def asked(
    action: BulkAction = "delete",
    ids: Sequence[str] = (),
    wanted: Wanted | None = None,
    *,
    dry_run: bool = False,
    force: bool = False,
    mode: BulkMode = "failed",
) -> Bulk:
    """What is asked of these, or of all that are wanted."""
    return Bulk(
        action=action,
        created_at=0,
        correlation_id="test",
        ids=tuple(ids),
        wanted=wanted,
        dry_run=dry_run,
        force=force,
        mode=mode,
    )


def start(harness: Harness, bulk: Bulk) -> str:
    """Begin with it; returns its id."""
    view = harness.api.executions.start_bulk(bulk)
    assert (view.status, view.seen, view.done) == ("running", 0, 0)
    return view.bulk_id


def told(harness: Harness, bulk_id: str) -> tuple[int, int, dict[str, int]]:
    """What is seen, done and refused of one that has finished."""
    view = view_of(harness, bulk_id)
    assert (view.status, view.finished_at is not None) == ("finished", True)
    return view.seen, view.done, view.refused


def view_of(harness: Harness, bulk_id: str) -> BulkView:
    """How far it is."""
    return harness.api.executions.bulk(bulk_id)


def messages(harness: Harness) -> list[Entry]:
    """The messages that wait and go on with a bulk."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "run_bulk"]


def step(harness: Harness) -> bool:
    """One message; whether it was dealt with."""
    return harness.deliver(harness.orchestrators[0], messages(harness)[0])


def pending(harness: Harness, count: int, name: str = "test") -> list[str]:
    """So many executions that were never triggered."""
    return [harness.create(plan_of(ONE, name=name)) for _ in range(count)]


def statuses(harness: Harness, executions: Sequence[str]) -> list[ExecutionStatus]:
    """What they are."""
    return [harness.api.executions.status(execution).status for execution in executions]


@pytest.mark.proves("bulk-in-steps")
def test_what_is_asked_is_done_to_each_in_steps(harness: Harness) -> None:
    """Each message deals with a batch, and the answer tells how far it is."""
    executions = pending(harness, 7)
    bulk_id = start(harness, asked("cancel", executions))
    seen = []
    while messages(harness):
        assert step(harness)
        seen.append(view_of(harness, bulk_id).seen)
    assert seen == [3, 6, 7]
    assert told(harness, bulk_id) == (7, 7, {})
    assert set(statuses(harness, executions)) == {"cancelled"}


@pytest.mark.proves("bulk-key-gone")
def test_a_bulk_stops_at_its_next_step_once_its_key_is_revoked(harness: Harness) -> None:
    """It says so, and what was done stays done; a key of that name made later does not stand for it."""
    stored = StoredKeys(harness.api.state.sessions)
    key = ApiKey(id="ops", digest="0" * 64, role="operate", kept_in="redis", created_at=5)
    unwanted = pending(harness, 6)
    assert stored.add(key)
    with acting(Note(action="start_bulk", actor=Actor(key="ops", made_at=5))):
        bulk = start(harness, asked(ids=unwanted))
    assert step(harness)
    assert (view_of(harness, bulk).done, view_of(harness, bulk).stopped) == (3, UNSET)
    assert stored.revoke("ops")
    assert stored.add(replace(key, created_at=6))
    assert step(harness)
    assert not messages(harness)
    assert told(harness, bulk) == (3, 3, {})
    assert view_of(harness, bulk).stopped == "key_not_valid"
    assert statuses(harness, unwanted[3:]) == ["pending"] * 3
    assert harness.client.zcard(harness.keys.bulks) == 0


def test_a_bulk_of_a_key_that_redis_does_not_hold_goes_on(harness: Harness) -> None:
    """One of the settings, say: nobody can revoke it but who starts the API."""
    with acting(Note(action="start_bulk", actor=Actor(key="fixed"))):
        bulk = start(harness, asked(ids=pending(harness, 2)))
    assert step(harness)
    assert (told(harness, bulk), view_of(harness, bulk).stopped) == ((2, 2, {}), UNSET)


def test_what_cannot_be_done_is_counted_by_why(harness: Harness) -> None:
    """Ended, never triggered, unknown: as a request for each would be refused."""
    running, ended = harness.begin(plan_of(ONE)), harness.begin(plan_of(ONE))
    harness.run_tasks()
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    running, (never,) = harness.begin(plan_of(ONE)), pending(harness, 1)
    ids = [running, ended, never, "f" * 27]
    paused = start(harness, asked("pause", ids))
    harness.deliver(harness.orchestrators[0], *messages(harness))
    harness.deliver(harness.orchestrators[0], *messages(harness))
    assert told(harness, paused) == (4, 1, {"completed": 1, "pending": 1, "not_found": 1})
    deleted = start(harness, asked("delete", ids))
    harness.deliver(harness.orchestrators[0], *messages(harness))
    harness.deliver(harness.orchestrators[0], *messages(harness))
    assert told(harness, deleted) == (4, 2, {"paused": 1, "not_found": 1})
    harness.api.executions.resume(running)


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "delete"])
@pytest.mark.parametrize("force", [False, True])
def test_a_dry_run_counts_what_would_be_done(harness: Harness, action: BulkAction, force: bool) -> None:
    """The same numbers as then; nothing is done."""
    executions = [*pending(harness, 2), *[harness.begin(plan_of(ONE)) for _ in range(4)]]
    failed, cancelling = harness.begin(plan_of(ONE)), harness.begin(plan_of({"a": (), "b": ()}))
    harness.script = failing_in(1, "a")
    harness.start_executions()
    harness.cancel(cancelling)
    harness.api.executions.pause(executions[-1])
    for entry in harness.tasks()[:1]:
        harness.deliver(harness.workers[0], entry)
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    ids = [*executions, failed, cancelling, "f" * 27]
    before = [harness.api.executions.status(each) for each in ids[:-1]]
    counts = []
    for dry_run in (True, False):
        bulk_id = start(harness, asked(action, ids, dry_run=dry_run, force=force and action == "delete"))
        while messages(harness):
            assert step(harness)
        counts.append(told(harness, bulk_id))
        if dry_run:
            assert [harness.api.executions.status(each) for each in ids[:-1]] == before
    assert counts[0] == counts[1]
    harness.script = lambda context: None
    if action == "pause":
        resumed = start(harness, asked("resume", ids))
        assert resumed != bulk_id


@pytest.mark.proves("bulk-rerun")
def test_a_rerun_of_many_counts_nodes_and_does_what_its_dry_run_says(harness: Harness) -> None:
    """As a rerun of each would: what has failed, or everything; the others are counted by why."""

    def at_once(mode: BulkMode, ids: Sequence[str], *, dry_run: bool) -> tuple[object, ...]:
        with acting(Note(action="start_bulk", actor=Actor(key="ops"))):
            bulk_id = start(harness, asked("rerun", ids, dry_run=dry_run, mode=mode))
        while messages(harness):
            assert step(harness)
        view = view_of(harness, bulk_id)
        return view.done, view.nodes_reset, view.results_reused, dict(view.refused)

    (never,) = pending(harness, 1)
    whole = harness.begin(plan_of(ONE))
    harness.drain()
    harness.script = failing_in(1, "b")
    broken = [harness.begin(plan_of({"a": (), "b": ("a",), "c": ("b",)})) for _ in range(3)]
    harness.drain()
    ids = [never, whole, "f" * 27, *broken]
    refused = {"pending": 1, "completed": 1, "not_found": 1}
    would = at_once("failed", ids, dry_run=True)
    assert would == (3, 6, 3, refused)
    assert statuses(harness, broken) == ["failed"] * 3
    assert at_once("failed", ids, dry_run=False) == would
    check_everything(harness.client)
    whys = [harness.api.executions.runs(each, limit=1).items[0].why for each in broken]
    assert [(why.kind, why.mode, why.by) for why in whys] == [("rerun", "failed", "ops")] * 3
    harness.drain()
    assert statuses(harness, broken) == ["completed"] * 3
    would = at_once("all", ids[1:], dry_run=True)
    assert would == (4, 10, 0, {"not_found": 1})
    assert at_once("all", ids[1:], dry_run=False) == would
    assert at_once("all", ids[1:], dry_run=False) == (0, 0, 0, {"running": 4, "not_found": 1})
    harness.drain()
    assert [harness.api.executions.status(each).run for each in (whole, *broken)] == [2, 3, 3, 3]


def test_a_rerun_that_may_not_come_in_is_counted(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """By why; the walk goes on with the others."""
    executions = [harness.begin(plan_of(ONE)) for _ in range(4)]
    harness.drain()
    full = TooManyExecutionsError("full", retry_after_s=1)
    admits = iter([None, full, StoreFullError("full"), None])

    def decide(*_: object, **__: object) -> None:
        if (error := next(admits)) is not None:
            raise error

    monkeypatch.setattr(Admission, "decide", decide)
    bulk_id = start(harness, asked("rerun", executions, mode="all"))
    while messages(harness):
        assert step(harness)
    assert told(harness, bulk_id) == (4, 2, {"too_many_executions": 1, "store_full": 1})
    harness.drain()


@pytest.mark.corrupts("that is what it is about")
def test_one_that_nobody_can_read_is_told_so(harness: Harness) -> None:
    """With what to think of it."""
    bulk_id = start(harness, asked(ids=pending(harness, 1)))
    harness.drain()
    harness.client.hset(f"fe:bulk:{bulk_id}", "asked", "{")
    with pytest.raises(StoredFormatError, match="another version wrote it"):
        view_of(harness, bulk_id)


@pytest.mark.proves("bulk-filter")
def test_a_filter_means_what_was_created_before(harness: Harness) -> None:
    """What it finds is dealt with, the newest first; what comes while it runs is left alone."""
    wanted, others = pending(harness, 7, "mine"), pending(harness, 2, "other")
    bulk_id = start(harness, asked("delete", wanted=Wanted(name="mine")))
    wait_until(lambda: harness.api.state.now() > view_created(harness, bulk_id), what="the next millisecond")
    later = pending(harness, 3, "mine")
    assert step(harness)
    later += pending(harness, 1, "mine")
    harness.drain()
    assert told(harness, bulk_id) == (7, 7, {})
    assert statuses(harness, [*others, *later]) == ["pending"] * 6
    assert not [each for each in wanted if harness.client.exists(harness.keys.control(each))]


@pytest.mark.proves("bulk-filter")
def test_what_is_not_wanted_any_more_is_left_alone(harness: Harness) -> None:
    """It is triggered between the look at the list and its turn."""
    executions = pending(harness, 2)
    start(harness, asked("delete", wanted=Wanted(statuses=("pending",)), force=True))
    other = ApiProcess("api-2", harness)
    state = harness.orchestrators[0].state
    begin = harness.orchestrators[0].bulks._store.begin
    store = harness.orchestrators[0].bulks._store

    def begins(bulk_id: str, number: int, reached: str, execution: str, **more: bool) -> object:
        if execution == executions[0]:
            other.executions.trigger(execution, correlation_id="test")
        return begin(bulk_id, number, reached, execution, **more)

    store.begin = begins  # type: ignore[method-assign, assignment]
    assert step(harness)
    other.close()
    assert state is not None
    assert statuses(harness, executions[:1]) == ["running"]
    assert not harness.client.exists(harness.keys.control(executions[1]))


@pytest.mark.proves("bulk-again")
def test_a_message_that_comes_again_does_nothing_twice(harness: Harness) -> None:
    """After its step, whose transaction has sent the next one."""
    executions = pending(harness, 5)
    bulk_id = start(harness, asked("cancel", executions))
    (entry,) = messages(harness)
    message = harness.client.xrange(harness.stream("orchestrator"), entry.id, entry.id)[0][1]
    assert step(harness)
    harness.client.xadd(harness.stream("orchestrator"), message)
    assert harness.deliver(harness.orchestrators[0], messages(harness)[-1])
    harness.drain()
    assert told(harness, bulk_id) == (5, 5, {})


@pytest.mark.proves("bulk-again")
def test_of_two_processes_with_one_batch_one_goes_on(harness: Harness) -> None:
    """The other has taken the message over, and comes first with an execution."""
    executions = pending(harness, 3)
    bulk_id = start(harness, asked("cancel", executions))
    (entry,) = messages(harness)
    second = harness.second_orchestrator()
    harness.orchestrators[0].state.between = None
    store = harness.orchestrators[0].bulks._store
    begin = store.begin

    def begins(bulk: str, number: int, reached: str, execution: str, **more: bool) -> object:
        unit = begin(bulk, number, reached, execution, **more)
        store.begin = begin  # type: ignore[method-assign]
        assert harness.deliver(second, entry)
        return unit

    store.begin = begins  # type: ignore[method-assign, assignment]
    assert not harness.deliver(harness.orchestrators[0], entry)
    harness.drain()
    assert told(harness, bulk_id) == (3, 3, {})


@pytest.mark.proves("bulk-lost")
@pytest.mark.corrupts
def test_the_sweep_goes_on_with_a_bulk_whose_message_is_lost(harness: Harness) -> None:
    """From where it stands."""
    executions = pending(harness, 5)
    bulk_id = start(harness, asked("cancel", executions))
    assert step(harness)
    for entry in messages(harness):
        harness.client.xack(harness.stream("orchestrator"), GROUP, entry.id)
        harness.client.xdel(harness.stream("orchestrator"), entry.id)
    sweep = harness.orchestrators[0].sweep
    assert sweep.run() == 0
    harness.client.zadd("fe:bulks", {bulk_id: 1, "0" * 27: 1})
    assert sweep.run() == 1
    harness.drain()
    assert told(harness, bulk_id) == (5, 5, {})
    assert harness.client.zcard("fe:bulks") == 0


def fail_four_times(harness: Harness, match: str) -> None:
    """The message raises, and is delivered again."""
    for _ in range(4):
        with pytest.raises(Exception, match=match):
            step(harness)
        (entry,) = messages(harness)
        harness.client.xclaim(harness.stream("orchestrator"), GROUP, "fe2-harness", 0, [entry.id])


@pytest.mark.proves("bulk-hindered")
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("filtered", [False, True])
def test_one_that_cannot_be_dealt_with_is_passed_over(
    harness: Harness, dry_run: bool, filtered: bool
) -> None:
    """At its fifth delivery, counted as an error; the others are dealt with."""
    executions = pending(harness, 3)
    harness.client.hset(harness.keys.control(executions[1]), "stop", "no JSON")
    ids, wanted = ((), Wanted()) if filtered else (executions, None)
    bulk_id = start(harness, asked("cancel", ids, wanted, dry_run=dry_run))
    fail_four_times(harness, "malformed")
    while messages(harness):
        assert step(harness)
    assert told(harness, bulk_id) == (3, 2, {"error": 1})
    harness.client.hdel(harness.keys.control(executions[1]), "stop")


@pytest.mark.proves("bulk-hindered")
def test_a_message_that_raises_each_time_is_let_go_of(harness: Harness) -> None:
    """Else it would keep the sweep from all that waits behind it."""
    bulk_id = start(harness, asked("cancel", pending(harness, 1)))
    harness.client.hset(harness.keys.bulk(bulk_id), "asked", '{"action":"dance"}')
    fail_four_times(harness, "dance")
    assert step(harness)
    assert messages(harness) == []
    harness.client.delete("fe:bulks", harness.keys.bulk(bulk_id))


def test_a_bulk_that_nobody_knows_is_not_found(harness: Harness) -> None:
    """Nor is one that has expired; its message is let go of."""
    bulk_id = start(harness, asked("cancel", pending(harness, 1)))
    harness.client.delete(harness.keys.bulk(bulk_id))
    harness.client.delete("fe:bulks")
    harness.drain()
    for unknown in (bulk_id, "f" * 27, "not an id"):
        with pytest.raises(BulkNotFoundError):
            view_of(harness, unknown)
    check_everything(harness.client)


def view_created(harness: Harness, bulk_id: str) -> int:
    """When it was asked for, in milliseconds."""
    return int(bulk_id[:11], 16)
