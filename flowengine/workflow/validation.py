"""The one validator: from bytes to a plan, or to every problem there is.

Serves the API, the tool and the tests alike. Its time is bounded by the limits, whatever the input, and no
input makes it raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias, TypeVar

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.chains.declared import After
from flowengine.workflow.chains.reading import followed
from flowengine.workflow.checking.problem_order import by_line, in_document_order
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.given_references import GivenCheck
from flowengine.workflow.checking.templates.template_references import Findings
from flowengine.workflow.children.call_reading import NamedDefinition, definitions_named
from flowengine.workflow.draft import read_draft
from flowengine.workflow.kinds.task import check_defaults
from flowengine.workflow.labels import Labels
from flowengine.workflow.node_lists import Whole, compile_list, stages_of
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem
from flowengine.workflow.reading.json_parser import parse_json
from flowengine.workflow.reading.malformed import MAX_DEPTH, MalformedError
from flowengine.workflow.reading.positions import Positions
from flowengine.workflow.reading.yaml_parser import parse_yaml
from flowengine.workflow.schedules.declared import Schedule
from flowengine.workflow.stages import HOOKS

ProblemT = TypeVar("ProblemT", bound=Problem)
Form: TypeAlias = Literal["json", "yaml"]


class Checked(msgspec.Struct, frozen=True):
    """What the validator says of a document.

    A right document has a `plan` and no `problems`. A wrong one has all its `problems`, in the order of the
    document's parts. A `malformed` one could not be read at all; its one problem says why. `warnings` are
    what may go wrong with a right one. `labels` are those of each of its executions. `schedules`: when these
    start by themselves, once it is applied, and `after` by whose ends. `calls`: the definitions that its
    nodes name, and those that it follows, each a warning to those who know that it is not there.
    """

    plan: Plan | None
    problems: tuple[Problem, ...]
    malformed: bool = False
    warnings: tuple[Problem, ...] = ()
    labels: Labels = {}
    schedules: tuple[Schedule, ...] = ()
    after: tuple[After, ...] = ()
    calls: tuple[NamedDefinition, ...] = ()


def check(
    body: bytes,
    form: Form,
    registry: Registry,
    limits: Limits,
    *,
    has_secret: Callable[[str], bool] | None = None,
) -> Checked:
    """Read and check a document as it was sent. Problems and warnings have line and column.

    `has_secret` says whether there is a secret of that name. Each one that a template reads and that is not
    there is a warning: the workers of another installation may have it.
    """
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return _malformed(text)
    return text.placed(_check(text.value, registry, limits, has_secret))


class Text(msgspec.Struct, frozen=True):
    """What a text says, and where in it."""

    value: JsonValue
    positions: Positions

    def placed(self, checked: Checked) -> Checked:
        """The same, with line and column."""
        return msgspec.structs.replace(
            checked,
            problems=self.located(checked.problems),
            warnings=self.located(checked.warnings),
            calls=_placed(checked.calls, self.value, self.positions),
        )

    def located(self, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """The problems with line and column, in that order."""
        return by_line(_placed(problems, self.value, self.positions))


def read_text(body: bytes, form: Form, limits: Limits) -> Text | Problem:
    """What the text says, or why it cannot be read."""
    too_large = _too_large(body, form, limits)
    if too_large is not None:
        return too_large
    try:
        return Text(*(parse_yaml(body) if form == "yaml" else parse_json(body)))
    except MalformedError as error:
        return Problem(
            code=error.reason, pointer="", message=error.message, line=error.line, column=error.column
        )


def check_document(
    document: JsonValue,
    registry: Registry,
    limits: Limits,
    *,
    has_secret: Callable[[str], bool] | None = None,
) -> Checked:
    """Check a document that is already a JSON value. Problems have no line and column. Else as `check`."""
    if _is_too_deep(document):
        message = f"the document is nested more than {MAX_DEPTH} deep"
        return _malformed(Problem(code="too_deep", pointer="", message=message))
    return _check(document, registry, limits, has_secret)


def _too_large(body: bytes, form: Form, limits: Limits) -> Problem | None:
    limit, setting = (
        (limits.max_yaml_bytes, "FLOWENGINE_MAX_YAML_BYTES")
        if form == "yaml"
        else (limits.max_body_bytes, "FLOWENGINE_MAX_BODY_BYTES")
    )
    if len(body) <= limit:
        return None
    message = f"the document has {len(body)} bytes, the limit is {limit} ({setting}): split it"
    return Problem(code="body_too_large", pointer="", message=message)


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


def _placed(
    problems: tuple[ProblemT, ...], document: JsonValue, positions: Positions
) -> tuple[ProblemT, ...]:
    if not problems:
        return ()
    places = positions.locate(document, {problem.pointer for problem in problems})
    return tuple(
        msgspec.structs.replace(problem, line=places[problem.pointer][0], column=places[problem.pointer][1])
        for problem in problems
    )


def _check(
    document: JsonValue,
    registry: Registry,
    limits: Limits,
    has_secret: Callable[[str], bool] | None = None,
) -> Checked:
    report = Report()
    found = _Found()
    plan = _compiled(document, registry, limits, report, found)
    if has_secret is not None:
        found.warnings += _missing_secrets(found.secrets, has_secret)
    warnings = tuple(found.warnings)
    if report:
        return Checked(None, in_document_order(report.problems(), document), warnings=warnings)
    return Checked(
        plan,
        (),
        warnings=warnings,
        labels=found.labels,
        schedules=found.schedules,
        after=found.after,
        calls=(*definitions_named(_lists_of(document)), *followed(document)),
    )


def _lists_of(document: JsonValue) -> list[tuple[JsonValue, str]]:
    """The lists of nodes of a document, each with the pointer to it."""
    if not isinstance(document, dict):
        return []
    return [(document.get(field), pointer_to("", field)) for field in ("nodes", *HOOKS)]


class _Found:
    """What a document holds beside its plan: the secrets that it reads, each with the pointer to its first
    place, what may go wrong, its labels, its schedules and what it follows."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.warnings: list[Problem] = []
        self.labels: Labels = {}
        self.schedules: tuple[Schedule, ...] = ()
        self.after: tuple[After, ...] = ()


