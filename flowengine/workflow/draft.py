"""A document as far as it could be read: its own fields one by one, so that every wrong one is reported.

Knows types, limits and names; nothing of graphs, handlers or templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.chains.declared import After
from flowengine.workflow.chains.reading import read_after
from flowengine.workflow.checking.config_defaults import ConfigDefaults
from flowengine.workflow.checking.execution_policy import check_end, read_execution_policy, read_priority
from flowengine.workflow.checking.node_defaults import NodeDefaults, read_defaults
from flowengine.workflow.checking.node_fields import NodeFields, read_dependencies, read_id, read_timeout
from flowengine.workflow.checking.node_policy import FIELDS as POLICY_FIELDS
from flowengine.workflow.checking.node_policy import NO_POLICY, PolicyFields, read_policy
from flowengine.workflow.checking.object_fields import JsonObject, read_text, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.stage_fields import check_hook, read_hooks_timeout_ms, read_outputs
from flowengine.workflow.checking.templates.given_references import GivenCheck
from flowengine.workflow.children import reading as groups
from flowengine.workflow.children.call_reading import calls, read_call
from flowengine.workflow.document import (
    DEFAULT_TIMEOUT_S,
    MAX_DESCRIPTION_CHARS,
    MAX_NAME_CHARS,
    NODE_SPELLINGS,
    WORKFLOW_FIELDS,
    WORKFLOW_SPELLINGS,
)
from flowengine.workflow.inputs.reading import Inputs, read_inputs
from flowengine.workflow.inputs.subschemas import both
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.inputs.variables import NO_VARIABLES, Variables, read_vars
from flowengine.workflow.kinds.all_kinds import END, WORK_FIELDS, DraftWork, gives_outputs, read_work
from flowengine.workflow.kinds.outputs import OutputsDraft
from flowengine.workflow.labels import Labels, read_labels
from flowengine.workflow.limits.caching import read_cache
from flowengine.workflow.limits.declared import CACHE_FIELD
from flowengine.workflow.limits.reading import read_concurrency
from flowengine.workflow.maps.reading import FIELD as MAP
from flowengine.workflow.maps.reading import read_map
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.output_schema import OutputSchema, OutputSchemas
from flowengine.workflow.policy import PLAIN_EXECUTION, ExecutionPolicy
from flowengine.workflow.repeating.reading import FIELD as REPEAT
from flowengine.workflow.schedules.declared import Schedule
from flowengine.workflow.schedules.reading import read_schedules
from flowengine.workflow.stages import DEFAULT_HOOKS_TIMEOUT_MS, HOOKS, Stage, is_hook
from flowengine.workflow.waits.callback_reading import FIELD as CALLBACK
from flowengine.workflow.waits.callback_reading import read_callback
from flowengine.workflow.waits.reading import carried_schema, read_waiting

OUTPUTS_TIMEOUT_S: Final = 60
"""How long it may take to compute the outputs."""

_NODE_FIELDS: Final = (
    "id",
    "description",
    *WORK_FIELDS,
    "dependencies",
    "timeout_seconds",
    *POLICY_FIELDS,
    OUTPUT_SCHEMA,
    MAP,
    CALLBACK,
    CACHE_FIELD,
)


class DraftNode(msgspec.Struct, frozen=True):
    """What could be read of a node. `work` is None where the node is no object."""

    fields: NodeFields
    work: DraftWork | None
    output_schema: OutputSchema | None = None


class Draft(msgspec.Struct, frozen=True):
    """What could be read of a document. `nodes` are those of all stages, one stage after the other; None
    where there is no sense in looking at them. `inputs` is None where the document says nothing of them."""

    name: str
    nodes: tuple[DraftNode, ...] | None
    configs: ConfigDefaults
    inputs: Inputs | None = None
    overall: ExecutionPolicy = PLAIN_EXECUTION
    variables: Variables = NO_VARIABLES
    hooks_timeout_ms: int = DEFAULT_HOOKS_TIMEOUT_MS
    labels: Labels = {}
    schedules: tuple[Schedule, ...] = ()
    after: tuple[After, ...] = ()


def read_draft(document: JsonObject, limits: Limits, report: Report) -> Draft:
    """The document's fields. Whatever is wrong with them is reported."""
    refuse_unknown_fields(document, WORKFLOW_FIELDS, "", report, WORKFLOW_SPELLINGS)
    name = read_text(document, "name", "", report)
    if name is not None:
        _check_name(name, report)
    if document.get("description") is not None:
        _check_description(read_text(document, "description", "", report) or "", "", report)
    labels = read_labels(document, report)
    defaults = read_defaults(document, report)
    work = TemplateWork(report, limits.max_template_chars)
    inputs = read_inputs(document, report, work)
    variables = read_vars(document, inputs, report, work)
    given = GivenCheck(inputs, variables.vars, labels)
    concurrency = read_concurrency(document, given, report, work)
    overall = msgspec.structs.replace(
        read_execution_policy(document, report),
        concurrency=concurrency,
        priority=read_priority(document, report),
    )
    schedules = read_schedules(
        document, inputs, report, work, limited=document.get("concurrency") is not None
    )
    after = read_after(document, inputs, report, work)
    hooks_timeout_ms = read_hooks_timeout_ms(document, report)
    nodes = _nodes(document, limits, report, defaults, name or "")
    return Draft(
        name or "",
        nodes,
        defaults.configs,
        inputs,
        overall,
        variables,
        hooks_timeout_ms,
        labels,
        schedules,
        after,
    )


