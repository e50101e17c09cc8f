"""What is true of every drawing of every plan."""

from __future__ import annotations

from itertools import combinations, pairwise

import msgspec

from flowengine.layout.drawing import Card, Drawing, Edge, PlainPoint
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import HOOKS


def check_drawing(plan: Plan, drawing: Drawing) -> None:
    """Every node once, nothing overlapping, all within the bounds, each edge from source to target."""
    cards = {card.id: card for card in drawing.cards}
    of_node = {name: card for card in drawing.cards for name in members_of(card)}
    shown = [plan.nodes[at].id for stage in ("main", *HOOKS) for at in plan.positions(stage)]
    assert sorted(of_node) == sorted(shown)
    assert sum(len(members_of(card)) for card in drawing.cards) == len(shown)
    _check_no_overlap(drawing.cards)
    for card in drawing.cards:
        assert 0 <= card.x <= card.x + card.width <= drawing.width
        assert 0 <= card.y <= card.y + card.height <= drawing.height
    for edge in drawing.edges:
        _check_edge(drawing, edge, cards[edge.source], cards[edge.target])
    _check_every_edge(plan, drawing, of_node)


def members_of(card: Card) -> tuple[str, ...]:
    """The nodes that a card stands for."""
    return (card.id,) if card.members is msgspec.UNSET else card.members


def _check_no_overlap(cards: tuple[Card, ...]) -> None:
    in_order = sorted(cards, key=lambda card: card.y)
    for number, card in enumerate(in_order):
        for other in in_order[number + 1 :]:
            if other.y >= card.y + card.height:
                break
            apart = other.x >= card.x + card.width or card.x >= other.x + other.width
            assert apart, f"{card.id} covers {other.id}"


def _check_edge(drawing: Drawing, edge: Edge, source: Card, target: Card) -> None:
    first, last = edge.points[0], edge.points[-1]
    if drawing.direction == "down":
        assert first[1] == source.y + source.height
        assert last[1] == target.y > first[1]
        assert source.x <= first[0] <= source.x + source.width
        assert target.x <= last[0] <= target.x + target.width
    else:
        assert first[0] == source.x + source.width
        assert last[0] == target.x > first[0]
        assert source.y <= first[1] <= source.y + source.height
        assert target.y <= last[1] <= target.y + target.height
    along = 1 if drawing.direction == "down" else 0
    for point, following in pairwise(edge.points):
        assert (point[0] == following[0]) != (point[1] == following[1]), "a line is across or along"
        assert following[along] >= point[along], "no edge turns back"
    for x, y in edge.points:
        assert 0 <= x <= drawing.width
        assert 0 <= y <= drawing.height


def _check_every_edge(plan: Plan, drawing: Drawing, of_node: dict[str, Card]) -> None:
    wanted = {
        (of_node[plan.nodes[parent].id].id, of_node[node.id].id)
        for node in plan.nodes
        if node.id in of_node
        for parent in node.parents
    }
    drawn = [(edge.source, edge.target) for edge in drawing.edges]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= wanted
    assert len(drawn) + drawing.left_out == len(wanted)


def check_no_edge_through_cards(drawing: Drawing) -> None:
    """No line runs through a card. Slow for large drawings."""
    for edge in drawing.edges:
        for (x1, y1), (x2, y2) in pairwise(edge.points):
            left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
            for card in drawing.cards:
                outside = (
                    right <= card.x
                    or left >= card.x + card.width
                    or bottom <= card.y
                    or top >= card.y + card.height
                )
                assert outside, f"the edge from {edge.source} to {edge.target} runs through {card.id}"


def check_lines_apart(drawing: Drawing) -> None:
    """Two edges lie on each other only where they share their source or their target."""
    for one, other in combinations(drawing.edges, 2):
        if one.source == other.source or one.target == other.target:
            continue
        for first in pairwise(one.points):
            for second in pairwise(other.points):
                assert not _on_each_other(first, second), f"{one} and {other} cannot be told apart"


def _on_each_other(first: tuple[PlainPoint, PlainPoint], second: tuple[PlainPoint, PlainPoint]) -> bool:
    for axis in (0, 1):
        ends = [{point[axis] for point in line} for line in (first, second)]
        if ends[0] == ends[1] and len(ends[0]) == 1:
            other = 1 - axis
            begin = max(min(point[other] for point in line) for line in (first, second))
            end = min(max(point[other] for point in line) for line in (first, second))
            return begin < end
    return False