def _missing_secrets(secrets: Mapping[str, str], has_secret: Callable[[str], bool]) -> Iterator[Problem]:
    for name, pointer in secrets.items():
        if not has_secret(name):
            variable = f"FLOWENGINE_SECRET_{name.upper()}"
            message = f"there is no secret '{name}' here: the workers need {variable} or {variable}_FILE"
            yield Problem(code="secret_missing", pointer=pointer, message=message)


def _compiled(
    document: JsonValue,
    registry: Registry,
    limits: Limits,
    report: Report,
    found: _Found,
) -> Plan | None:
    """The plan of a right document. Whatever is wrong with the document is reported."""
    if not isinstance(document, dict):
        message = f"a workflow is an object with 'name' and 'nodes', this is {type_name(document)}"
        report.add("wrong_type", "", message)
        return None
    draft = read_draft(document, limits, report)
    if draft.nodes is None:
        return None
    findings = Findings()
    given = GivenCheck(draft.inputs, draft.variables.vars, draft.labels)
    compiled = compile_list(draft.nodes, Whole(registry, limits, report, given, findings))
    check_defaults(draft.configs, compiled.context)
    found.secrets.update({**draft.variables.secrets, **findings.secrets})
    found.warnings += findings.warnings
    found.labels, found.schedules, found.after = draft.labels, draft.schedules, draft.after
    return Plan(
        draft.name,
        compiled.nodes,
        compiled.policies,
        draft.inputs,
        draft.overall,
        draft.variables.vars,
        stages_of(draft.nodes, draft.hooks_timeout_ms),
        compiled.waiting,
    )
