"""Drawings that are kept: by what they show, and within a bound."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.drawn_graphs import DrawnGraphs
from flowengine.layout.plan_drawing import content_of, draw
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy
from flowengine.workflow.stages import Stages
from tests.support.plans import plan_of

PARENTS = [[], [0], [0]]


def test_plans_that_look_the_same_share_a_drawing() -> None:
    """The very same bytes, though their configs differ."""
    graphs = DrawnGraphs()
    plan = plan_of(PARENTS)
    task = msgspec.structs.replace(plan.nodes[0].work, config=msgspec.Raw(b'{"a": 1}'))
    node = msgspec.structs.replace(plan.nodes[0], work=task)
    other = msgspec.structs.replace(plan, name="another", nodes=(node, *plan.nodes[1:]))
    assert graphs.of(other) is graphs.of(plan)
    assert draw(other) == draw(plan)


@pytest.mark.parametrize(
    "other",
    [
        plan_of([[], [0], [1]]),
        plan_of(PARENTS, handler=lambda _: "compute"),
        plan_of(PARENTS, policies={1: Policy(when="{{ inputs.go }}")}),
        plan_of(PARENTS, policies={1: Policy(trigger_rule="all_done")}),
        plan_of([[], [0], []], stages=Stages(0, 1, 0)),
        plan_of([[], [0], []], stages=Stages(0, 0, 1)),
        plan_of([[], [0], []], stages=Stages(1, 0, 0)),
    ],
    ids=["edges", "handlers", "when", "rules", "on_failure", "finally", "outputs"],
)
def test_what_looks_different_has_a_drawing_and_a_tag_of_its_own(other: Plan) -> None:
    """Each thing that a picture shows counts."""
    graphs = DrawnGraphs()
    plan = plan_of([[], [0], []] if other.stages.count else PARENTS)
    assert content_of(other) != content_of(plan)
    assert graphs.of(other).tag != graphs.of(plan).tag


def test_drawings_are_kept_within_their_bound() -> None:
    """The one used longest ago goes first; the last one stays, whatever it takes."""
    plans = [plan_of([[]] * count) for count in (1, 2, 3)]
    size = len(DrawnGraphs().of(plans[2]).data)
    graphs = DrawnGraphs(2 * size)
    first, second = graphs.of(plans[0]), graphs.of(plans[1])
    assert graphs.of(plans[0]) is first
    graphs.of(plans[2])
    assert graphs.of(plans[0]) is first
    assert graphs.of(plans[1]) is not second
    tiny = DrawnGraphs(1)
    assert tiny.of(plans[2]) is tiny.of(plans[2])
