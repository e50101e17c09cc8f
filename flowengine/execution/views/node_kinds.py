"""What a node is, in one word, by what its document says of how it runs. It follows from the plan alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from flowengine.workflow.policy import Policy

NodeKind: TypeAlias = Literal[
    "task", "map", "repeat", "group", "workflow", "wait", "signal", "approval", "callback"
]

NODE_KINDS: Final[Mapping[NodeKind, str]] = MappingProxyType(
    {
        "task": "Its handler runs once, and that is all.",
        "map": "It runs once for each item of a list, whatever else it is: see `map`.",
        "repeat": "It runs until a condition holds, whatever it runs: see `repeat`.",
        "group": "It has nodes of its own.",
        "workflow": "It runs a definition, as an execution of its own.",
        "wait": "It waits for a time.",
        "signal": "It waits for a signal.",
        "approval": "It waits for a person's decision.",
        "callback": "Its handler runs, and then it waits for a callback.",
    }
)
"""Each with its sentence. A node that is several of these has the outermost: `map`, then `repeat`."""


def kind_of(policy: Policy) -> NodeKind:
    """The kind of a node with this policy."""
    if policy.map is not None:
        return "map"
    if policy.repeat is not None:
        return "repeat"
    if policy.group is not None:
        return "group"
    if policy.calls is not None:
        return "workflow"
    return "task" if policy.waits is None else policy.waits.kind
