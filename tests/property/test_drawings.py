"""Random graphs, drawn: what holds of every picture."""

from __future__ import annotations

from itertools import pairwise, permutations
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from flowengine.layout.folding import figures_of
from flowengine.layout.formats.mermaid import mermaid
from flowengine.layout.formats.svg import svg
from flowengine.layout.layering import layered
from flowengine.layout.ordering import crossings, ordered_rows
from flowengine.layout.plan_drawing import draw
from flowengine.layout.spacing import spaced
from flowengine.layout.stage_drawing import draw_stage
from flowengine.workflow.plan import Plan, decode_plan, encode_plan
from flowengine.workflow.policy import Policy
from flowengine.workflow.stages import Stages
from tests.support.checks.drawings import check_drawing, check_lines_apart, check_no_edge_through_cards
from tests.support.plans import plan_of

HANDLERS = ("transform", "compute")


@st.composite
def plans(draw_from: st.DrawFn, *, most: int = 24) -> Plan:
    """Main nodes and hooks, each with a few parents of its stage, some under conditions."""
    counts = [draw_from(st.integers(1, most)), draw_from(st.integers(0, 3)), draw_from(st.integers(0, 3))]
    parents: list[list[int]] = []
    for count in counts:
        first = len(parents)
        for number in range(count):
            above = st.lists(st.integers(0, number - 1), max_size=4, unique=True) if number else st.just([])
            parents.append([first + each for each in draw_from(above)])
    with_words = draw_from(st.sets(st.integers(0, len(parents) - 1), max_size=4))
    kinds = draw_from(st.lists(st.sampled_from(HANDLERS), min_size=1, max_size=5))
    return plan_of(
        parents,
        handler=lambda number: kinds[number % len(kinds)],
        policies={number: Policy(when="{{ inputs.day > 1 }}") for number in with_words},
        stages=Stages(0, counts[1], counts[2]),
    )


@given(plans())
def test_every_picture_is_whole_and_free_of_overlaps(plan: Plan) -> None:
    """Each node once, no card on another, all within the bounds, no line through a card or on another's."""
    drawing = draw(plan)
    check_drawing(plan, drawing)
    check_no_edge_through_cards(drawing)
    check_lines_apart(drawing)


@given(plans())
def test_both_directions_hold_the_same_promises(plan: Plan) -> None:
    """A drawing to the right is the same routine with its axes swapped."""
    figures = figures_of(plan, "main")
    for direction in ("down", "right"):
        drawn = draw_stage(plan, "main", figures, direction)
        for card in drawn.cards:
            assert 0 <= card.x <= card.x + card.width <= drawn.width
            assert 0 <= card.y <= card.y + card.height <= drawn.height


@given(plans())
def test_the_same_plan_gives_the_same_picture(plan: Plan) -> None:
    """To the byte, in each form."""
    again = decode_plan(encode_plan(plan))
    assert draw(again) == draw(plan)
    assert svg(draw(again), plan.name) == svg(draw(plan), plan.name)
    assert mermaid(draw(again), plan.name) == mermaid(draw(plan), plan.name)


@given(plans(most=40))
def test_crossings_are_those_that_one_counts_by_hand(plan: Plan) -> None:
    """Two edges between the same layers cross if their ends come in another order than their beginnings."""
    graph = layered(figures_of(plan, "main").graph)
    rows = ordered_rows(graph)
    place = {vertex: number for row in rows for number, vertex in enumerate(row)}
    counted = 0
    for row in rows:
        edges = [(place[upper], place[lower]) for upper in row for lower in graph.below[upper]]
        counted += sum(a < c and b > d for (a, b), (c, d) in permutations(edges, 2))
    assert crossings(graph, rows) == counted
    for enough in range(1, counted + 2):
        assert (crossings(graph, rows, enough) >= enough) == (counted >= enough)


PLACES = st.floats(-1000, 1000)


@given(st.lists(st.tuples(PLACES, st.floats(0.01, 10), st.integers(0, 200)), min_size=1, max_size=12))
def test_places_keep_their_distances_and_miss_little(points: list[tuple[float, float, int]]) -> None:
    """What is wanted is met where the distances allow it, and no single place can be moved to be nearer."""
    wanted, weights = [point[0] for point in points], [point[1] for point in points]
    distances = [point[2] for point in points][1:]
    found = spaced(wanted, weights, distances)
    gaps = [right - left for left, right in pairwise(found)]
    assert all(gap >= distance - 1e-6 for gap, distance in zip(gaps, distances, strict=True))
    for number, (place, want) in enumerate(zip(found, wanted, strict=True)):
        free_left = number == 0 or gaps[number - 1] > distances[number - 1] + 1e-6
        free_right = number == len(gaps) or gaps[number] > distances[number] + 1e-6
        assert not (place > want + 1e-6 and free_left)
        assert not (place < want - 1e-6 and free_right)


ANY_TEXT = st.text(max_size=60) | st.text(alphabet="<>&\"'#;]|%-{}\n\r\t\x00\u202e\u2028…", max_size=40)


@given(ANY_TEXT, ANY_TEXT)
def test_no_text_is_taken_for_a_part_of_a_picture(handler: str, words: str) -> None:
    """SVG stays well-formed, with the same elements whatever texts say; each line of Mermaid stays one."""
    plan = plan_of([[], [0]], handler=lambda _: handler, policies={1: Policy(when=words)})
    drawing = draw(plan)
    root = ElementTree.fromstring(svg(drawing, words).encode())
    found = [element.tag.rpartition("}")[2] for element in root.iter()]
    card = ["g", "title", "rect", "text", "text"]
    assert found == ["svg", "title", "style", "rect", "path", *card, *card, "rect", "text", "title"]
    lines = mermaid(drawing, words).splitlines()
    assert [len(line.split('"')) for line in lines] == [1, 1, 3, 3, 3]
    assert all(line.isascii() or line.isprintable() for line in lines)
