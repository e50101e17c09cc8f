"""The kinds that a node can be of, and who reads, checks and describes each.

Today there are three: a handler's task, a group, and what computes outputs, which becomes a task. A new
kind is a module beside these, a member of `DraftWork` and of the plan's work, and a case in each function
here. Type checking fails until `compile_node` has its case.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.jsonvalue import JsonValue, encode
from flowengine.plugin import Registry
from flowengine.workflow.checking.config_defaults import ConfigDefaults
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.node_policy import PolicyFields
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.output_fields import DeclaredOutput
from flowengine.workflow.children import group_schema
from flowengine.workflow.children.group import GROUP, PRIMARY, Group
from flowengine.workflow.children.reading import GroupDraft
from flowengine.workflow.kinds import outputs, task
from flowengine.workflow.kinds.config_schema import WorkSchema
from flowengine.workflow.kinds.document_context import DocumentContext
from flowengine.workflow.kinds.outputs import OutputsDraft
from flowengine.workflow.kinds.task import TaskDraft
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.output_schema import OutputSchema
from flowengine.workflow.plan import PlanNode, Task
from flowengine.workflow.policy import Policy, Retry
from flowengine.workflow.repeating.repeat import Repeat
from flowengine.workflow.stages import OUTPUTS_NODE

_TRY_BY_THEMSELVES: Final = ("http_request", "call_external_service", "llm_service")
"""Handlers that repeat a call which has failed, unless the engine does."""

END: Final = "end"
"""The handler whose nodes end the execution."""

DraftWork: TypeAlias = TaskDraft | OutputsDraft | GroupDraft
"""What a node does, as far as it could be read."""

WORK_FIELDS: Final = task.FIELDS
"""The fields of a node that say what it does."""


def read_work(node: JsonObject, pointer: str, report: Report, defaults: ConfigDefaults) -> TaskDraft:
    """What the node at `pointer` does. Wrong types of its fields are reported."""
    return task.read_task(node, pointer, report, defaults)


class GroupOutput(msgspec.Struct):
    """The output of a group: what it gives, and nothing beside it."""

    result: Any


class CompiledNode(msgspec.Struct, frozen=True):
    """The plan's node, and its policy."""

    node: PlanNode
    policy: Policy


def compile_node(node: NodeFields, work: DraftWork, document: DocumentContext) -> CompiledNode | None:
    """The plan's node; None where something is wrong with what it does, which is then reported."""
    group: Group | None = None
    match work:
        case TaskDraft():
            compiled = task.compile_task(node, work, document)
        case OutputsDraft():
            compiled = outputs.compile_outputs(node, work, document)
        case GroupDraft():
            assert document.compile_group is not None, "a list knows how to compile the groups in it"
            made = document.compile_group(node, work)
            compiled, group = (made.task, made.reads), made.group
        case _:
            assert_never(work)
    node_id = OUTPUTS_NODE if node.stage == "outputs" else node.id
    if compiled is None or node_id is None:
        return None
    does, reads = compiled
    if waits_for_callback(node):
        does = replace(does, primary=None)
    said = node.policy
    policy = Policy(
        trigger_rule=said.trigger_rule,
        when=said.when,
        tolerates=said.tolerates,
        retry=_retry_of(said, does),
        sees=reads.sees,
        output_schema=node.output_schema,
        given=reads.given,
        ends=does.handler == END,
        gives_outputs=isinstance(work, TaskDraft) and gives_outputs(work),
        waits=node.waits,
        repeat=None if said.repeat is None else replace(said.repeat, reads_previous=reads.previous),
        group=group,
        outer=reads.outer,
        concurrency=said.concurrency,
        rate_limit=said.rate_limit,
        calls=node.calls,
        cache=node.cache,
        map=None if node.map is None else MapPolicy(encode(node.map.spec).decode(), node.map.name),
        items=reads.items,
        within="" if said.repeat is not None else reads.within,
        late_keys=reads.late_keys,
    )
    return CompiledNode(PlanNode(node_id, document.links.graph.parents[node.place], does), policy)


def waits_for_callback(node: NodeFields) -> bool:
    """Whether its output is what a callback carries."""
    return node.waits is not None and node.waits.kind == "callback"


def _retry_of(said: PolicyFields, does: Task) -> Retry | None:
    """Where starts are limited, the engine tries again, and not the handler: each try counts then."""
    if said.retry is None and said.rate_limit is not None and does.handler in _TRY_BY_THEMSELVES:
        return Retry()
    return said.retry


def gives_outputs(work: DraftWork | None) -> bool:
    """Whether it gives what its execution gives: it computes the outputs, or is an `end` that says them."""
    if isinstance(work, TaskDraft):
        return work.handler == END and (work.config or {}).get("outputs") is not None
    return isinstance(work, OutputsDraft)


def ends_without_outputs(work: DraftWork | None) -> bool:
    """Whether it is an `end` after which the document's outputs are computed."""
    if not isinstance(work, TaskDraft) or work.handler != END:
        return False
    config = work.config or {}
    return config.get("outputs") is None and config.get("status") != "failed"


def declared_output(
    work: DraftWork, registry: Registry, schema: OutputSchema | None, repeat: Repeat | None = None
) -> DeclaredOutput | None:
    """What is known of the node's output before it has run."""
    match work:
        case TaskDraft():
            return repeated(task.declared_output(work, registry, schema), repeat)
        case OutputsDraft():
            return None
        case GroupDraft():
            return repeated(_output_of_group(work, schema), repeat)
        case _:
            assert_never(work)


def repeated(known: DeclaredOutput | None, repeat: Repeat | None) -> DeclaredOutput | None:
    """What a node gives that repeats, of which this is known of one iteration."""
    if known is None or repeat is None:
        return known
    return replace(known, repeats="all" if repeat.collects else "last")


def _output_of_group(group: GroupDraft, said: OutputSchema | None) -> DeclaredOutput:
    """What a group gives, by the names of its outputs. `said`: what these are."""
    if group.outputs is None:
        return DeclaredOutput(GROUP, GroupOutput, PRIMARY)
    whole: JsonObject = {} if said is None else said.schema
    parts = whole.get("properties")
    known: JsonValue = {
        name: (parts if isinstance(parts, dict) else {}).get(name, True) for name in group.outputs
    }
    named: JsonObject = {name: part for name, part in whole.items() if name in ("$defs", "definitions")}
    schema: JsonObject = {**named, "type": "object", "properties": known, "additionalProperties": False}
    return DeclaredOutput(GROUP, GroupOutput, PRIMARY, schema)


def work_schema(registry: Registry) -> WorkSchema:
    """What the schema of a node says of the work it does."""
    tasks = task.task_schema(registry)
    return msgspec.structs.replace(
        tasks,
        choices=[*tasks.choices, group_schema.choice()],
        properties={**tasks.properties, **group_schema.properties()},
    )
