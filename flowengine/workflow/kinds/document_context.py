"""What the checks of one node may ask about the document around it."""

from __future__ import annotations

import msgspec

from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.workflow.checking.dependencies import Links
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.template_references import TemplateCheck


class DocumentContext(msgspec.Struct, frozen=True):
    """The document that a node stands in, and the handlers and limits that it is held to.

    Whatever is wrong with the node goes into `report`.
    """

    registry: Registry
    limits: Limits
    links: Links
    templates: TemplateCheck
    report: Report