def _check_name(name: str, report: Report) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARS:
        report.add(
            "invalid_name", "/name", f"a name has 1 to {MAX_NAME_CHARS} characters, this one {len(name)}"
        )
    elif not name.isprintable():
        report.add("invalid_name", "/name", "a name is one line of printable characters")


def _check_description(description: str, pointer: str, report: Report) -> None:
    if len(description) > MAX_DESCRIPTION_CHARS:
        report.add(
            "invalid_description",
            pointer_to(pointer, "description"),
            f"a description has at most {MAX_DESCRIPTION_CHARS} characters, this one has {len(description)}: "
            "keep the rest with your documentation",
        )


def _nodes(
    document: JsonObject, limits: Limits, report: Report, defaults: NodeDefaults, owner: str
) -> tuple[DraftNode, ...] | None:
    if "nodes" not in document:
        report.add("missing_field", "/nodes", "the field 'nodes' is required: a list of nodes")
        return None
    nodes = document["nodes"]
    if not isinstance(nodes, list):
        report.add("wrong_type", "/nodes", f"'nodes' must be a list, it is {type_name(nodes)}")
        return None
    if not nodes:
        report.add("empty_workflow", "/nodes", "a workflow has at least one node")
        return None
    lists: dict[Stage, list[JsonValue]] = {"main": nodes, **_hooks(document, report)}
    total = groups.count_nodes(lists.values())
    if total > limits.max_nodes:
        among = "" if total == len(nodes) else ", those of hooks and groups among them"
        report.add(
            "too_many_nodes",
            "/nodes",
            f"the workflow has {total} nodes{among}, the limit is {limits.max_nodes} "
            "(FLOWENGINE_MAX_NODES): split it",
        )
        return None
    schemas = OutputSchemas(report)
    found: list[DraftNode] = []
    for stage, listed in lists.items():
        pointer = "/nodes" if stage == "main" else f"/{stage}"
        reading = _NodeReading(
            stage, len(found), report, defaults, schemas, pointer, limits.public_url, owner
        )
        found += [reading.node(node, number) for number, node in enumerate(listed)]
        outputs = read_outputs(document, report) if stage == "main" else None
        if outputs is not None:
            found.append(_outputs_node(len(found), outputs, "/outputs"))
    return tuple(found)


def _outputs_node(place: int, outputs: JsonObject, pointer: str) -> DraftNode:
    """What computes the outputs of the document, or of a group."""
    fields = NodeFields(place, "", None, [], OUTPUTS_TIMEOUT_S, stage="outputs")
    return DraftNode(fields, OutputsDraft(outputs, pointer))


def _hooks(document: JsonObject, report: Report) -> dict[Stage, list[JsonValue]]:
    found: dict[Stage, list[JsonValue]] = {}
    for stage in HOOKS:
        listed = document.get(stage)
        if isinstance(listed, list):
            found[stage] = listed
        elif listed is not None:
            message = f"'{stage}' must be a list of nodes, it is {type_name(listed)}"
            report.add("wrong_type", f"/{stage}", message)
    return found


class _NodeReading(msgspec.Struct, frozen=True):
    """Reads the nodes of one list, to which `pointer` leads. `first`: how many nodes come before it. `depth`:
    how many groups are around it. `public_url`: the base of callback URLs. `owner`: the workflow and the
    groups to which what is kept for nodes belongs."""

    stage: Stage
    first: int
    report: Report
    defaults: NodeDefaults
    schemas: OutputSchemas
    pointer: str
    public_url: str | None
    owner: str
    depth: int = 0

    def node(self, node: JsonValue, number: int) -> DraftNode:
        """The node at this place of the list."""
        return _node(node, self.first + number, pointer_to(self.pointer, number), self)

    def inside(self, pointer: str, group: str | None) -> _NodeReading:
        """Reads the nodes of the group at this pointer."""
        inner, owner = pointer_to(pointer, groups.NODES), f"{self.owner}\t{group}"
        return msgspec.structs.replace(
            self, stage="main", first=0, pointer=inner, depth=self.depth + 1, owner=owner
        )


