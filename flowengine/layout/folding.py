"""Which nodes are drawn as one: equal siblings, from eight on (`[fetch_1, ..., fetch_16]`).

Equal are those of one handler that depend on the same nodes, that the same nodes depend on, and that run
under the same condition. They are looked for once, so that stacks of stacks never come about.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import msgspec

from flowengine.layout.layering import layers_of
from flowengine.workflow.graph import Graph
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import PLAIN, Policy
from flowengine.workflow.stages import Stage

FOLDS_FROM: Final = 8
_OPENING, _CLOSING = "{{", "}}"


class Figure(msgspec.Struct, frozen=True, gc=False):
    """What is drawn as one card: the positions of its nodes, and the condition that they run under. `is_map`:
    they run once for each item of a list."""

    positions: tuple[int, ...]
    condition: str
    is_map: bool = False

    @property
    def is_stack(self) -> bool:
        """Whether it stands for several nodes."""
        return len(self.positions) > 1

    @property
    def has_bar(self) -> bool:
        """Whether it stands for many things that run, whose outcomes are a bar on it."""
        return self.is_map or len(self.positions) > 1


class Figures(msgspec.Struct, frozen=True, dict=True):
    """The figures of a stage, in the document's order, and which depends on which."""

    all: tuple[Figure, ...]
    graph: Graph

    @cached_property
    def layers(self) -> list[int]:
        """For each figure its layer."""
        return layers_of(self.graph)


def figures_of(plan: Plan, stage: Stage) -> Figures:
    """A stage's nodes as figures."""
    figures = _folded(plan, plan.positions(stage))
    at = {position: number for number, figure in enumerate(figures) for position in figure.positions}
    parents = [plan.nodes[figure.positions[0]].parents for figure in figures]
    above = [
        (at[each[0]],) if len(each) == 1 else tuple(sorted({at[one] for one in each})) for each in parents
    ]
    return Figures(tuple(figures), Graph(tuple(above)))


def _folded(plan: Plan, positions: Sequence[int]) -> list[Figure]:
    nodes, children = plan.nodes, plan.children
    alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for position in positions:
        alike.setdefault((nodes[position].work.handler, children[position]), []).append(position)
    figures: list[Figure] = []
    for found in alike.values():
        if len(found) < FOLDS_FROM:
            figures += [Figure((position,), *_runs(plan, position)) for position in found]
        else:
            figures += _folded_alike(plan, found)
    return sorted(figures, key=lambda figure: figure.positions[0])


def _folded_alike(plan: Plan, positions: Sequence[int]) -> list[Figure]:
    """Of one handler, with the same nodes below them: those as one that depend on the same and run alike."""
    equal: dict[tuple[frozenset[int], str, bool], list[int]] = {}
    for position in positions:
        key = (frozenset(plan.nodes[position].parents), *_runs(plan, position))
        equal.setdefault(key, []).append(position)
    figures: list[Figure] = []
    for (_, condition, is_map), found in equal.items():
        parts = [tuple(found)] if len(found) >= FOLDS_FROM else [(position,) for position in found]
        figures += [Figure(part, condition, is_map) for part in parts]
    return figures


def _runs(plan: Plan, position: int) -> tuple[str, bool]:
    """The condition that a node runs under, and whether it runs once for each item of a list."""
    policy = plan.policy(position)
    return ("", False) if policy is PLAIN else (condition_of(policy), policy.map is not None)


def condition_of(policy: Policy) -> str:
    """When a node runs, in words; empty where it runs after its dependencies have completed."""
    said: list[str] = [] if policy.trigger_rule == "all_success" else [policy.trigger_rule]
    if policy.when is not None:
        said.append(f"when {_bare(policy.when)}")
    return ", ".join(said)


def _bare(template: str) -> str:
    """The expression of a template that is one expression, else the template."""
    text = template.strip()
    inside = text[len(_OPENING) : -len(_CLOSING)]
    is_one = text.startswith(_OPENING) and text.endswith(_CLOSING) and _OPENING not in inside
    return inside.strip() if is_one else text
