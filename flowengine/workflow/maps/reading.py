"""Reads the `map` of a node: LANGUAGE section 6. Its templates are checked with those of the config."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import RESERVED_NAMES, is_template
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import MAX_ID_CHARS, NODE_ID
from flowengine.workflow.maps.policy import names_of
from flowengine.workflow.problems import Problem, quoted

FIELD: Final = "map"
RENDERED: Final = ("items", "key", "max_concurrent", "tolerated_failures", "max_seconds")
FIELDS: Final = (*RENDERED, "as")
ITEM: Final = "item"
SHARE: Final = re.compile(r"\d{1,3}(?:\.\d{1,6})?%")
MAX_AT_ONCE: Final = 10_000
MIN_S: Final = 1
MAX_S: Final = 30 * 86_400


class MapFields(msgspec.Struct, frozen=True):
    """What could be read of a `map`; a wrong field has been reported. `spec` holds what a worker renders.
    `name`: what templates call an item. `pointer` leads to the `map`."""

    spec: JsonObject
    name: str
    pointer: str

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of an item, its index and its key."""
        return names_of(self.name)


def read_map(node: JsonObject, pointer: str, report: Report) -> MapFields | None:
    """The `map` of the node at `pointer`; None where it has none."""
    said = node.get(FIELD)
    if said is None:
        return None
    place = pointer_to(pointer, FIELD)
    if not isinstance(said, dict):
        report.add("wrong_type", place, f"'map' must be an object with 'items', it is {type_name(said)}")
        return None
    refuse_unknown_fields(said, FIELDS, place, report)
    _check_items(said, place, report)
    if said.get("key") is not None:
        _check_key(said["key"], pointer_to(place, "key"), report)
    _check_at_once(said.get("max_concurrent"), pointer_to(place, "max_concurrent"), report)
    _check_tolerated(said.get("tolerated_failures"), pointer_to(place, "tolerated_failures"), report)
    _check_seconds(said.get("max_seconds"), pointer_to(place, "max_seconds"), report)
    name = _name(said.get("as"), pointer_to(place, "as"), report)
    return MapFields({field: said[field] for field in RENDERED if said.get(field) is not None}, name, place)


def hidden_item(fields: MapFields, report: Report) -> Problem:
    """The warning that the item of a map around cannot be read in this one."""
    message = (
        f"{quoted(fields.name)} is what a map around calls its items too: in this one that is hidden; name "
        "one of them otherwise, with 'as'"
    )
    return Problem(code="hides_an_item", pointer=report.place_of(fields.pointer), message=message)


def refuse_hiding(fields: MapFields, ids: Container[str], report: Report) -> None:
    """Report a name that hides a node."""
    for name in fields.names:
        if name in ids:
            message = (
                f"the items of the map would be called {quoted(name)}, as a node is: name them otherwise"
            )
            report.add("hides_a_node", pointer_to(fields.pointer, "as"), message)


def _check_items(said: JsonObject, place: str, report: Report) -> None:
    items = said.get("items")
    if items is None:
        report.add(
            "missing_field", pointer_to(place, "items"), "the field 'items' is required: what to map over"
        )
    elif not isinstance(items, list | dict) and not (isinstance(items, str) and is_template(items)):
        report.add(
            "wrong_type",
            pointer_to(place, "items"),
            f"'items' is a list, an object or an expression that gives one, this is {type_name(items)}",
        )


def _check_key(key: JsonValue, place: str, report: Report) -> None:
    if not isinstance(key, str) or not is_template(key):
        message = "'key' is an expression over the item, as in \"{{ item.id }}\": keys must be unique"
        report.add("wrong_type", place, message)


def _check_at_once(value: JsonValue, place: str, report: Report) -> None:
    if value is None or (isinstance(value, str) and is_template(value)):
        return
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"'max_concurrent' must be a whole number, it is {type_name(value)}"
        report.add("wrong_type", place, message)
    elif not 0 <= value <= MAX_AT_ONCE:
        message = f"'max_concurrent' is 0 (as many as workers take) to {MAX_AT_ONCE}, not {value}"
        report.add("out_of_range", place, message)


def _check_tolerated(value: JsonValue, place: str, report: Report) -> None:
    if value is None or (isinstance(value, str) and is_template(value)):
        return
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    share = isinstance(value, str) and SHARE.fullmatch(value) and float(value[:-1]) <= 100
    if not whole and not share:
        report.add(
            "invalid_value",
            place,
            "'tolerated_failures' is a number of items from 0 on, or a share from 0% to 100%, as in \"10%\"",
        )


def _check_seconds(value: JsonValue, place: str, report: Report) -> None:
    if value is None or (isinstance(value, str) and is_template(value)):
        return
    if not is_number(value):
        report.add("wrong_type", place, f"'max_seconds' must be a number, it is {type_name(value)}")
    elif not MIN_S <= value <= MAX_S:
        report.add("out_of_range", place, f"'max_seconds' is {MIN_S} to {MAX_S} (30 days), not {value}")


def _name(value: JsonValue, place: str, report: Report) -> str:
    if value is None or value == ITEM:
        return ITEM
    if not isinstance(value, str):
        report.add("wrong_type", place, f"'as' is the name of an item, this is {type_name(value)}")
    elif NODE_ID.fullmatch(value) is None or "-" in value or len(value) > MAX_ID_CHARS - len("_index"):
        report.add("invalid_name", place, f"{quoted(value)} is no name: letters, digits and _, at most 194")
    elif not RESERVED_NAMES.isdisjoint(names_of(value)):
        report.add(
            "reserved_id", place, f"{quoted(value)} has a meaning of its own in templates: choose another"
        )
    else:
        return value
    return ITEM
