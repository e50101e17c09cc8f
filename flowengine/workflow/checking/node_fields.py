"""Reads the fields that every node has, whatever it does: its id, its dependencies and its timeout.

Looks at one node at a time. `dependencies` looks at all of them together.
"""

from __future__ import annotations

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import RESERVED_NAMES
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.node_policy import NO_POLICY, PolicyFields
from flowengine.workflow.checking.object_fields import JsonObject, advice_to_quote, read_text
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.children.called import Calls
from flowengine.workflow.document import (
    DEFAULT_TIMEOUT_S,
    MAX_ID_CHARS,
    MAX_TIMEOUT_S,
    MIN_TIMEOUT_S,
    NODE_ID,
)
from flowengine.workflow.limits.declared import CachePolicy
from flowengine.workflow.maps.reading import MapFields
from flowengine.workflow.problems import quoted
from flowengine.workflow.stages import Stage
from flowengine.workflow.waits.wait_policy import WaitPolicy


class NodeFields(msgspec.Struct, frozen=True):
    """What could be read of the fields that every node has.

    `place` is the node's number in the document. `id` is None where it is missing or no text; one that is not
    allowed has been reported and is kept, so that what names it can still be checked. `dependencies` is the
    document's own list; items that are no text have been reported. `output_schema` is JSON. `stage`: which
    list of the document it is in. `waits`: what it waits for once it has run; `timeout_s` is that of its task
    then. `map`: it runs for each item of a list. `calls`: it runs as an execution of a definition. `cache`:
    what it says of that.
    """

    place: int
    pointer: str
    id: str | None
    dependencies: list[JsonValue]
    timeout_s: float
    policy: PolicyFields = NO_POLICY
    output_schema: str | None = None
    stage: Stage = "main"
    waits: WaitPolicy | None = None
    map: MapFields | None = None
    calls: Calls | None = None
    cache: CachePolicy | None = None

    @property
    def said(self) -> str:
        """What messages call it."""
        return self.stage if self.id is None else self.id


def read_id(node: JsonObject, pointer: str, report: Report) -> str | None:
    """The id of the node at `pointer`."""
    node_id = read_text(node, "id", pointer, report)
    if node_id is not None:
        _check_id(node_id, pointer_to(pointer, "id"), report)
    return node_id


def _check_id(node_id: str, pointer: str, report: Report) -> None:
    if node_id in RESERVED_NAMES:
        report.add(
            "reserved_id", pointer, f"'{node_id}' has a meaning of its own in templates: choose another id"
        )
    elif len(node_id) > MAX_ID_CHARS:
        report.add(
            "invalid_id", pointer, f"an id has at most {MAX_ID_CHARS} characters, this one {len(node_id)}"
        )
    elif NODE_ID.fullmatch(node_id) is None:
        report.add(
            "invalid_id",
            pointer,
            f"{quoted(node_id)} is no id: letters, digits, _ and -, beginning with a letter or _",
        )


def read_dependencies(node: JsonObject, pointer: str, report: Report) -> list[JsonValue]:
    """The document's own list of the node's dependencies; empty where there is none."""
    place = pointer_to(pointer, "dependencies")
    given = node.get("dependencies", [])
    if not isinstance(given, list):
        report.add(
            "wrong_type", place, f"'dependencies' must be a list of node ids, it is {type_name(given)}"
        )
        return []
    for index, name in enumerate(given):
        if not isinstance(name, str):
            report.add(
                "wrong_type",
                pointer_to(place, index),
                f"a dependency is the id of a node, this is {type_name(name)}{advice_to_quote(name)}",
            )
    return given


def read_timeout(
    owner: JsonObject,
    pointer: str,
    report: Report,
    default: float = DEFAULT_TIMEOUT_S,
    bounds: tuple[float, float] = (MIN_TIMEOUT_S, MAX_TIMEOUT_S),
    field: str = "timeout_seconds",
) -> float:
    """The `timeout_seconds` of a node, or of what else has one; the default where it is missing or wrong."""
    place = pointer_to(pointer, field)
    lowest, highest = bounds
    given = owner.get(field, default)
    if not is_number(given):
        report.add("wrong_type", place, f"'{field}' must be a number of seconds, it is {type_name(given)}")
    elif not lowest <= given <= highest:
        report.add("out_of_range", place, f"'{field}' is {lowest} to {highest}, not {given}")
    else:
        return given
    return default
