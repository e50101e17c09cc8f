"""Something else stands where the engine has a key: the sweep passes it over and sees to all others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from flowengine.execution.requests.bulk import Bulk
from flowengine.store import keys
from tests.support.checks.reference_model import expected_values
from tests.support.rigs.harness import Harness, diamond, plan_of


def swept(harness: Harness) -> int:
    """How many things two sweeps repair: the first only remembers where everything stands."""
    turn = harness.orchestrators[0].sweep
    return turn.run() + turn.run()


def put_string(client: redis.Redis, key: str) -> None:
    """Something else where the engine has a key of its own."""
    client.delete(key)
    client.set(key, "odd")


def put_list(client: redis.Redis, key: str) -> None:
    """The same, of a type that the engine never uses."""
    client.delete(key)
    client.rpush(key, "odd")


@pytest.mark.corrupts("keys of one execution hold something else")
@pytest.mark.proves("key-odd")
@pytest.mark.parametrize("put", [put_string, put_list])
@pytest.mark.parametrize("kind", ["control", "counts", "plan", "deps", "events", "node"])
def test_an_execution_with_an_odd_key_costs_no_other(
    harness: Harness, kind: str, put: Callable[[redis.Redis, str], None]
) -> None:
    """Whatever stands there, the sweep sees to all others, at each turn."""
    names = keys.of()
    broken, sound = (harness.begin(plan_of(diamond())) for _ in range(2))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    key = names.node(broken, "a") if kind == "node" else getattr(names, kind)(broken)
    put(harness.client, key)
    for _ in range(2):
        swept(harness)
    harness.drain()
    assert harness.results(sound) == expected_values(diamond())


@pytest.mark.corrupts("keys that belong to no execution hold something else")
@pytest.mark.proves("key-odd")
@pytest.mark.parametrize("value", ["", "soon", "\u00b2", "inf", "9" * 5000])
def test_an_odd_value_beside_a_queue_does_not_stop_the_sweep(harness: Harness, value: str) -> None:
    """`fe:moved:QUEUE` is a time; what is none is passed over, counted and logged."""
    execution = harness.begin(plan_of(diamond()))
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    harness.client.set(keys.of().moved("orchestrator"), value)
    assert swept(harness) == 1
    assert harness.orchestrators[0].state.unreadable > 0
    harness.drain()
    assert harness.results(execution) == expected_values(diamond())


@pytest.mark.corrupts("an index is none")
@pytest.mark.proves("key-odd")
def test_an_index_that_is_none_does_not_keep_the_others_from_being_pruned(harness: Harness) -> None:
    """It is counted and logged."""
    put_string(harness.client, "fe:index:completed")
    harness.client.zadd("fe:index:pending", {"x": 1})
    harness.client.zadd("fe:index:failed", {"x": 1})
    swept(harness)
    assert not harness.client.exists("fe:index:pending", "fe:index:failed")
    assert harness.orchestrators[0].state.unreadable > 0


def put_unknown(client: redis.Redis, key: str) -> None:
    """An action on many that no version knows."""
    client.delete(key)
    client.hset(key, mapping={"asked": '{"action":"dance"}', "step": "1", "reached": ""})


@pytest.mark.corrupts("what says how far deletes and actions on many are holds something else")
@pytest.mark.proves("key-odd")
@pytest.mark.parametrize(
    ("kind", "put"),
    [
        *((kind, put) for kind in ("bulks", "bulk", "deleting", "control") for put in (put_string, put_list)),
        ("bulk", put_unknown),
    ],
)
def test_odd_keys_of_what_goes_on_in_steps_do_not_stop_the_sweep(
    harness: Harness, kind: str, put: Callable[[redis.Redis, str], None]
) -> None:
    """It goes on with the others, and prunes."""
    names = keys.of()
    odd, sound = harness.create(plan_of(diamond())), harness.create(plan_of(diamond()))
    asked = Bulk(action="cancel", created_at=0, correlation_id="test", ids=(odd,))
    bulks = [harness.api.executions.start_bulk(asked).bulk_id for _ in range(2)]
    harness.delete(sound)
    harness.client.xtrim("fe:q:orchestrator", maxlen=0)
    harness.client.zadd(names.bulks, dict(zip(bulks, (1, 2), strict=True)))
    harness.client.zadd(names.deleting, {odd: 1, sound: 2})
    of = {"bulk": names.bulk(bulks[0]), "control": names.control(odd)}
    put(harness.client, of.get(kind) or getattr(names, kind))
    harness.client.zadd("fe:index:failed", {"x": 1})
    swept(harness)
    process = harness.orchestrators[0]
    assert not harness.client.exists("fe:index:failed")
    assert process.state.unreadable + process.sweep.unchecked > 0
    assert harness.client.exists(names.plan(sound)) == (kind == "deleting")
    assert (harness.waiting("orchestrator") == []) == (kind == "bulks")