def _node(node: JsonValue, place: int, pointer: str, reading: _NodeReading) -> DraftNode:
    report, defaults, stage = reading.report, reading.defaults, reading.stage
    if not isinstance(node, dict):
        report.add("wrong_type", pointer, f"a node must be an object, it is {type_name(node)}")
        return DraftNode(NodeFields(place, pointer, None, [], DEFAULT_TIMEOUT_S, stage=stage), None)
    if groups.is_group(node):
        return _group(node, place, pointer, reading)
    node = groups.refuse_group_fields(node, pointer, report)
    refuse_unknown_fields(node, _NODE_FIELDS, pointer, report, NODE_SPELLINGS)
    node_id = read_id(node, pointer, report)
    work = read_work(node, pointer, report, defaults.configs)
    dependencies = read_dependencies(node, pointer, report)
    if node.get("description") is not None:
        _check_description(read_text(node, "description", pointer, report) or "", pointer, report)
    ends = node.get("handler") == END
    if ends and is_hook(stage):
        check_hook(pointer, stage, report)
    elif ends:
        check_end(node, pointer, report)
    waits = read_waiting(node, node_id, pointer, report, reading.schemas)
    runs = read_call(node, work, pointer, report) if calls(node) else None
    plain = ends or waits is not None or runs is not None
    timeout_s = float(DEFAULT_TIMEOUT_S)
    if waits is None and runs is None:
        timeout_s = read_timeout(node, pointer, report, DEFAULT_TIMEOUT_S if ends else defaults.timeout_s)
    policy = read_policy(node, pointer, report, NO_POLICY if plain else defaults.policy)
    policy = _placed(policy, node_id, reading, apart=_may_run_apart(node))
    called = read_callback(node, pointer, report, reading.schemas, reading.public_url)
    schema = reading.schemas.read(node, pointer)
    encoded = None if schema is None else schema.encoded.decode()
    mapped = read_map(node, pointer, report)
    cached = read_cache(node, pointer, report, f"{reading.owner}\t{node_id}")
    fields = NodeFields(
        place,
        pointer,
        node_id,
        dependencies,
        timeout_s,
        policy,
        encoded,
        stage,
        waits or called,
        mapped,
        runs,
        cached,
    )
    return DraftNode(fields, work, schema or carried_schema(node, waits))


def _may_run_apart(node: JsonObject) -> bool:
    """Whether its items, or its iterations, may run as executions of their own."""
    return node.get(MAP) is not None or node.get(REPEAT) is not None


def _placed(policy: PolicyFields, node_id: str | None, reading: _NodeReading, *, apart: bool) -> PolicyFields:
    """The same, where the limits without a key of a node in groups, or of one that runs apart, say where it
    stands: it runs in a child, and other workflows may have one of the same name."""
    if not reading.depth and not apart:
        return policy
    workflow, *around = reading.owner.split("\t")
    place = f"{workflow}\t{'/'.join([*around, node_id or ''])}"
    turn, pace = policy.concurrency, policy.rate_limit
    if turn is not None and turn.key is None:
        turn = msgspec.structs.replace(turn, place=place)
    if pace is not None and pace.key is None:
        pace = msgspec.structs.replace(pace, place=place)
    return msgspec.structs.replace(policy, concurrency=turn, rate_limit=pace)


def _checked(node: DraftNode, schema: OutputSchema) -> DraftNode:
    """A node of a group; one that gives what the group gives fails if that is not what this schema says."""
    if not gives_outputs(node.work):
        return node
    whole = both(node.fields.output_schema, schema.encoded.decode())
    fields = msgspec.structs.replace(node.fields, output_schema=whole)
    return msgspec.structs.replace(node, fields=fields)


def _group(node: JsonObject, place: int, pointer: str, reading: _NodeReading) -> DraftNode:
    report, stage = reading.report, reading.stage
    refuse_unknown_fields(node, groups.FIELDS, pointer, report, NODE_SPELLINGS)
    node_id = read_id(node, pointer, report)
    dependencies = read_dependencies(node, pointer, report)
    if node.get("description") is not None:
        _check_description(read_text(node, "description", pointer, report) or "", pointer, report)
    policy = read_policy(node, pointer, report, NO_POLICY)
    policy = _placed(policy, node_id, reading, apart=node.get(MAP) is not None)
    inside, schema = reading.inside(pointer, node_id), reading.schemas.read(node, pointer)

    def read_nodes(listed: Sequence[JsonValue], outputs: JsonObject | None) -> tuple[DraftNode, ...]:
        found = [inside.node(inner, number) for number, inner in enumerate(listed)]
        if outputs is not None:
            found.append(_outputs_node(len(found), outputs, pointer_to(pointer, "outputs")))
        return tuple(found if schema is None else [_checked(inner, schema) for inner in found])

    group = groups.read_group(node, pointer, report, reading.depth, read_nodes)
    mapped = read_map(node, pointer, report)
    fields = NodeFields(
        place, pointer, node_id, dependencies, DEFAULT_TIMEOUT_S, policy, stage=stage, map=mapped
    )
    return DraftNode(fields, group, schema)
