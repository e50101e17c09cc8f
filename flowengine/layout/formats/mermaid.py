"""A drawing as a Mermaid flowchart: cards, edges and lanes. Mermaid finds the places itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from flowengine.layout.drawing import Card, Direction, Drawing
from flowengine.layout.formats.words import name_of, second_line

_DIRECTIONS: Final[dict[Direction, str]] = {"down": "TD", "right": "LR"}
_SPECIAL: Final = re.compile("[^A-Za-z0-9_ .,:=()*+/!?×…'-]")
"""What is written as a number, because Mermaid or the page around it might read it as its own."""


def mermaid(drawing: Drawing, name: str) -> str:
    """The drawing as Mermaid. `name`: that of the workflow, as a comment of one line."""
    numbers = {card.id: f"n{number}" for number, card in enumerate(drawing.cards)}
    reached = {edge.target for edge in drawing.edges}
    cards = {
        card.id: _card(card, numbers[card.id], says_when=card.id not in reached) for card in drawing.cards
    }
    lines = [f"%% {_escaped(name)}", f"flowchart {_DIRECTIONS[drawing.direction]}"]
    lines.extend(cards[card.id] for card in drawing.cards if card.stage == "main")
    for lane in drawing.lanes:
        lines.append(f"  subgraph {lane.stage}_hooks [{lane.stage}]")
        lines.extend(f"  {cards[card.id]}" for card in drawing.cards if card.stage == lane.stage)
        lines.append("  end")
    lines.extend(_edges(drawing, numbers))
    return "\n".join([*lines, ""])


def _card(card: Card, number: str, *, says_when: bool) -> str:
    """A card; where no edge could say when its node runs, it says that itself."""
    said = [name_of(card), second_line(card)]
    if says_when and card.condition is not msgspec.UNSET:
        said.append(card.condition.text)
    is_one = card.members is msgspec.UNSET and card.map is msgspec.UNSET
    opening, closing = ("[", "]") if is_one else ("[[", "]]")
    return f'  {number}{opening}"{"<br>".join(map(_escaped, said))}"{closing}'


def _edges(drawing: Drawing, numbers: Mapping[str, str]) -> Iterable[str]:
    conditions = {card.id: card.condition for card in drawing.cards}
    for edge in drawing.edges:
        condition = conditions[edge.target]
        said = "" if condition is msgspec.UNSET else f'|"{_escaped(condition.text)}"|'
        yield f"  {numbers[edge.source]} -->{said} {numbers[edge.target]}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
