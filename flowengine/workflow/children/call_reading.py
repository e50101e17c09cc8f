"""Reads a node of the handler `workflow`, which runs an applied definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import is_template
from flowengine.workflow.checking.execution_policy import MAX_S, MIN_S
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.children.called import WORKFLOW, Calls
from flowengine.workflow.children.reading import NODES
from flowengine.workflow.problems import Problem, quoted

REFUSED: Final = ("output_schema",)
"""Fields that other nodes have, and these not yet. `cache` and `wait_for_callback` they never have: who reads
these refuses them."""


class NamedDefinition(Problem, frozen=True, kw_only=True):
    """What may go wrong where a document names a definition without a template: that there is none of this
    `name`, which only those know who know the definitions. `follows`: it starts by its ends; else a node
    runs it."""

    name: str
    follows: bool = False

    @property
    def warning(self) -> Problem:
        """The same, for people."""
        return Problem(
            code=self.code,
            pointer=self.pointer,
            message=self.message,
            line=self.line,
            column=self.column,
        )


def calls(node: JsonObject) -> bool:
    """Whether it is such a node."""
    return node.get("handler") == WORKFLOW


def read_call(node: JsonObject, pointer: str, report: Report) -> Calls:
    """What it says of itself. What it cannot be as well is reported."""
    for field in REFUSED:
        if node.get(field) is not None:
            message = (
                f"a node of the handler '{WORKFLOW}' with '{field}' is a part of the language that this "
                "version does not have yet"
            )
            report.add("not_supported_yet", pointer_to(pointer, field), f"{message}: take '{field}' out")
    if node.get("timeout_seconds") is None:
        return Calls()
    return Calls(round(read_timeout(node, pointer, report, MAX_S, (MIN_S, MAX_S)) * 1000))


def definitions_named(lists: Iterable[tuple[JsonValue, str]]) -> Iterator[NamedDefinition]:
    """The definitions that nodes in these lists, each with the pointer to it, name in a way that is known
    before they run."""
    for listed, pointer in lists:
        for number, node in enumerate(listed if isinstance(listed, list) else ()):
            if not isinstance(node, dict):
                continue
            place = pointer_to(pointer, number)
            yield from definitions_named([(node.get(NODES), pointer_to(place, NODES))])
            config = node.get("config")
            name = config.get("name") if isinstance(config, dict) else None
            if calls(node) and isinstance(name, str) and not is_template(name):
                yield NamedDefinition(
                    code="unknown_definition",
                    pointer=pointer_to(pointer_to(place, "config"), "name"),
                    message=f"there is no definition {quoted(name)} yet: apply it before this node runs",
                    name=name,
                )
