"""One stage of a plan as cards and edges, from the corner 0, 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from flowengine.layout.coordinates import middles_of
from flowengine.layout.drawing import (
    CARD_HEIGHT,
    CARD_WIDTH,
    STACK_HEIGHT,
    Card,
    Condition,
    Direction,
    Edge,
    Point,
)
from flowengine.layout.folding import Figure, Figures
from flowengine.layout.layering import Layered, layered
from flowengine.layout.ordering import ordered_rows
from flowengine.layout.stage_layout import Box, StageLayout, stage_layout
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import Stage

CONDITION_HEIGHT: Final = 14
MOST_CONDITION_CHARS: Final = 28
MOST_KEPT_CHARS: Final = 200
_CONDITION_LIFT: Final = 5
_CONDITION_INSET: Final = 2


class StageDrawing(NamedTuple):
    """A stage, drawn within `width` and `height`."""

    width: int
    height: int
    cards: tuple[Card, ...]
    edges: tuple[Edge, ...]
    left_out: int


def draw_stage(plan: Plan, stage: Stage, figures: Figures, direction: Direction) -> StageDrawing:
    """The drawing of a stage that has nodes."""
    graph = layered(figures.graph, figures.layers)
    laid_out = _laid_out(graph, figures, direction)
    boxes = [
        _card(plan, stage, figure, _corner(figure, box, direction))
        for figure, box in zip(figures.all, laid_out.boxes, strict=True)
    ]
    return _from_corner(boxes, graph, laid_out, direction)


def height_of(figure: Figure) -> int:
    """How high its card is."""
    return STACK_HEIGHT if figure.has_bar else CARD_HEIGHT


def _laid_out(graph: Layered, figures: Figures, direction: Direction) -> StageLayout:
    rows = ordered_rows(graph)
    wide, high = [CARD_WIDTH] * graph.cards, [height_of(figure) for figure in figures.all]
    words = [CONDITION_HEIGHT if figure.condition else 0 for figure in figures.all]
    if direction == "down":
        return stage_layout(middles_of(graph, rows, wide, wide), high, words)
    # Words stand above a card. It takes their room on both sides, so that its middle stays where edges end.
    sizes = [size + 2 * room for size, room in zip(high, words, strict=True)]
    return stage_layout(middles_of(graph, rows, sizes, high), wide, [0] * graph.cards)


def _corner(figure: Figure, box: Box, direction: Direction) -> Point:
    across, along, size, _ = box
    return (across, along) if direction == "down" else (along, across + (size - height_of(figure)) // 2)


def _turned(line: Sequence[Point]) -> tuple[Point, ...]:
    return tuple([(along, across) for across, along in line])


def _card(plan: Plan, stage: Stage, figure: Figure, corner: Point) -> Card:
    nodes, positions = plan.nodes, figure.positions
    first = nodes[positions[0]]
    x, y = corner
    return Card(
        id=first.id,
        handler=first.work.handler,
        stage=stage,
        x=x,
        y=y,
        width=CARD_WIDTH,
        height=height_of(figure),
        condition=_condition(figure, corner) if figure.condition else msgspec.UNSET,
        members=tuple([nodes[position].id for position in positions]) if figure.is_stack else msgspec.UNSET,
        map=figure.is_map or msgspec.UNSET,
    )


def _condition(figure: Figure, corner: Point) -> Condition:
    whole = " ".join(figure.condition.split())
    whole = whole if len(whole) <= MOST_KEPT_CHARS else f"{whole[: MOST_KEPT_CHARS - 1]}…"
    text = whole if len(whole) <= MOST_CONDITION_CHARS else f"{whole[: MOST_CONDITION_CHARS - 1]}…"
    lift = _CONDITION_LIFT + (STACK_HEIGHT - CARD_HEIGHT) // 2 * figure.has_bar
    return Condition(text=text, whole=whole, x=corner[0] + _CONDITION_INSET, y=corner[1] - lift)


def _from_corner(
    cards: Sequence[Card], graph: Layered, laid_out: StageLayout, direction: Direction
) -> StageDrawing:
    """Everything moved so that nothing lies left of or above the corner."""
    lines = laid_out.lines if direction == "down" else [_turned(line) for line in laid_out.lines]
    tops = [card.y if card.condition is msgspec.UNSET else card.y - CONDITION_HEIGHT for card in cards]
    left, top = min([card.x for card in cards]), min(tops)
    right, bottom = (
        max([card.x + card.width for card in cards]),
        max([card.y + card.height for card in cards]),
    )
    if direction == "down":
        left, right = 0, max(right, laid_out.last)
    else:
        top, bottom = 0, max(bottom, laid_out.last)
    edges = [
        Edge(cards[source].id, cards[target].id, line)
        for (source, _, target), line in zip(graph.paths, lines, strict=True)
    ]
    if left or top:
        cards = [moved_card(card, -left, -top) for card in cards]
        edges = [moved_edge(edge, -left, -top) for edge in edges]
    return StageDrawing(right - left, bottom - top, tuple(cards), tuple(edges), graph.left_out)


def moved_card(card: Card, x: int, y: int) -> Card:
    """The same card elsewhere."""
    condition = card.condition
    if condition is not msgspec.UNSET:
        condition = msgspec.structs.replace(condition, x=condition.x + x, y=condition.y + y)
    return msgspec.structs.replace(card, x=card.x + x, y=card.y + y, condition=condition)


def moved_edge(edge: Edge, x: int, y: int) -> Edge:
    """The same edge elsewhere."""
    return Edge(edge.source, edge.target, tuple([(left + x, top + y) for left, top in edge.points]))
