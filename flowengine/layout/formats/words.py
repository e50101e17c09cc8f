"""What is written on a card: names that are too long for it are cut in the middle."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.layout.drawing import Card

MOST_CHARS: Final = 21
_LAST_CHARS: Final = 6
_LEAST_PREFIX: Final = 3


def cut(text: str) -> str:
    """The text, or its beginning and its end."""
    if len(text) <= MOST_CHARS:
        return text
    return f"{text[: MOST_CHARS - _LAST_CHARS - 1]}…{text[-_LAST_CHARS:]}"


def name_of(card: Card) -> str:
    """The id of its node, or how those of a stack begin: `fetch_*`."""
    if card.members is msgspec.UNSET:
        return card.id
    prefix = _prefix(card.members)
    return f"{prefix}*" if len(prefix) >= _LEAST_PREFIX else f"{card.id} …"


def second_line(card: Card) -> str:
    """What it does, and how often."""
    if card.members is msgspec.UNSET:
        return card.handler if card.map is msgspec.UNSET else f"each item × {card.handler}"
    return f"{len(card.members)} × {card.handler}"


def _prefix(names: tuple[str, ...]) -> str:
    first, last = min(names), max(names)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same].rstrip("0123456789")
