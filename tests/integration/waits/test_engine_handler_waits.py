"""Handlers of users' own that return `Wait`: their nodes wait for signals."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.errors import SignalNotFoundError
from flowengine.workflow.plan import Plan, Task
from flowengine.workflow.policy import Policy
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.integration.waits.test_engine_signals import carried, result_of
from tests.integration.waits.test_engine_waits import settle, view_of, wait_for_it
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import HOLD_S, Harness, plan_of

LINE: Graph = {"pay": (), "after": ("pay",)}
NAMES = ("paid", "refused")
DECLARED = WaitPolicy("signal", names=NAMES, several=True, schema='{"type":"object"}')


def charging(declared: WaitPolicy | None = DECLARED) -> Plan:
    """A plan whose node `pay` has the handler `charge`."""
    plan = plan_of(LINE, reading=False)
    first = plan.nodes[0]
    work = msgspec.structs.replace(first.work, handler="charge")
    assert isinstance(work, Task)
    nodes = (msgspec.structs.replace(first, work=work), *plan.nodes[1:])
    return msgspec.structs.replace(
        plan, nodes=nodes, policies={0: Policy(waits=declared)} if declared else {}
    )


def waiting(harness: Harness) -> str:
    """An execution whose node has run, and waits."""
    execution = harness.begin(charging())
    wait_for_it(harness, execution)
    return execution


@pytest.mark.proves("handler-waits")
def test_a_handler_that_returns_wait_has_its_node_wait_for_the_signal(harness: Harness) -> None:
    """No worker holds it. It completes with what the signal carries; its handler is not called again."""
    execution = waiting(harness)
    assert not harness.tasks()
    shown = view_of(harness, execution, "pay").waiting_for
    assert shown
    assert (shown.kind, shown.prompt) == ("signal", "pay")
    listed = harness.api.executions.waiting(["signal"], limit=10).items
    assert [(item.node, item.names) for item in listed] == [("pay", ("paid",))]
    harness.signal(execution, "paid", b'{"amount":7}')
    settle(harness)
    assert result_of(harness, execution, "pay") == carried({"amount": 7})
    assert [call.node_id for call in harness.workers[0].invoker.calls] == ["pay", "after"]


@pytest.mark.proves("handler-waits")
def test_a_signal_that_the_handler_did_not_ask_for_is_kept(harness: Harness) -> None:
    """It declares two, and waits for one: the other one stays, though it came first."""
    execution = harness.begin(charging())
    harness.signal(execution, "refused", b"{}")
    wait_for_it(harness, execution)
    assert harness.statuses(execution)["pay"] == "waiting"
    harness.signal(execution, "paid", b"{}")
    settle(harness)
    assert set(harness.statuses(execution).values()) == {"completed"}


def test_signals_are_checked_by_what_the_handler_declares(harness: Harness) -> None:
    """Their names and what they carry."""
    execution = waiting(harness)
    with pytest.raises(SignalNotFoundError, match="did you mean 'paid'"):
        harness.signal(execution, "payd", b"{}")
    with pytest.raises(PayloadInvalidError):
        harness.signal(execution, "paid", b"7")


@pytest.mark.proves("handler-waits")
def test_the_time_of_the_wait_is_the_handlers_own(harness: Harness) -> None:
    """Past it the node fails for good. Another trigger calls the handler again: it waits for all that it
    declares then, and goes on without a signal."""
    execution = waiting(harness)
    record = check(harness.client, execution).record("pay")
    assert record.waits
    assert record.until == record.waits.since + round(HOLD_S * 1000)
    assert harness.end_waits() == 1
    harness.drain()
    error = harness.api.executions.results(execution).errors["pay"]
    assert (error.code, error.message) == ("timeout", "nothing has come within timeout_seconds (3600 s)")
    harness.trigger(execution)
    wait_for_it(harness, execution)
    assert [item.names for item in harness.api.executions.waiting(["signal"], limit=10).items] == [NAMES]
    assert harness.end_waits() == 1
    harness.drain()
    assert result_of(harness, execution, "pay") == {"result": {"timed_out": True}, "timed_out": True}
    assert set(harness.statuses(execution).values()) == {"completed"}


@pytest.mark.proves("handler-waits")
def test_of_several_signals_the_result_names_the_one_that_came(harness: Harness) -> None:
    """As with `names` of the handler `signal`."""
    execution = waiting(harness)
    harness.end_waits()
    harness.drain()
    harness.trigger(execution)
    wait_for_it(harness, execution)
    harness.signal(execution, "refused", b'{"why":"no money"}')
    settle(harness)
    assert result_of(harness, execution, "pay") == carried(
        {"name": "refused", "payload": {"why": "no money"}}
    )


def test_a_cancel_ends_the_wait(harness: Harness) -> None:
    """As it ends any other."""
    execution = waiting(harness)
    harness.cancel(execution)
    settle(harness)
    assert harness.statuses(execution) == {"pay": "cancelled", "after": "cancelled"}


@pytest.mark.proves("handler-waits")
@pytest.mark.parametrize("declared", [None, WaitPolicy("signal", names=("refused",))])
def test_a_signal_that_is_not_declared_fails_the_node(harness: Harness, declared: WaitPolicy | None) -> None:
    """Nobody could send it; the error says what to do, and quotes no name that a handler may have made."""
    execution = harness.begin(charging(declared))
    harness.drain()
    error = harness.api.executions.results(execution).errors["pay"]
    assert error.code == "handler_error"
    assert "signals=[...]" in error.message
    assert "paid" not in error.message
