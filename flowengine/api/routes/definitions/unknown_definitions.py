"""Warnings of documents whose nodes run definitions that are not applied."""

from __future__ import annotations

from collections.abc import Container, Sequence

from flowengine.access.scope import covers
from flowengine.api.definition_ports import Definitions
from flowengine.workflow.children.call_reading import NamedDefinition
from flowengine.workflow.problems import Problem


def unknown_definitions(
    definitions: Definitions,
    calls: Sequence[NamedDefinition],
    *,
    known: Container[str] = (),
    patterns: Sequence[str] = (),
) -> tuple[Problem, ...]:
    """The warnings. Blocks, where there are such nodes. `known`: what is applied together. `patterns`: those
    of the caller's key, which tells nothing of other definitions."""
    asked = [each for each in calls if each.name not in known and covers(patterns, each.name)]
    if not asked:
        return ()
    unknown = definitions.unknown(list(dict.fromkeys(each.name for each in asked)))
    return tuple(each.warning for each in asked if each.name in unknown)
