"""The templates of a node's config, checked before anything runs: syntax, and what they read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.settings import Limits
from flowengine.template import Analysis, TemplateError, analyse, is_template
from flowengine.workflow.dependencies import Links
from flowengine.workflow.report import Report, did_you_mean, quoted
from flowengine.workflow.shape import DraftNode, JsonObject

MAX_TEMPLATE_WORK: Final = 1_000_000
_EXPRESSION: Final = re.compile(r"\{[{%#].*?(?:[}%#]\}|$)", re.DOTALL)
_TEMPLATE_COST: Final = 50
_COMPLEX_FACTOR: Final = 16


class TemplateCheck:
    """Checks the templates of one document's nodes, each distinct text once, within a bound on work."""

    def __init__(self, links: Links, limits: Limits, report: Report) -> None:
        self._links = links
        self._limits = limits
        self._report = report
        self._known: dict[str, Analysis | TemplateError] = {}
        self._work = MAX_TEMPLATE_WORK
        self._hyphenated = [node_id for node_id in links.index if "-" in node_id]

    def reads(self, place: int, node: DraftNode, config: JsonObject) -> tuple[int, ...]:
        """The nodes whose outputs the config reads, ascending; wrong templates are reported."""
        found: set[int] = set()
        for pointer, text in _templates(config, pointer_to(node.pointer, "config")):
            if self._work < 0:
                break
            analysis = self._analysis(text, pointer)
            if analysis is None:
                continue
            for name in analysis.nodes:
                source = self._source(name, place, node, pointer)
                if source is not None:
                    found.add(source)
        return tuple(sorted(found))

    def _analysis(self, text: str, pointer: str) -> Analysis | None:
        limit = self._limits.max_template_chars
        if len(text) > limit:
            self._report.add(
                "template_too_long",
                pointer,
                f"a templated string has at most {limit} characters (FLOWENGINE_MAX_TEMPLATE_CHARS), "
                f"this one has {len(text)}: put fixed text into a node of its own",
            )
            return None
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = _analysed(text)
            self._pay(text, known, pointer)
        if isinstance(known, TemplateError):
            self._report.add(known.code, pointer, known.message)
            return None
        return known

    def _pay(self, text: str, analysis: Analysis | TemplateError, pointer: str) -> None:
        inside = sum(match.end() - match.start() for match in _EXPRESSION.finditer(text))
        simple = isinstance(analysis, Analysis) and analysis.is_simple
        self._work -= _TEMPLATE_COST + inside * (1 if simple else _COMPLEX_FACTOR)
        if self._work < 0:
            self._report.add(
                "too_many_templates",
                pointer,
                f"the different templates of this workflow take more than {MAX_TEMPLATE_WORK} units of work: "
                f"{_TEMPLATE_COST} each, 1 a character, {_COMPLEX_FACTOR} where they do more than read; "
                "those after this one were not checked: split the workflow",
            )

    def _source(self, name: str, place: int, node: DraftNode, pointer: str) -> int | None:
        source = self._links.index.get(name)
        if source is None and self._report.is_full:
            self._report.leave_out()
        elif source is None:
            hint = self._hyphen_hint(name) or did_you_mean(self._report.nearest(name, self._links.index))
            self._report.add(
                "unknown_node_reference",
                pointer,
                f"the template reads {quoted(name)}, which is no node{hint}",
            )
        elif source == place:
            self._report.add(
                "not_an_ancestor", pointer, f"the template reads its own node's output, {quoted(name)}"
            )
        elif not self._links.graph.is_ancestor(source, place):
            self._report.add(
                "not_an_ancestor",
                pointer,
                f"the template reads {quoted(name)}, which may not have run by then: "
                f"add it to the dependencies of {quoted(node.id or '')}",
            )
        else:
            return source
        return None

    def _hyphen_hint(self, name: str) -> str:
        for node_id in self._hyphenated:
            if node_id.split("-", 1)[0] == name:
                return f"; an id with '-' is read as {{{{ nodes[\"{node_id}\"] }}}}"
        return ""


def _analysed(text: str) -> Analysis | TemplateError:
    try:
        return analyse(text)
    except TemplateError as error:
        return error


def _templates(value: JsonValue, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if is_template(value):
            yield pointer, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str | dict | list):
                yield from _templates(item, pointer_to(pointer, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            if isinstance(item, str | dict | list):
                yield from _templates(item, pointer_to(pointer, place))
