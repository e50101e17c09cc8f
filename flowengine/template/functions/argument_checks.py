"""Checks the arguments that a template writes out, before it runs: patterns, queries, formats, zones, names.

A check takes the arguments by parameter: the literal value of each, COMPUTED where that is not known yet. It
raises TemplateEvaluationError, as the function itself would when it runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final, TypeAlias

from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.all_filters import FILTERS
from flowengine.template.functions.dates import EPOCH, format_time, zone
from flowengine.template.functions.fields import path_of
from flowengine.template.functions.filters import queries
from flowengine.template.functions.patterns import PatternError, compiled
from flowengine.template.functions.predicates import TESTS

COMPUTED: Final = object()
"""Stands for an argument that is no literal."""

Arguments: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[str, Arguments], None]

_MARKED: Final = {"\b": "b", **{chr(digit): str(digit) for digit in range(1, 8)}}


def check_filter(name: str, arguments: Arguments) -> None:
    """Raises TemplateEvaluationError for a literal that the filter could not take."""
    if name in _TAKE_FIELD and arguments.get("attribute", COMPUTED) is not COMPUTED:
        path_of(name, arguments["attribute"])
    if name in _CHECKS:
        _CHECKS[name](name, arguments)


def check_test(name: str, arguments: Arguments) -> None:
    """Raises TemplateEvaluationError for a literal that the test could not take."""
    if name == "matching":
        _check_pattern("is matching", arguments)


def check_function(name: str, arguments: Arguments) -> None:
    """Raises TemplateEvaluationError for a literal that the function could not take."""
    if name == "today" and arguments.get("timezone", COMPUTED) is not COMPUTED:
        zone("today", arguments["timezone"])


def _check_pattern(name: str, arguments: Arguments) -> None:
    pattern = arguments["pattern"]
    for literal in (pattern, arguments.get("by", COMPUTED)):
        if isinstance(literal, str) and (marks := [mark for mark in _MARKED if mark in literal]):
            raise TemplateEvaluationError(
                f"'{name}': in a template's text '\\{_MARKED[marks[0]]}' is one character: write '\\\\' "
                "for the backslash of a regular expression"
            )
    if isinstance(pattern, str):
        try:
            compiled(pattern)
        except PatternError as error:
            raise TemplateEvaluationError(f"'{name}': no regular expression of RE2: {error}") from error


def _check_query(name: str, arguments: Arguments) -> None:
    if isinstance(arguments["query"], str):
        try:
            queries.compiled(arguments["query"])
        except queries.QueryError as error:
            raise TemplateEvaluationError(f"'{name}': no query of JMESPath: {error}") from error


def _check_format(name: str, arguments: Arguments) -> None:
    if isinstance(arguments.get("format"), str):
        format_time(name, EPOCH.astimezone(UTC), arguments["format"])
    if arguments.get("timezone", COMPUTED) is not COMPUTED:
        zone(name, arguments["timezone"])


def _check_map(name: str, arguments: Arguments) -> None:
    if ("attribute" in arguments) == ("filter" in arguments):
        raise TemplateEvaluationError("'map' takes either a field, map('a.b'), or map(filter='upper')")
    if "filter" not in arguments:
        return
    wanted = arguments["filter"]
    if "default" in arguments:
        raise TemplateEvaluationError("'map' takes a default for a field only")
    if not isinstance(wanted, str) or wanted not in FILTERS:
        raise TemplateEvaluationError(
            f"'map' takes the name of a filter, written out; there are: {', '.join(sorted(FILTERS))}"
        )
    try:
        inspect.signature(FILTERS[wanted]).bind(None, None)
    except TypeError as error:
        raise TemplateEvaluationError(
            f"'map' gives a filter nothing but the item, and '{wanted}' needs more: {error}"
        ) from error


def _check_choice(name: str, arguments: Arguments) -> None:
    if "test" not in arguments:
        return
    test = arguments["test"]
    if not isinstance(test, str) or test not in TESTS:
        raise TemplateEvaluationError(
            f"'{name}' takes the name of a test, written out; there are: {', '.join(sorted(TESTS))}"
        )
    try:
        bound = inspect.signature(TESTS[test]).bind(None, None, *arguments.get("arguments", ()))
    except TypeError as error:
        raise TemplateEvaluationError(f"'{name}' with the test '{test}': {error}") from error
    check_test(test, bound.arguments)


_TAKE_FIELD: Final = frozenset({"map", "sort", "unique", "sum", "groupby", "selectattr", "rejectattr"})
_CHECKS: Final[dict[str, Check]] = {
    "date_format": _check_format,
    "jmespath": _check_query,
    "map": _check_map,
    "regex_findall": _check_pattern,
    "regex_replace": _check_pattern,
    "regex_search": _check_pattern,
    **dict.fromkeys(("select", "reject", "selectattr", "rejectattr"), _check_choice),
}
