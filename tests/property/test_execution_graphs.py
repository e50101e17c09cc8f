"""Random graphs, random failures, random order of delivery: every node ends as the small model says."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowengine.execution.rules.dispatching import Sizes
from tests.property.examples import share_of_examples
from tests.property.graphs import graphs, names_of, sayings, stages, stages_of
from tests.support.checks.invariants import check, check_everything
from tests.support.checks.reference_model import (
    Graph,
    Model,
    expected_values,
    final_statuses,
    run_to_the_end,
)
from tests.support.rigs.harness import Harness, failing_in, plan_of, silence
from tests.support.servers.valkey import Valkey

FIXTURES = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@settings(max_examples=share_of_examples(60), suppress_health_check=FIXTURES)
@given(graph=graphs(most=12), data=st.data())
def test_every_node_ends_as_the_model_says(valkey: Valkey, graph: Graph, data: st.DataObject) -> None:
    """In the first run with failures, and in the second, which retries only what failed."""
    failing = data.draw(st.sets(st.sampled_from(list(graph)), max_size=3))
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url)
    if data.draw(st.booleans()):
        harness.second_orchestrator()
    harness.script = failing_in(1, *failing)
    try:
        with silence():
            execution = harness.begin(plan_of(graph))
            harness.drain(batch=data.draw(st.integers(1, 8)))
            first = final_statuses(graph, failing.__contains__)
            assert harness.statuses(execution) == first
            check_everything(harness.client)
            if not failing:
                return
            ran = len(harness.workers[0].invoker.calls)
            harness.trigger(execution)
            harness.drain(batch=data.draw(st.integers(1, 8)))
            assert harness.results(execution) == expected_values(graph)
            again = [call.node_id for call in harness.workers[0].invoker.calls[ran:]]
            assert sorted(again) == sorted(node for node, status in first.items() if status == "failed")
            check_everything(harness.client)
    finally:
        harness.close()


@settings(max_examples=share_of_examples(150), suppress_health_check=FIXTURES)
@given(graph=graphs(most=10), data=st.data())
def test_every_node_ends_as_its_rule_says(valkey: Valkey, graph: Graph, data: st.DataObject) -> None:
    """In the first run, and after a trigger of the failed one, whatever the order of the ends; so do outputs
    and hooks."""
    hooks = data.draw(stages())
    whole = {**graph, **{node: parents for listed in hooks.values() for node, parents in listed.items()}}
    says = data.draw(sayings(whole))
    failing = data.draw(st.sets(st.sampled_from(list(whole)), max_size=4))
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url, sizes=Sizes(chunk_nodes=data.draw(st.sampled_from([2, 128]))))
    if data.draw(st.booleans()):
        harness.second_orchestrator()
    harness.script = failing_in(1, *failing)
    try:
        with silence():
            execution = harness.begin(plan_of(whole, says=says, stages=stages_of(hooks)))
            harness.drain(batch=data.draw(st.integers(1, 8)))
            model = Model(whole, says, stages=names_of(hooks))
            model.trigger()
            run_to_the_end(model, failing)
            assert _stored(harness, execution, model) == model.status
            assert harness.api.executions.status(execution).status == model.execution_status
            check_everything(harness.client)
            if not model.may_trigger:
                return
            harness.trigger(execution)
            harness.drain(batch=data.draw(st.integers(1, 8)))
            model.trigger()
            run_to_the_end(model, ())
            assert _stored(harness, execution, model) == model.status
            check_everything(harness.client)
    finally:
        harness.close()


def _stored(harness: Harness, execution: str, model: Model) -> dict[str, str]:
    """The stored status of each node."""
    record = check(harness.client, execution).record
    return {node: record(node).status for node in model.graph}
