"""`map`, `select`, `reject` and the like: they name the filter or test that each item goes through.

The name is literal, so that it is checked before the workflow runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from jinja2 import StrictUndefined, UndefinedError

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import CALL_COST, MISSING, list_of
from flowengine.template.functions.comparison import present
from flowengine.template.functions.fields import Path, field, fields_of, path_of, undefined_field
from flowengine.template.functions.predicates import TESTS
from flowengine.template.json_values import type_name

Filter: TypeAlias = Callable[..., object]
ASKS_FOR_PRESENCE: Final = frozenset({"defined", "undefined"})
_ABSENT: Final = StrictUndefined("there is no such field")


def mapping(filters: Mapping[str, Filter]) -> Filter:
    """The filter `map`, which can apply each of `filters`."""

    def mapped(
        budget: Budget,
        value: object,
        attribute: object = MISSING,
        *,
        default: object = MISSING,
        filter: object = MISSING,
    ) -> list[object]:
        """A field of each item, or each item through a filter."""
        items = list_of(budget, "map", value)
        if (attribute is MISSING) == (filter is MISSING):
            raise TemplateEvaluationError("'map' takes either a field, map('a.b'), or map(filter='upper')")
        if filter is MISSING:
            return _fields(budget, items, attribute, default, filters)
        function = filters[str(filter)]  # known: see `argument_checks`
        budget.spend_work(len(items) * CALL_COST)
        return [function(budget, present(item)) for item in items]

    return mapped


def _fields(
    budget: Budget, items: list[object], attribute: object, default: object, filters: Mapping[str, Filter]
) -> list[object]:
    try:
        return fields_of(budget, "map", items, attribute, default)
    except UndefinedError as error:
        if isinstance(attribute, str) and attribute in filters:
            raise UndefinedError(f"{error}; a filter is named so: map(filter='{attribute}')") from error
        raise


def select(budget: Budget, value: object, test: object = MISSING, *arguments: object) -> list[object]:
    """The items for which the test holds; without a test, those that are true, not 0 and not empty."""
    return _chosen(budget, "select", value, (), test, arguments, wanted=True)


def reject(budget: Budget, value: object, test: object = MISSING, *arguments: object) -> list[object]:
    """The items for which the test does not hold."""
    return _chosen(budget, "reject", value, (), test, arguments, wanted=False)


def selectattr(
    budget: Budget, value: object, attribute: object, test: object = MISSING, *arguments: object
) -> list[object]:
    """The items for whose field the test holds."""
    return _chosen(
        budget, "selectattr", value, path_of("selectattr", attribute), test, arguments, wanted=True
    )


def rejectattr(
    budget: Budget, value: object, attribute: object, test: object = MISSING, *arguments: object
) -> list[object]:
    """The items for whose field the test does not hold."""
    return _chosen(
        budget, "rejectattr", value, path_of("rejectattr", attribute), test, arguments, wanted=False
    )


def _chosen(
    budget: Budget,
    name: str,
    value: object,
    path: Path,
    test: object,
    arguments: tuple[object, ...],
    *,
    wanted: bool,
) -> list[object]:
    items = list_of(budget, name, value)
    budget.spend_work(len(items) * CALL_COST * (1 + len(path)))
    holds = _predicate(budget, name, test, arguments)
    if not path:
        return [item for item in items if holds(item) is wanted]
    absent = _ABSENT if isinstance(test, str) and test in ASKS_FOR_PRESENCE else None
    return [
        item
        for place, item in enumerate(items)
        if holds(_subject(item, path, f"item {place} of '{name}'", absent)) is wanted
    ]


def _subject(item: object, path: Path, label: str, absent: StrictUndefined | None) -> object:
    found = field(item, path)
    if found is not MISSING:
        return found
    return undefined_field(item, path, label) if absent is None else absent


def _predicate(
    budget: Budget, name: str, test: object, arguments: tuple[object, ...]
) -> Callable[[object], bool]:
    if test is MISSING:
        return lambda item: bool(present(item))
    function = TESTS.get(test) if isinstance(test, str) else None
    if function is None:
        given = f"'{test}'" if isinstance(test, str) else type_name(test)
        raise TemplateEvaluationError(
            f"'{name}' takes the name of a test, not {given}; there are: {', '.join(sorted(TESTS))}"
        )
    if len(arguments) == 1:
        return lambda item: function(budget, item, arguments[0])
    return partial(function, budget)
