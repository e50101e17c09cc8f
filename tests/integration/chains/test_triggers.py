"""What has started an execution, as its templates read it and the API tells it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.requests.listing import Wanted as Listed
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import TriggerView
from flowengine.jsonvalue import JsonValue
from flowengine.template.reference import TRIGGER_FIELDS
from tests.integration.chains.chain_rig import ChainRig
from tests.support.checks.invariants import check_everything
from tests.support.servers.valkey import Valkey

AFTER: JsonValue = {"workflow": "extract"}
READS: JsonValue = [
    {
        "id": "a",
        "handler": "sum",
        "config": {"inputs": ["{{ trigger.outputs.n }}", 1]},
        "when": "{{ trigger.kind in ['after', 'rerun'] }}",
    }
]


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[ChainRig]:
    """A stack."""
    made = ChainRig(valkey.url)
    yield made
    made.harness.drain()
    check_everything(made.harness.client)
    made.harness.close()


@pytest.mark.proves("trigger-kept")
def test_nodes_read_what_the_end_has_given_that_starts_them(rig: ChainRig) -> None:
    """Without an input for it: it is kept with the execution, and the API tells it."""
    rig.apply("extract", outputs={"n": "{{ a.result }}"})
    rig.apply(
        "load", AFTER, nodes=READS, vars={"of": "{{ trigger.workflow }}"}, outputs={"of": "{{ vars.of }}"}
    )
    first = rig.run("extract")
    (found,) = rig.followers(first)
    assert found.execution_id is not None
    shown = rig.view(found.execution_id)
    assert (shown.status, rig.harness.results(found.execution_id)["a"]) == ("completed", 4)
    assert shown.outputs == {"of": msgspec.Raw(b'"extract"')}
    assert shown.trigger is not msgspec.UNSET
    assert shown.trigger.outputs == {"n": msgspec.Raw(b"2")}


@pytest.mark.proves("trigger-kept")
def test_what_was_given_is_there_still_when_the_one_that_gave_it_is_gone(rig: ChainRig) -> None:
    """Run again in place, with another input, or as a new execution."""
    rig.apply("extract", outputs={"n": "{{ a.result }}"})
    inputs: JsonValue = {"x": {"default": "{{ trigger.outputs.n }}"}}
    made: JsonValue = {"sum": "{{ inputs.x }}{{ trigger.outputs.n }}"}
    rig.apply("load", AFTER, nodes=READS, inputs=inputs, vars=made, outputs={"sum": "{{ vars.sum }}"})
    first = rig.run("extract")
    (found,) = rig.followers(first)
    assert found.execution_id is not None
    rig.harness.delete(first)
    rig.harness.drain()
    api = rig.harness.api.executions
    api.rerun(found.execution_id, RerunAsked(Wanted("all"), inputs={"x": 5}))
    rig.harness.drain()
    again = rig.view(found.execution_id)
    assert (again.status, again.run, again.outputs) == ("completed", 2, {"sum": msgspec.Raw(b'"52"')})
    forked = api.fork(found.execution_id, RerunAsked(Wanted("all"), inputs={"x": 7})).execution_id
    rig.harness.drain()
    new = rig.view(forked)
    assert (new.status, new.outputs) == ("completed", {"sum": msgspec.Raw(b'"72"')})
    assert rig.harness.results(forked)["a"] == 4
    assert new.trigger == TriggerView(
        kind="rerun",
        execution_id=found.execution_id,
        workflow="extract",
        status="completed",
        outputs={"n": msgspec.Raw(b"2")},
    )


@pytest.mark.proves("trigger-kept")
def test_a_group_reads_the_trigger_of_the_execution_and_a_child_its_own(rig: ChainRig) -> None:
    """A child was started by its parent."""
    call: JsonValue = [{"id": "c", "handler": "workflow", "config": {"name": "child"}}]
    rig.apply("extract", outputs={"n": 4})
    rig.apply("child", outputs={"kind": "{{ trigger.kind }}", "by": "{{ trigger.execution_id }}"})
    group: JsonValue = {"id": "g", "nodes": READS, "outputs": {"sum": "{{ a.result }}"}}
    outputs: JsonValue = {"sum": "{{ g.result.sum }}", "child": "{{ c.result }}"}
    assert isinstance(call, list)
    rig.apply("load", AFTER, nodes=[group, *call], outputs=outputs)
    first = rig.run("extract")
    (found,) = rig.followers(first)
    assert found.execution_id is not None
    shown = rig.view(found.execution_id)
    assert shown.outputs is not msgspec.UNSET
    assert msgspec.json.decode(shown.outputs["sum"]) == 6
    child = msgspec.json.decode(shown.outputs["child"])
    assert child == {"kind": "parent", "by": found.execution_id}


@pytest.mark.proves("trigger-kept")
def test_what_nobody_else_has_started_was_started_by_a_request(rig: ChainRig) -> None:
    """All fields are there, and null."""
    rig.apply("alone", outputs={"all": "{{ trigger }}"})
    shown = rig.view(rig.run("alone"))
    assert shown.outputs is not msgspec.UNSET
    nothing = dict.fromkeys(TRIGGER_FIELDS)
    assert msgspec.json.decode(shown.outputs["all"]) == {**nothing, "kind": "api"}


def test_a_key_for_some_definitions_sees_no_others_around_an_end(rig: ChainRig) -> None:
    """Neither those that follow, nor what one before has given."""
    rig.apply("extract", outputs={"n": 4})
    rig.apply("load", AFTER)
    rig.apply("tell", AFTER)
    first = rig.run("extract")
    status = rig.harness.api.executions.status
    seen = status(first, ("extract", "l*")).followers
    assert seen is not msgspec.UNSET
    assert [one.name for one in seen] == ["load"]
    assert status(first, ("extract",)).followers is msgspec.UNSET
    (found,) = [one for one in rig.followers(first) if one.name == "load"]
    assert found.execution_id is not None
    shown = status(found.execution_id, ("load",)).trigger
    assert shown == TriggerView(kind="after", workflow="extract", status="completed")
    listed = rig.harness.api.executions.list(Listed(definitions=("load",)), limit=5).items
    assert [one.trigger for one in listed] == [shown]
    (whole,) = rig.harness.api.executions.list(Listed(name="load"), limit=5).items
    assert whole.trigger == replace(shown, execution_id=first)


def test_a_definition_tells_which_follow_it(rig: ChainRig) -> None:
    """By name, those of a key only, and no more once they are applied without it."""
    rig.apply("extract")
    rig.apply("tell", AFTER)
    rig.apply("load", AFTER)
    show = rig.harness.api.executions.definitions.show
    assert show("extract").followers == ("load", "tell")
    assert show("extract", patterns=("extract", "t*")).followers == ("tell",)
    rig.apply("tell")
    assert show("extract").followers == ("load",)


@pytest.mark.proves("trigger-kept")
def test_what_was_given_does_not_expire_while_it_is_needed(rig: ChainRig) -> None:
    """It is kept as long as the execution: that runs now."""
    rig.apply("extract", outputs={"n": 4})
    rig.apply("load", AFTER, nodes=READS)
    first, told = rig.end("extract")
    rig.harness.deliver(rig.harness.orchestrators[0], told)
    (found,) = rig.followers(first)
    assert rig.harness.client.ttl(f"fe:x:{found.execution_id}:inputs") == -1
