"""Plans as pictures: which cards there are, where they stand, which way the picture leads."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from flowengine.layout.drawing import CARD_HEIGHT, CARD_WIDTH, STACK_HEIGHT, Card, Drawing
from flowengine.layout.layering import MOST_EDGES
from flowengine.layout.plan_drawing import content_of, draw
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy
from flowengine.workflow.stages import Stages
from tests.support.checks.drawings import check_drawing, check_lines_apart
from tests.support.plans import plan_of

Parents = list[list[int]]


def kinds(number: int) -> str:
    """A handler of its own for each node, so that nothing is folded."""
    return f"handler_{number}"


def card(drawing: Drawing, name: str) -> Card:
    """The card of a node."""
    return next(each for each in drawing.cards if each.id == name)


def chain(count: int) -> Parents:
    """Each depends on the one before."""
    return [[number - 1] if number else [] for number in range(count)]


def fan(width: int) -> Parents:
    """One, then many, then one."""
    return [[], *[[0]] * width, list(range(1, width + 1))]


def random_graph(count: int, *, reach: int, seed: int = 1) -> Parents:
    """Up to three parents among the last `reach` nodes."""
    random = Random(seed)
    return [
        sorted({random.randrange(max(0, number - reach), number) for _ in range(random.randint(0, 3))})
        if number
        else []
        for number in range(count)
    ]


LARGE: dict[str, Parents] = {
    "chain": chain(1000),
    "fan": fan(998),
    "pipelines": [[number - 1] if number % 14 else [] for number in range(1000)],
    "random, near": random_graph(1000, reach=12),
    "random, far": random_graph(1000, reach=1000),
    "all into the last": [*chain(999), list(range(999))],
    "all alone": [[]] * 1000,
}


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("folds", [True, False], ids=["alike", "different"])
def test_a_thousand_nodes_are_drawn_whole(shape: str, *, folds: bool) -> None:
    """Every node and every edge, no overlap, whatever their shape."""
    plan = plan_of(LARGE[shape], handler=(lambda _: "compute") if folds else kinds)
    drawing = draw(plan)
    check_drawing(plan, drawing)
    assert drawing.left_out == 0


@pytest.mark.parametrize(
    "parents",
    [[list(range(number)) for number in range(300)], [[]] * 100 + [list(range(100))] * 100],
    ids=["each after all before", "all after all"],
)
def test_edges_that_are_too_many_are_left_out_and_counted(parents: Parents) -> None:
    """A picture of 45,000 edges would show nothing. Those go first that other edges imply."""
    plan = plan_of(parents, handler=kinds)
    drawing = draw(plan)
    check_drawing(plan, drawing)
    assert len(drawing.edges) <= MOST_EDGES
    assert drawing.left_out > 0


def test_edges_of_different_ends_never_lie_on_each_other() -> None:
    """Where two lines meet, they share their source or their target."""
    for seed in range(20):
        check_lines_apart(draw(plan_of(random_graph(24, reach=8, seed=seed), handler=kinds)))


def test_a_chain_stands_on_one_line() -> None:
    """No bend where none is needed."""
    drawing = draw(plan_of(chain(12)))
    assert drawing.direction == "down"
    assert {each.x for each in drawing.cards} == {0}
    assert all(len(edge.points) == 2 for edge in drawing.edges)


def test_a_chain_whose_nodes_all_lead_to_the_last_stands_on_one_line() -> None:
    """Their long edges share one trunk beside it."""
    drawing = draw(plan_of([*chain(20), list(range(20))]))
    assert len({each.x for each in drawing.cards[:20]}) == 1
    assert drawing.width < 2 * CARD_WIDTH


def test_a_long_edge_is_straight_beside_the_nodes_that_it_passes() -> None:
    """Two bends at most each way, however many layers it passes."""
    drawing = draw(plan_of([*chain(11), [0, 10]]))
    long = next(edge for edge in drawing.edges if (edge.source, edge.target) == ("n0", "n11"))
    assert len(long.points) <= 6


def test_a_node_with_more_children_than_parents_stands_above_its_children() -> None:
    """A source that is needed late is drawn late."""
    drawing = draw(plan_of([[], [0], [1], [], [2, 3]], handler=kinds))
    assert card(drawing, "n3").y == card(drawing, "n2").y


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        (chain(40), "down"),
        (fan(16), "right"),
        (fan(3), "down"),
        (LARGE["pipelines"], "right"),
        ([[]], "down"),
    ],
    ids=["chain", "wide fan", "small fan", "pipelines", "alone"],
)
def test_what_is_wide_leads_to_the_right(parents: Parents, expected: str) -> None:
    """Down, unless cards would be shown half as large again to the right."""
    assert draw(plan_of(parents, handler=kinds)).direction == expected


def test_eight_equal_siblings_are_one_stack() -> None:
    """It names them all, and edges lead to it and from it."""
    drawing = draw(plan_of(fan(8)))
    stack = card(drawing, "n1")
    assert stack.members == tuple(f"n{number}" for number in range(1, 9))
    assert (stack.height, card(drawing, "n0").height) == (STACK_HEIGHT, CARD_HEIGHT)
    assert [(edge.source, edge.target) for edge in drawing.edges] == [("n0", "n1"), ("n1", "n9")]


def test_a_map_is_a_card_with_a_bar() -> None:
    """As high as a stack; a node that is none is another drawing, and no stack is made of both."""
    mapped = {4: Policy(map=MapPolicy('{"items":[1]}'))}
    drawing = draw(plan_of(fan(8), policies=mapped))
    found = card(drawing, "n4")
    assert (found.map, found.height, found.members) == (True, STACK_HEIGHT, msgspec.UNSET)
    assert card(drawing, "n1").map is msgspec.UNSET
    assert content_of(plan_of(fan(8), policies=mapped)) != content_of(plan_of(fan(8)))


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(fan(7)),
        plan_of(fan(8), handler=lambda number: "compute" if number == 4 else "transform"),
        plan_of(fan(8), policies={4: Policy(when="{{ inputs.wanted }}")}),
        plan_of([*fan(8), [4]]),
    ],
    ids=["seven", "another handler", "another condition", "another child"],
)
def test_siblings_that_differ_are_not_folded(plan: Plan) -> None:
    """Fewer than eight are equal."""
    assert all(each.members is msgspec.UNSET for each in draw(plan).cards)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), ""),
        (Policy(trigger_rule="one_failed"), "one_failed"),
        (Policy(when="{{ inputs.day > 1 }}"), "when inputs.day > 1"),
        (Policy(when="{{ a }} and {{ b }}"), "when {{ a }} and {{ b }}"),
        (Policy(trigger_rule="all_done", when="{{ x }}"), "all_done, when x"),
        (Policy(when="{{ inputs.a\n  or   inputs.b }}"), "when inputs.a or inputs.b"),
    ],
)
def test_a_card_says_when_its_node_runs(policy: Policy, expected: str) -> None:
    """The rule, if it is not the usual one, and the expression of `when`."""
    found = card(draw(plan_of([[], [0]], policies={1: policy})), "n1").condition
    assert ("" if found is msgspec.UNSET else found.text) == expected


def test_a_long_condition_is_cut_and_kept_beside() -> None:
    """What is drawn fits the card; a hint may show more."""
    drawing = draw(plan_of([[], [0]], policies={1: Policy(when="{{ " + "x" * 450 + " }}")}))
    found = card(drawing, "n1").condition
    assert found is not msgspec.UNSET
    assert (len(found.text), len(found.whole)) == (28, 200)
    assert found.text.endswith("…")


def test_hooks_stand_in_lanes_below_the_main_nodes() -> None:
    """Beside each other, under their names; outputs are no node of the document and are not drawn."""
    parents: Parents = [[], [0], [], [], [3], []]
    drawing = draw(plan_of(parents, stages=Stages(1, 2, 1)))
    assert [lane.stage for lane in drawing.lanes] == ["on_failure", "finally"]
    assert [each.id for each in drawing.cards] == ["n0", "n1", "n3", "n4", "n5"]
    main = [each for each in drawing.cards if each.stage == "main"]
    hooks = [each for each in drawing.cards if each.stage != "main"]
    line = drawing.lanes[0].line
    assert max(each.y + each.height for each in main) < line < min(each.y for each in hooks)
    failure, last = card(drawing, "n3"), card(drawing, "n5")
    assert failure.x + failure.width < last.x
