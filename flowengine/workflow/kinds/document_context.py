"""What the checks of one node may ask about the document around it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.workflow.checking.dependencies import Links
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.template_references import Reads, TemplateCheck
from flowengine.workflow.children.group import Group
from flowengine.workflow.children.reading import GroupDraft
from flowengine.workflow.plan import Task


class CompiledGroup(msgspec.Struct, frozen=True):
    """A group's task, what its templates and those in it read, and the plan of its child executions."""

    task: Task
    reads: Reads
    group: Group


class DocumentContext(msgspec.Struct, frozen=True):
    """The document that a node stands in, and the handlers and limits that it is held to.

    Whatever is wrong with the node goes into `report`. `compile_group` compiles a group among these nodes.
    """

    registry: Registry
    limits: Limits
    links: Links
    templates: TemplateCheck
    report: Report
    compile_group: Callable[[NodeFields, GroupDraft], CompiledGroup] | None = None
