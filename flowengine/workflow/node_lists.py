"""From a list of nodes, as far as it could be read, to the nodes of a plan: those of a document, or of a
group.

Whatever is wrong is reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from flowengine.jsonvalue import pointer_to
from flowengine.plugin import Registry
from flowengine.queues import WORKER_QUEUE
from flowengine.settings import Limits
from flowengine.workflow.checking.around import NOTHING_AROUND, Around, OuterNode
from flowengine.workflow.checking.certain_ancestors import certain_ancestors, rule_warnings
from flowengine.workflow.checking.dependencies import Links, link
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.given_references import GivenCheck
from flowengine.workflow.checking.templates.output_fields import DeclaredOutput
from flowengine.workflow.checking.templates.template_references import Findings, Reads, TemplateCheck
from flowengine.workflow.children.group import GROUP, PRIMARY, Group, Outer
from flowengine.workflow.children.reading import GroupDraft, ids_inside
from flowengine.workflow.document import DEFAULT_TIMEOUT_S
from flowengine.workflow.draft import DraftNode
from flowengine.workflow.kinds.all_kinds import (
    compile_node,
    declared_output,
    ends_without_outputs,
    repeated,
    waits_for_callback,
)
from flowengine.workflow.kinds.document_context import CompiledGroup, DocumentContext
from flowengine.workflow.kinds.task import TaskDraft
from flowengine.workflow.maps.items_apart import items_apart
from flowengine.workflow.maps.output import DECLARED as MAP_OUTPUT
from flowengine.workflow.maps.reading import hidden_item, refuse_hiding
from flowengine.workflow.plan import Plan, PlanNode, Task, encode_plan
from flowengine.workflow.policy import PLAIN, Policy
from flowengine.workflow.repeating.iterations_apart import iterations_apart
from flowengine.workflow.repeating.repeat import PREVIOUS
from flowengine.workflow.stages import DEFAULT_HOOKS_TIMEOUT_MS, MAIN_ONLY, Stages
from flowengine.workflow.waits.callback_reading import callback_output
from flowengine.workflow.waits.handler_signals import waiting_by_handler
from flowengine.workflow.waits.reading import check_signals

NO_CONFIG = msgspec.Raw(b"{}")


class Whole(msgspec.Struct, frozen=True):
    """The document that all lists stand in. `findings`: what templates are found to read, of all lists."""

    registry: Registry
    limits: Limits
    report: Report
    given: GivenCheck
    findings: Findings


class CompiledList(msgspec.Struct, frozen=True):
    """The nodes of a plan, their policies, and those with async handlers. `context`: what they were checked
    against."""

    nodes: tuple[PlanNode, ...]
    policies: dict[int, Policy]
    waiting: frozenset[int]
    context: DocumentContext


def compile_list(nodes: Sequence[DraftNode], whole: Whole, around: Around = NOTHING_AROUND) -> CompiledList:
    """The nodes of a plan. `around`: what is outside of the group that the list belongs to."""
    registry, report = whole.registry, whole.report
    nodes = [iterations_apart(items_apart(_with_signals(node, whole))) for node in nodes]
    fields = [node.fields for node in nodes]
    links = link(fields, report, around)
    own = [_known_output(node, registry) for node in nodes]
    of_items: dict[int, str | None] = {}
    for node in nodes:
        if (mapped := node.fields.map) is not None:
            item = own[node.fields.place]
            of_items[node.fields.place] = None if item is None else item.primary
            own[node.fields.place] = MAP_OUTPUT
            inside_it = ids_inside(node.work) if isinstance(node.work, GroupDraft) else ()
            refuse_hiding(mapped, {*links.index, *inside_it}, report)
            if mapped.name in around.items:
                whole.findings.warnings.append(hidden_item(mapped, report))
    outputs = [*own, *[outer.output for outer in around.nodes]]
    ends = [
        node.fields.place for node in nodes if node.fields.stage == "main" and ends_without_outputs(node.work)
    ]
    certain = _with_around(certain_ancestors(links.graph, fields, ends), links, fields)
    templates = TemplateCheck(links, outputs, whole.limits, report, certain, whole.given, whole.findings)

    def is_certain(place: int, of: int) -> bool:
        return certain is None or bool(certain.get(of, 0) >> place & 1)

    def inside(group: NodeFields) -> Around:
        known = [
            OuterNode(
                name,
                1,
                bool(links.readable(group.place) >> place & 1),
                is_certain(place, group.place),
                own[place],
                of_items.get(place),
            )
            for place, name in links.names.items()
            if place < len(nodes)
        ]
        outside = [msgspec.structs.replace(outer, up=outer.up + 1) for outer in around.nodes]
        items = around.items if group.map is None else (*around.items, group.map.name)
        repeats = around.repeats or group.policy.repeat is not None
        sole = any(isinstance(node.work, GroupDraft) and node.work.sole for node in nodes[group.place :][:1])
        return Around((*known, *outside), group.said, around.stage or group.stage, items, repeats, sole)

    context = DocumentContext(registry, whole.limits, links, templates, report)
    compile_group = partial(_compile_group, whole=whole, context=context, inside=inside)
    context = msgspec.structs.replace(context, compile_group=compile_group)
    compiled = [compile_node(node.fields, node.work, context) for node in nodes if node.work is not None]
    check_signals(fields, report)
    whole.findings.warnings += rule_warnings(links.graph, fields)
    known = [node for node in compiled if node is not None]
    plan_nodes = tuple(node.node for node in known)
    return CompiledList(
        plan_nodes,
        {place: node.policy for place, node in enumerate(known) if node.policy != PLAIN},
        frozenset(
            place
            for place, node in enumerate(plan_nodes)
            if (handler := registry.get(node.work.handler)) is not None
            and handler.is_async
            and known[place].policy.group is None
        ),
        context,
    )


def _known_output(node: DraftNode, registry: Registry) -> DeclaredOutput | None:
    """What is known of the node's output before it has run; what an iteration gives that runs apart is what
    its node gives."""
    repeat, waits = node.fields.policy.repeat, node.fields.waits
    if isinstance(node.work, GroupDraft) and node.work.sole and node.fields.map is None:
        return repeated(_known_output(node.work.nodes[0], registry), repeat)
    if waits is not None and waits_for_callback(node.fields):
        return callback_output(waits)
    return None if node.work is None else declared_output(node.work, registry, node.output_schema, repeat)


def _with_signals(node: DraftNode, whole: Whole) -> DraftNode:
    """The node, with what its handler says that it may wait for."""
    name = node.work.handler if isinstance(node.work, TaskDraft) else None
    handler = None if name is None else whole.registry.get(name)
    if handler is None or handler.signals is None:
        return node
    return msgspec.structs.replace(node, fields=waiting_by_handler(node.fields, handler, whole.report))


def stages_of(nodes: Sequence[DraftNode], hooks_timeout_ms: int = DEFAULT_HOOKS_TIMEOUT_MS) -> Stages:
    """How many of these belong to which stage."""
    counted = Counter(node.fields.stage for node in nodes)
    if counted["main"] == len(nodes):
        return MAIN_ONLY
    return Stages(counted["outputs"], counted["on_failure"], counted["finally"], hooks_timeout_ms)


def _with_around(
    certain: dict[int, int] | None, links: Links, fields: Sequence[NodeFields]
) -> dict[int, int] | None:
    """What is certain for each node, with what is certain for the group around."""
    around = links.around.nodes
    if all(outer.certain for outer in around if outer.readable) and certain is None:
        return None
    bits = 0
    for number, outer in enumerate(around):
        bits |= outer.certain << len(fields) + number
    own = certain or {node.place: links.graph.ancestor_bits(node.place) for node in fields}
    return {place: found | bits for place, found in own.items()}


def _compile_group(
    node: NodeFields,
    group: GroupDraft,
    whole: Whole,
    context: DocumentContext,
    inside: Callable[[NodeFields], Around],
) -> CompiledGroup:
    """The group's own task, what it reads, and the plan of its child executions."""
    inner = compile_list(group.nodes, whole, inside(node))
    plan = Plan(
        node.said,
        inner.nodes,
        inner.policies,
        overall=group.overall,
        stages=stages_of(group.nodes),
        waiting=inner.waiting,
    )
    pointer = pointer_to(node.pointer, "config")
    reads = context.templates.reads(node, {}, pointer, lambda field: None)
    task = Task(
        handler=inner.nodes[0].work.handler if group.sole and inner.nodes else GROUP,
        config=NO_CONFIG,
        reads=reads.outputs,
        timeout_ms=round(DEFAULT_TIMEOUT_S * 1000),
        queue=WORKER_QUEUE,
        primary=PRIMARY,
    )
    found = _with_inner(reads, inner, context.links)
    return CompiledGroup(task, found, Group(msgspec.Raw(encode_plan(plan)), group.sole))


def _with_inner(reads: Reads, inner: CompiledList, links: Links) -> Reads:
    """What the group's own templates read, with what those inside read of what is around the group."""
    outside = [outer for policy in inner.policies.values() for outer in policy.outer]
    beside = {links.index[outer.node] for outer in outside if outer.up == 1}
    further = {
        (outer.up, outer.node): Outer(outer.up - 1, outer.node, outer.primary, False, True)
        for outer in outside
        if outer.up > 1
    }
    own = {(outer.up + 1, outer.node): outer for outer in reads.outer}
    given = {root for policy in inner.policies.values() for root in policy.given}
    within = {policy.within for policy in inner.policies.values()}
    return Reads(
        reads.outputs,
        tuple(sorted({*reads.sees, *beside})),
        tuple(sorted({*reads.given, *given})),
        reads.previous or PREVIOUS in within,
        tuple(({**further, **own}).values()),
        reads.items,
        reads.iteration or bool(within - {""}),
        reads.late_keys,
    )
