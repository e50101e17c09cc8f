"""Which keys live for how long: a running execution never expires, an ended one always does."""

from __future__ import annotations

import pytest

from flowengine.execution.requests.idempotency import IdempotentRequest
from flowengine.store.committing.encode_changes import CONTROL_LEAD_S
from tests.support.checks.invariants import CheckEverything
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of


def lifetimes(harness: Harness, execution: str) -> dict[str, int]:
    """Key -> seconds left, -1 for ever."""
    prefix = f"fe:x:{execution}:"
    return {
        key.decode().removeprefix(prefix): harness.client.ttl(key)
        for key in harness.client.keys(f"{prefix}*")
    }


def test_an_execution_never_triggered_expires(harness: Harness, check_invariants: CheckEverything) -> None:
    """After the retention, counted from its creation."""
    execution = harness.create(plan_of(diamond()))
    left = lifetimes(harness, execution)
    retention = harness.settings.retention_s
    assert retention - 5 <= left["control"] <= retention
    assert left["plan"] > left["control"]
    check_invariants()


def test_no_key_of_a_running_execution_expires_at_any_step(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """From the trigger to the last callback, inputs that came before it among them."""
    made = harness.api.executions.create(plan_of(diamond()), correlation_id="test", inputs={"day": "today"})
    execution = made.execution_id
    assert lifetimes(harness, execution)["inputs"] > 0
    harness.trigger(execution)
    assert "inputs" in lifetimes(harness, execution)
    for node in ("a", "b", "c", "d"):
        assert set(lifetimes(harness, execution).values()) == {-1}
        harness.start_executions()
        harness.run_tasks(node)
        assert set(lifetimes(harness, execution).values()) == {-1}
        check_invariants()
        harness.deliver(harness.orchestrators[0], *harness.callbacks())


def test_no_key_of_what_begins_as_it_is_created_expires(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Nothing has to be taken off, and it never stands among those that wait for a trigger."""
    execution = harness.api.executions.start(
        plan_of(diamond()),
        correlation_id="test",
        inputs={"day": "today"},
        labels={"team": "data"},
        document=b"as it was posted",
        request=IdempotentRequest(f"{1 << 63:016x}", "what it asks for"),
        callback_url="https://example.com/ended",
    ).execution_id
    left = lifetimes(harness, execution)
    assert set(left) == {"control", "counts", "plan", "deps", "inputs", "document", "deliveries"}
    assert set(left.values()) == {-1}
    assert [harness.client.ttl(key) for key in harness.client.keys("fe:once:*")] == [-1]
    assert not harness.client.exists("fe:index:pending", "fe:list:pending")
    check_invariants()


@pytest.mark.proves("execution-ended")
def test_every_key_of_an_ended_execution_expires_control_first(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """So that a reader who finds control finds the rest."""
    execution = harness.begin(plan_of(diamond()))
    harness.drain()
    left = lifetimes(harness, execution)
    assert set(left) == {
        "control",
        "counts",
        "plan",
        "deps",
        "events",
        "node:a",
        "node:b",
        "node:c",
        "node:d",
    }
    control = left.pop("control")
    assert harness.settings.retention_s - 5 <= control <= harness.settings.retention_s
    assert all(
        control + CONTROL_LEAD_S - 2 <= other <= control + CONTROL_LEAD_S + 2 for other in left.values()
    )
    check_invariants()


@pytest.mark.proves("execution-ended")
def test_a_retry_takes_the_expiry_off(harness: Harness, check_invariants: CheckEverything) -> None:
    """Of every key, those of completed nodes too; and its end puts it back on."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of(diamond()))
    harness.drain()
    assert -1 not in lifetimes(harness, execution).values()
    harness.trigger(execution)
    assert set(lifetimes(harness, execution).values()) == {-1}
    harness.drain()
    assert -1 not in lifetimes(harness, execution).values()
    check_invariants()


@pytest.mark.proves("start-noted-after-end")
def test_a_start_written_after_the_end_does_not_stay(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """It would have no expiry: the worker that wrote it removes it."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    task = harness.task_of("a")
    harness.drain()
    assert harness.deliver(harness.workers[0], task)
    assert "started" not in lifetimes(harness, execution)
    check_invariants()
