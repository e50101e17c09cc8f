"""Plans in memory: bounded, and shared by executions of the same workflow."""

from __future__ import annotations

from flowengine.store import plan_cache as plans
from flowengine.store.plan_cache import NODE_BYTES, PlanCache
from flowengine.workflow.plan import encode_plan
from tests.support.rigs.harness import plan_of

SMALL = encode_plan(plan_of({"a": ()}))


def encoded(number: int) -> bytes:
    """A plan unlike the others."""
    return encode_plan(plan_of({f"n{number}": ()}))


def test_executions_of_one_workflow_share_its_plan() -> None:
    """It is decoded once."""
    cache = PlanCache()
    assert cache.put("x", SMALL) is cache.put("y", SMALL)
    assert cache.get("x") is cache.get("y")


def test_the_plans_used_last_are_kept() -> None:
    """As many as there is room for, counting what their nodes take beside their configs."""
    cache = PlanCache(budget=2 * (len(encoded(1)) + NODE_BYTES))
    cache.put("x1", encoded(1))
    cache.put("x2", encoded(2))
    assert cache.get("x1") is not None
    cache.put("x3", encoded(3))
    assert [cache.get(name) is not None for name in ("x1", "x2", "x3")] == [True, False, True]


def test_several_of_the_largest_plans_fit() -> None:
    """One that does not is read and decoded anew with each callback: a hundred times slower."""
    largest = 1000 * (10_240 + 200 + NODE_BYTES)
    assert 5 * largest < plans.BUDGET_BYTES


def test_an_execution_that_has_ended_is_forgotten() -> None:
    """Its plan may still serve others."""
    cache = PlanCache()
    cache.put("x", SMALL)
    cache.put("y", SMALL)
    cache.drop("x")
    assert cache.get("x") is None
    assert cache.get("y") is not None
