"""Whether executions would start one another without an end. Pure.

One definition *leads to* another: its executions' ends start the other's (`after`), or a node of it runs the
other. A circle in which nobody starts anything by an end is a workflow that runs itself, which a condition
may end; with such a start it has no end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from flowengine.workflow.problems import quoted

SHOWN: Final = 6
"""So many names of a circle are shown."""


class Lead(msgspec.Struct, frozen=True):
    """One definition leads to the one called `to`, by an end or by a node."""

    to: str
    by_end: bool


Ways = Mapping[str, Iterable[Lead]]
"""For each name, what it leads to."""


def endless(start: str, leads: Callable[[Sequence[str]], Ways]) -> list[str] | None:
    """The shortest way from a definition back to itself on which an end starts something; None: there is
    none. `leads`: what these lead to, asked once for each."""
    known: dict[str, Iterable[Lead]] = {}
    before: dict[tuple[str, bool], tuple[str, bool] | None] = {(start, False): None}
    waiting = [(start, False)]
    while waiting:
        unknown = list(dict.fromkeys(name for name, _ in waiting if name not in known))
        if unknown:
            known.update(leads(unknown))
        following: list[tuple[str, bool]] = []
        for place in waiting:
            for lead in known.get(place[0], ()):
                to = (lead.to, place[1] or lead.by_end)
                if to in before:
                    continue
                before[to] = place
                if to == (start, True):
                    return _way(to, before)
                following.append(to)
        waiting = following
    return None


def told(way: Sequence[str]) -> str:
    """What is wrong with a circle."""
    return f"each execution would start another, without an end: {shown(way)}"


def shown(way: Sequence[str]) -> str:
    """The names of a circle."""
    return " -> ".join(map(quoted, way[:SHOWN])) + (" -> ..." if len(way) > SHOWN else "")


def _way(place: tuple[str, bool], before: Mapping[tuple[str, bool], tuple[str, bool] | None]) -> list[str]:
    way = [place[0]]
    previous = before[place]
    while previous is not None:
        way.append(previous[0])
        previous = before[previous]
    return way[::-1]
