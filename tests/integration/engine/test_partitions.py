"""Keys are ready for partitions: an execution's id names its partition, and nothing reaches into another.

Every connection of the hand-driven and of the live stack is checked: whatever a transaction or an
XREADGROUP names lies in one partition (`tests/support/checks/partitions.py`).
"""

from __future__ import annotations

import pytest

from flowengine.plugin import Context
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store import keys
from tests.support.checks.partitions import PartitionCheck, partition_of_key
from tests.support.checks.reference_model import expected_values, final_statuses
from tests.support.faults import Gate, Line
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of
from tests.support.servers.valkey import Valkey

PARTITION = "ab12"


@pytest.mark.parametrize("partition", ["", PARTITION])
def test_an_execution_lives_in_the_partition_that_its_id_names(valkey: Valkey, partition: str) -> None:
    """Created, failed, triggered again, timed out, swept: every key of it has the partition's tag."""
    harness = Harness(valkey.url, partition=partition)

    def die(context: Context) -> None:
        harness.workers[0].line.dead = context.run == 2 and context.node_id == "b"

    try:
        harness.script = failing_in(1, "b")
        execution = harness.begin(plan_of(diamond()))
        assert keys.partition_of(execution) == partition
        assert len(execution) == 27 + len(partition)
        harness.drain()
        assert harness.statuses(execution) == final_statuses(diamond(), {"b"}.__contains__)
        harness.trigger(execution)
        harness.start_executions()
        harness.orchestrators[0].sweep.run()
        harness.script = die
        task = harness.task_of("b")
        assert not harness.deliver(harness.workers[0], task)
        harness.still_holding(task)
        harness.make_overdue(execution, "b", 2)
        harness.fire_timers()
        assert [entry.actor for entry in harness.waiting(ORCHESTRATOR_QUEUE)] == ["timer_fired"]
        harness.drain()
        assert harness.api.executions.results(execution).errors["b"].code == "timeout"
        harness.script = lambda context: None
        harness.trigger(execution)
        harness.drain()
        harness.orchestrators[0].sweep.run()
        assert harness.results(execution) == expected_values(diamond())
        names = [key.decode() for key in harness.client.keys("*")]
        assert [name for name in names if not name.startswith("fe:")] == []
        odd = [name for name in names if partition_of_key(name) != partition and name != "fe:format"]
        assert odd == []
    finally:
        harness.close()


def test_two_partitions_of_one_server_do_not_meet(valkey: Valkey) -> None:
    """Each has its own queues, indexes and timers."""
    first, second = Harness(valkey.url), Harness(valkey.url, partition=PARTITION)
    try:
        execution = second.begin(plan_of(diamond()))
        first.drain()
        assert second.statuses(execution) == dict.fromkeys("abcd", "pending")
        second.drain()
        assert second.results(execution) == expected_values(diamond())
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize(
    "commands",
    [
        [("MULTI",), ("HSET", "fe:x:1:control", "a", 1), ("XADD", "fe:{ab12}:q:worker", "*"), ("EXEC",)],
        [("WATCH", "fe:x:1:control", "fe:{ab12}:x:1:control")],
        [("WATCH", "fe:x:1:control"), ("MULTI",), ("DEL", "fe:{ab12}:sweep"), ("EXEC",)],
        [(b"XREADGROUP", b"STREAMS", "fe:q:worker", "fe:{ab12}:q:worker", b">", b">")],
        [("MULTI",), ("SET", "fe:format", 2), ("EXEC",)],
    ],
)
def test_the_check_sees_what_crosses_a_partition(commands: list[tuple[object, ...]]) -> None:
    """In one transaction, under WATCH, or in one read."""
    with pytest.raises(pytest.fail.Exception):
        PartitionCheck().take(commands)


def test_every_connection_of_a_rig_is_checked(valkey: Valkey) -> None:
    """Nothing of what crosses a partition is sent."""
    with Line("x", Gate()).connect(valkey.url) as client:
        pipe = client.pipeline(transaction=True)
        pipe.set("fe:sweep", 1)
        pipe.set("fe:{ab12}:sweep", 1)
        with pytest.raises(pytest.fail.Exception, match="one transaction names keys of"):
            pipe.execute()
    with valkey.connect() as client:
        assert client.keys() == []
