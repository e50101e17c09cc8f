"""What the items of a map are: its templates rendered, and what they give judged."""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.execution import error_codes as codes
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from flowengine.template import Scope, render
from flowengine.template.budget import Budget
from flowengine.template.json_values import is_number, type_name
from flowengine.workflow.maps.policy import names_of
from flowengine.workflow.maps.reading import MAX_S, MIN_S

MAX_KEY_CHARS: Final = 200
SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")


class RenderedMap(msgspec.Struct, frozen=True, tag="expanded", tag_field="outcome"):
    """An `Expanded` before it is JSON: the items of a map and, where the document says so, their keys.

    `at_once`: how many may run at a time, 0: as many as workers take; `tolerated`: how many may fail.
    `max_ms`: for how long they may run; 0: for as long as they take.
    """

    items: list[JsonValue]
    keys: list[str]
    at_once: int
    tolerated: int
    max_ms: int


def rendered_map(spec: JsonValue, scope: Scope, name: str, *, max_items: int, max_chars: int) -> RenderedMap:
    """What the templates of a map give. Raises TemplateError, and HandlerError `map_invalid`."""
    assert isinstance(spec, dict), "the plan holds an object"
    budget = Budget(max_chars)

    def value_of(field: str, default: JsonValue) -> JsonValue:
        return render(spec.get(field, default), scope, budget=budget, pointer=f"/map/{field}")

    items = _items(value_of("items", None))
    if len(items) > max_items:
        raise _invalid(
            f"'items' gives {len(items)} items, the limit is {max_items} (FLOWENGINE_MAX_MAP_ITEMS): "
            "map over a part of them, or over batches"
        )
    keys = _keys(spec["key"], items, scope, name, budget) if spec.get("key") is not None else []
    return RenderedMap(
        items,
        keys,
        _at_once(value_of("max_concurrent", 0)),
        tolerated_of(value_of("tolerated_failures", 0), len(items)),
        _max_ms(value_of("max_seconds", None)),
    )


def _invalid(message: str) -> HandlerError:
    return HandlerError(codes.MAP_INVALID.code, message)


def _items(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [{"key": key, "value": each} for key, each in value.items()]
    raise _invalid(f"'items' must give a list or an object, and gives {type_name(value)}")


def _keys(template: JsonValue, items: list[JsonValue], scope: Scope, name: str, budget: Budget) -> list[str]:
    found: dict[str, int] = {}
    item_name, index_name, _ = names_of(name)
    for index, item in enumerate(items):
        outputs = {**scope.outputs, item_name: item, index_name: index}
        primaries = {**scope.primaries, item_name: None, index_name: None}
        within = replace(scope, outputs=outputs, primaries=primaries)
        key = _key(render(template, within, budget=budget, pointer="/map/key"), index)
        if key in found:
            raise _invalid(
                f"'key' gives {key!r} for item {found[key]} and for item {index}: keys must be unique"
            )
        found[key] = index
    return list(found)


def _key(value: JsonValue, index: int) -> str:
    if isinstance(value, str):
        if not 1 <= len(value) <= MAX_KEY_CHARS:
            raise _invalid(
                f"the key of item {index} has {len(value)} characters: it has 1 to {MAX_KEY_CHARS}"
            )
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return jsonvalue.encode(value).decode()
    raise _invalid(f"the key of item {index} must be a text or a number, and is {type_name(value)}")


def _at_once(value: JsonValue) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    said = value if isinstance(value, int | float) and not isinstance(value, bool) else type_name(value)
    raise _invalid(f"'max_concurrent' must give a whole number from 0 on, and gives {said}")


def _max_ms(value: JsonValue) -> int:
    if value is None:
        return 0
    if is_number(value) and MIN_S <= value <= MAX_S:
        return round(value * 1000)
    said = value if is_number(value) else type_name(value)
    raise _invalid(f"'max_seconds' must give a number from {MIN_S} to {MAX_S} (30 days), and gives {said}")


def tolerated_of(value: JsonValue, total: int) -> int:
    """How many of so many items may fail: a number, or a share such as `10%`, rounded down.

    Raises HandlerError `map_invalid`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return min(value, total)
    share = SHARE.fullmatch(value) if isinstance(value, str) else None
    if share is not None and float(share[1]) <= 100:
        return math.floor(float(share[1]) * total / 100 + 1e-9)
    raise _invalid(
        "'tolerated_failures' must give a whole number from 0 on, or a share from 0% to 100%, as in \"10%\""
    )
