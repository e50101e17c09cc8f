"""Reads a node of the handler `workflow`, which runs an applied definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import is_template
from flowengine.workflow.checking.execution_policy import MAX_S, MIN_S
from flowengine.workflow.checking.node_fields import read_timeout
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.children.called import WORKFLOW, Calls
from flowengine.workflow.children.reading import NODES
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.problems import Problem, quoted

if TYPE_CHECKING:
    from flowengine.workflow.kinds.task import TaskDraft


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


def read_call(node: JsonObject, work: TaskDraft, pointer: str, report: Report) -> Calls:
    """What it says of itself. What it cannot be as well is reported: `cache` and `wait_for_callback` by who
    reads these. `work`: what it does, its config merged with that of the defaults."""
    if node.get(OUTPUT_SCHEMA) is not None and (work.config or {}).get("wait") is False:
        message = (
            f"'{OUTPUT_SCHEMA}' says what the outputs of the execution are, and with 'wait: false' the node "
            f"gives its id: take '{OUTPUT_SCHEMA}' out"
        )
        report.add("not_without_wait", pointer_to(pointer, OUTPUT_SCHEMA), message)
    if node.get("timeout_seconds") is None:
        return Calls()
    return Calls(round(read_timeout(node, pointer, report, MAX_S, (MIN_S, MAX_S)) * 1000))


def conditions() -> list[dict[str, Any]]:
    """What an editor may know of fields that exclude each other."""
    apart = {"type": "object", "properties": {"wait": {"const": False}}, "required": ["wait"]}
    of_call = {"properties": {"handler": {"const": WORKFLOW}, "config": apart}}
    return [
        {
            "if": {**of_call, "required": ["handler", "config"]},
            "then": {"properties": {OUTPUT_SCHEMA: {"type": "null"}}},
        }
    ]


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
