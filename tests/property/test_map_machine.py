"""The machine of an execution over small graphs of maps, which begin at once.

All that can happen to an execution happens while their items are sent, run, fail, are tried again and end: in
a graph of many nodes that is rare. `FLOWENGINE_FAULT_EXAMPLES` makes it run for longer.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from flowengine.workflow.policy import ExecutionPolicy
from tests.property.graphs import graphs, sayings
from tests.property.machine_book import Life, outcomes
from tests.property.test_execution_machine import EXAMPLES, PHASES, STEPS, TIME_LIMIT_MS, ExecutionMachine
from tests.support.checks.reference_model import Graph, Model, Outcome
from tests.support.rigs.harness import plan_of
from tests.support.servers.valkey import Valkey


class MapMachine(ExecutionMachine):
    """One execution of few nodes, most of them maps, and those that are made of it."""

    @initialize(
        graph=graphs(most=3),
        stops=st.booleans(),
        fails=st.booleans(),
        limited=st.booleans(),
        steered=st.booleans(),
        threadless=st.booleans(),
        data=st.data(),
    )
    def create(
        self,
        graph: Graph,
        stops: bool,
        fails: bool,
        limited: bool,
        steered: bool,
        threadless: bool,
        data: st.DataObject,
    ) -> None:
        """One that runs; perhaps one that is stopped, by a failure or by its timeout, or that operators
        steer."""
        says = data.draw(sayings(graph, with_maps=True))
        self.stops, self.steered = stops, steered
        overall = ExecutionPolicy(TIME_LIMIT_MS if stops and limited else 0, stops and fails)
        if overall.stops_on_failure:
            says = {node: said._replace(rule="all_success") for node, said in says.items()}
        model = Model(graph, says, stops_on_failure=overall.stops_on_failure)
        waiting = list(graph) if threadless else ()
        plan = plan_of(graph, says=says, overall=overall, waiting=waiting)
        self.life = Life(self.harness.create(plan), model)
        self.lives.append(self.life)
        self.trigger()
        self.begin_run(self.orders("start_execution")[0], None, self.harness.orchestrators[0])

    @precondition(lambda self: self.seen.waits)
    @rule(data=st.data(), outcome=outcomes, most=st.integers(1, 8))
    def go_far(self, data: st.DataObject, outcome: Outcome, most: int) -> None:
        """More of what waits is dealt with."""
        self.let_go_on(data, outcome, most)

    @precondition(lambda self: self.seen.tasks_wait)
    @rule(data=st.data(), ways=st.lists(outcomes, min_size=1, max_size=4))
    def run_items(self, data: st.DataObject, ways: list[Outcome]) -> None:
        """Some tasks that wait are run, each with an outcome of its own."""
        for outcome in ways:
            if tasks := self.tasks():
                self.outcomes.append(outcome)
                self.harness.deliver(self.harness.workers[0], data.draw(st.sampled_from(tasks)))


@pytest.mark.proves("random-order", "map-report-twice", "map-again", "map-items-again", "map-paused")
@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 3))
def test_maps_under_everything_that_can_happen(valkey: Valkey) -> None:
    """Whatever the order, the repetitions and the deaths: the store and the model agree."""
    MapMachine.url = valkey.url
    run_state_machine_as_test(
        MapMachine,
        settings=settings(
            max_examples=max(1, EXAMPLES * 4 // 10),
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
