"""An end and what follows it, cut at each of the commands: repeated, each follower starts once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowengine.engine.definitions.refusals import WorkflowInvalidError
from flowengine.errors import StoreUnavailableError
from flowengine.jsonvalue import JsonValue
from tests.integration.chains.chain_rig import ChainRig
from tests.support.checks.invariants import check_everything
from tests.support.faults import Gate, ProcessDied
from tests.support.servers.valkey import Valkey

ENDS: JsonValue = ["completed", "failed"]


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[ChainRig]:
    """A stack."""
    made = ChainRig(valkey.url)
    yield made
    made.harness.close()


@pytest.mark.proves("chain-cut")
def test_an_end_cut_anywhere_starts_each_that_follows_once(rig: ChainRig) -> None:
    """One with inputs, one that is refused and one without, in every way that leaves something behind."""

    def tried(number: int, gate: Gate) -> None:
        first = f"e{number}"
        given: JsonValue = {"workflow": first, "inputs": {"of": "{{ trigger.execution_id }}"}}
        wrong: JsonValue = {"workflow": first, "inputs": {"of": "{{ trigger.outputs.gone }}"}}
        rig.apply(first)
        rig.apply(f"a{number}", given)
        rig.apply(f"b{number}", wrong)
        rig.apply(f"c{number}", {"workflow": first, "status": ENDS})
        execution, told = rig.end(first)
        rig.strike(gate)
        rig.harness.deliver(rig.harness.orchestrators[0], told)
        rig.strike(Gate())
        rig.harness.drain()
        check_everything(rig.harness.client)
        assert [len(rig.of(f"{name}{number}")) for name in "abc"] == [1, 0, 1], gate.struck
        told_of = [(one.name[0], one.code) for one in rig.followers(execution)]
        assert told_of == [("a", None), ("b", "inputs_invalid"), ("c", None)], gate.struck
        assert not rig.harness.client.exists("fe:timers:followers"), gate.struck
        for name in (first, f"a{number}", f"b{number}", f"c{number}"):
            rig.harness.api.executions.definitions.delete(name)

    whole = Gate()
    tried(0, whole)
    points = list(dict.fromkeys(whole.apart))
    assert len(points) > 10
    for number, (way, at) in enumerate(points, 1):
        tried(number, Gate(at, way))


@pytest.mark.proves("chain-cut")
def test_an_apply_that_is_cut_anywhere_writes_its_links_with_it_or_not_at_all(rig: ChainRig) -> None:
    """Repeated, it is there once."""

    def tried(number: int, gate: Gate) -> None:
        rig.harness.api.line.gate = gate
        for _ in range(3):
            try:
                rig.apply(f"late{number}", {"workflow": f"first{number}"})
                break
            except (StoreUnavailableError, ProcessDied, WorkflowInvalidError):
                if rig.harness.api.line.dead:
                    rig.harness.api.reborn()
                rig.harness.api.line.gate = Gate()
                check_everything(rig.harness.client)
        rig.harness.api.line.gate = Gate()
        check_everything(rig.harness.client)
        assert rig.harness.client.execute_command("ZCARD", "fe:links") == 1, gate.struck
        rig.harness.api.executions.definitions.delete(f"late{number}")
        assert not rig.harness.client.exists("fe:links")

    whole = Gate()
    tried(0, whole)
    for number, (way, at) in enumerate(dict.fromkeys(whole.apart), 1):
        tried(number, Gate(at, way))
