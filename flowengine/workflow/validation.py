"""The one validator: from bytes to a plan, or to every problem there is.

Serves the API, the tool and the tests alike. Its time is bounded by the limits, whatever the input; no
input makes it raise.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, UnencodableError, encode, pointer_to
from flowengine.plugin import Handler, Registry
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.dependencies import Links, link
from flowengine.workflow.checking.document_shape import DraftNode, JsonObject, read_draft
from flowengine.workflow.checking.node_config import check_config
from flowengine.workflow.checking.problem_order import by_line, in_document_order
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.template_references import TemplateCheck
from flowengine.workflow.plan import Plan, PlanNode
from flowengine.workflow.problems import Problem, did_you_mean, quoted
from flowengine.workflow.reading.json_parser import parse_json
from flowengine.workflow.reading.malformed import MAX_DEPTH, MalformedError
from flowengine.workflow.reading.positions import Positions
from flowengine.workflow.reading.yaml_parser import parse_yaml

Form: TypeAlias = Literal["json", "yaml"]

MAX_LISTED: Final = 20


class Checked(msgspec.Struct, frozen=True):
    """What the validator says of a document.

    A right document has a `plan` and no `problems`. A wrong one has all its `problems`, in the order of the
    document's parts. A `malformed` one could not be read at all; its one problem says why.
    """

    plan: Plan | None
    problems: tuple[Problem, ...]
    malformed: bool = False


def check(body: bytes, form: Form, registry: Registry, limits: Limits) -> Checked:
    """Read and check a document as it was sent. Problems carry line and column."""
    limit, name = (
        (limits.max_yaml_bytes, "FLOWENGINE_MAX_YAML_BYTES")
        if form == "yaml"
        else (limits.max_body_bytes, "FLOWENGINE_MAX_BODY_BYTES")
    )
    if len(body) > limit:
        return _malformed(
            Problem(
                code="body_too_large",
                pointer="",
                message=f"the document has {len(body)} bytes, the limit is {limit} ({name}): split it",
            )
        )
    try:
        document, positions = parse_yaml(body) if form == "yaml" else parse_json(body)
    except MalformedError as error:
        return _malformed(
            Problem(
                code=error.reason, pointer="", message=error.message, line=error.line, column=error.column
            )
        )
    checked = _check(document, registry, limits)
    placed = _placed(checked.problems, document, positions)
    return msgspec.structs.replace(checked, problems=by_line(placed))


def check_document(document: JsonValue, registry: Registry, limits: Limits) -> Checked:
    """Check a document that is already a JSON value. Problems carry no line and column."""
    if _is_too_deep(document):
        message = f"the document is nested more than {MAX_DEPTH} deep"
        return _malformed(Problem(code="too_deep", pointer="", message=message))
    return _check(document, registry, limits)


def _malformed(problem: Problem) -> Checked:
    return Checked(None, (problem,), malformed=True)


def _is_too_deep(document: JsonValue) -> bool:
    level: list[JsonValue] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _placed(problems: tuple[Problem, ...], document: JsonValue, positions: Positions) -> tuple[Problem, ...]:
    if not problems:
        return ()
    places = positions.locate(document, {problem.pointer for problem in problems})
    return tuple(
        msgspec.structs.replace(problem, line=places[problem.pointer][0], column=places[problem.pointer][1])
        for problem in problems
    )


def _check(document: JsonValue, registry: Registry, limits: Limits) -> Checked:
    report = Report()
    if not isinstance(document, dict):
        report.add(
            "wrong_type",
            "",
            f"a workflow is an object with 'name' and 'nodes', this is {type_name(document)}",
        )
        return Checked(None, in_document_order(report.problems(), document))
    draft = read_draft(document, limits, report)
    if draft.nodes is None:
        return Checked(None, in_document_order(report.problems(), document))
    links = link(draft.nodes, report)
    templates = TemplateCheck(links, limits, report)
    nodes = [
        _node(place, node, links, templates, registry, limits, report)
        for place, node in enumerate(draft.nodes)
    ]
    if report:
        return Checked(None, in_document_order(report.problems(), document))
    plan = Plan(draft.name, tuple(node for node in nodes if node is not None))
    return Checked(plan, ())


def _node(
    place: int,
    node: DraftNode,
    links: Links,
    templates: TemplateCheck,
    registry: Registry,
    limits: Limits,
    report: Report,
) -> PlanNode | None:
    handler = _handler(node, registry, report)
    config = node.config
    encoded = None if config is None else _encoded(config, node, limits, report)
    if config is None or encoded is None:
        return None
    reads = templates.reads(place, node, config, secrets=handler is None or handler.secrets)
    if handler is None or node.id is None:
        return None
    check_config(config, handler.config_type, pointer_to(node.pointer, "config"), report, templates.is_sole)
    return PlanNode(
        id=node.id,
        handler=handler.name,
        config=msgspec.Raw(encoded),
        parents=links.graph.parents[place],
        reads=reads,
        timeout_ms=round(node.timeout_s * 1000),
        queue=handler.queue,
        primary=handler.primary,
    )


def _handler(node: DraftNode, registry: Registry, report: Report) -> Handler | None:
    if node.handler is None:
        return None
    found = registry.get(node.handler)
    if found is None:
        nearest = did_you_mean(report.nearest(node.handler, registry.names())) or _known(registry)
        report.add(
            "unknown_handler",
            pointer_to(node.pointer, "handler"),
            f"no handler called {quoted(node.handler)}{nearest} See: flowengine handlers",
        )
    return found


def _known(registry: Registry) -> str:
    """The end of a message about a name that is like no other."""
    names = registry.names()
    listed = ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
    return f"; there are {listed}. Your own are found through FLOWENGINE_HANDLERS."


def _encoded(config: JsonObject, node: DraftNode, limits: Limits, report: Report) -> bytes | None:
    pointer = pointer_to(node.pointer, "config")
    try:
        encoded = encode(config)
    except UnencodableError as error:
        report.add("invalid_config", pointer, f"the config cannot be written as JSON: {error}")
        return None
    if len(encoded) <= limits.max_config_bytes:
        return encoded
    report.add(
        "config_too_large",
        pointer,
        f"the config takes {len(encoded)} bytes of JSON, the limit is {limits.max_config_bytes} "
        "(FLOWENGINE_MAX_CONFIG_BYTES): move large data to a service and read it from there",
    )
    return None
