"""Fields of items by a dotted name: `map('user.name')`. An item of a list is its number: `'tags.0'`."""

from __future__ import annotations

from typing import TypeAlias

from jinja2 import StrictUndefined

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.field_lookup import look_up
from flowengine.template.functions.charged_values import CALL_COST, MISSING
from flowengine.template.json_values import type_name

Path: TypeAlias = tuple[str, ...]


def path_of(name: str, attribute: object) -> Path:
    """The names that a dotted name is made of. `name` is the filter's."""
    if isinstance(attribute, str) and attribute:
        path = tuple(attribute.split("."))
        if not all(path):
            raise TemplateEvaluationError(f"'{name}' takes a field as in 'a.b', without an empty name")
        if any(key.startswith("__") for key in path):
            raise TemplateEvaluationError(f"'{name}': fields that start with '__' are not allowed")
        return path
    given = "empty text" if attribute == "" else type_name(attribute)
    raise TemplateEvaluationError(f"'{name}' takes the name of a field as text, as in 'a.b', not {given}")


def field(item: object, path: Path) -> object:
    """The field of the item; MISSING where there is none."""
    for key in path:
        if isinstance(item, dict):
            item = item.get(key, MISSING)
        elif isinstance(item, list):
            place = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else len(item)
            item = item[place] if place < len(item) else MISSING
        else:
            return MISSING
    return item


def undefined_field(item: object, path: Path, label: str) -> StrictUndefined:
    """What stands for a field that is MISSING: it says which of the names is not there."""
    for key in path:
        found = field(item, (key,))
        if found is MISSING:
            missing = look_up(item, key, label)
            assert isinstance(missing, StrictUndefined)
            return missing
        item, label = found, f"{label}.{key}"
    raise AssertionError("the field is there")


def fields_of(
    budget: Budget, name: str, items: list[object], attribute: object, default: object = MISSING
) -> list[object]:
    """The field of each item. A missing one is the default; without a default, UndefinedError is raised."""
    path = path_of(name, attribute)
    budget.spend_work(len(items) * CALL_COST * len(path))
    found = [field(item, path) for item in items]
    if not any(item is MISSING for item in found):
        return found
    if default is not MISSING:
        return [default if item is MISSING else item for item in found]
    place = next(place for place, item in enumerate(found) if item is MISSING)
    str(undefined_field(items[place], path, f"item {place} of '{name}'"))  # raises
    raise AssertionError
