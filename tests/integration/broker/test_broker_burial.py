"""Burials: a message, its dead letter and what tells of its death move together or not at all."""

from __future__ import annotations

import pytest
import redis

from flowengine.broker.delivery import Entry
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.set_aside.dead_letters import bury
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.broker.streams.wire import ACTOR, PAYLOAD
from flowengine.execution.rules.deadlines import worker_lost
from flowengine.queues import ORCHESTRATOR_QUEUE
from tests.support.faults import WAYS, Gate, Line, ProcessDied
from tests.support.rigs.broker_rig import QUEUE, Rig, encoded

POLICIES = {"run_node": ActorPolicy(on_dead=lambda task, starts: worker_lost(task, starts, 0))}
KILLER = encoded("killer")
COMMANDS = 6
"""MULTI, the message that tells, the dead letter, XACK, XDEL, EXEC."""


def buried(rig: Rig, gate: Gate) -> bool:
    """Whether a burial that passes this gate says that it was done."""
    line = Line("worker", gate)
    client = line.connect(rig.server.url)
    try:
        [entry] = rig.take_as("gone", deliveries=3)
        fields = [ACTOR, b"run_node", PAYLOAD, KILLER]
        group = ConsumerGroup(client, "gone", lease_ms=1000)
        bury(group, QUEUE, Entry(entry, 4, "run_node", KILLER, fields), "exhausted", POLICIES)
    except (ProcessDied, redis.ConnectionError):
        return False
    finally:
        client.close()
    return True


@pytest.mark.proves("process-killed-at-burial")
def test_a_burial_cut_anywhere_happens_whole_or_not_at_all(rig: Rig) -> None:
    """Its callback is sent, its dead letter written and its message gone, or none of the three."""
    broker = rig.engine_broker()
    for way in WAYS:
        for at in range(1, COMMANDS + 2):
            rig.client.flushall()
            rig.send(broker, KILLER, actor="run_node")
            gate = Gate(at=at, way=way)
            said = buried(rig, gate)
            told, dead, left = rig.length(ORCHESTRATOR_QUEUE), len(rig.dead()), rig.length()
            where = f"{way} at {at} ({gate.struck})"
            assert (told, dead, left) in ((1, 1, 0), (0, 0, 1)), f"half buried by {way} at {at}"
            assert len(rig.pending()) == left, where
            assert said == (gate.struck is None), where
            assert dead or not said, where
        assert gate.struck is None, "not every command was tried"
