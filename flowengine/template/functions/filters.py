"""The filters that templates may use: each bounded before it makes anything.

Jinja2's own filters are not used: several format, call, look up attributes, or grow without limit (`center`,
`indent`, `format`, `attr`, `map`). A filter takes the budget, the value, then its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from jinja2 import Undefined

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.json_values import (
    checked_number,
    is_number,
    json_lines,
    json_size,
    to_json,
    to_text,
    to_texts,
    type_name,
)

MAX_ROUND_DIGITS = 15
_CHARACTER_COST = 8  # a list of one-character texts takes so many times the memory of the text
# What one item costs, in characters: a character stands for about 20 ns. So the time of a rendering whose
# budget is used up is bounded as well.
_LOOK_COST = 2
_ENCODE_COST = 10
_KEEP_COST = 24
_PAIR_COST = 40
_SLICE = 4096
_NUMBERS = frozenset((int, float))
_HASHED = frozenset((int, str, bool, type(None)))
_MISSING = object()


def _text(budget: Budget, value: object) -> str:
    text = to_text(value, budget)
    budget.spend_work(len(text))
    return text


def _items(budget: Budget, name: str, value: object, item_cost: int = 1) -> list[object]:
    if isinstance(value, list | str | dict):
        cost = max(item_cost, _CHARACTER_COST if isinstance(value, str) else 1)
        budget.spend_work(len(value) * cost)
        return list(value)
    raise TemplateEvaluationError(f"'{name}' works on a list, an object or text, not on {type_name(value)}")


def _numbers(budget: Budget, name: str, value: object) -> list[int | float]:
    items = _items(budget, name, value, _LOOK_COST)
    if not _NUMBERS.issuperset(kinds := set(map(type, items))):
        other = next(item for item in items if type(item) in kinds - _NUMBERS)
        raise TemplateEvaluationError(f"'{name}' works on a list of numbers; it holds {type_name(other)}")
    return items  # type: ignore[return-value]  # just checked


def _object(budget: Budget, name: str, value: object, item_cost: int = 1) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TemplateEvaluationError(f"'{name}' works on an object, not on {type_name(value)}")
    budget.spend_work(len(value) * item_cost)
    return value


def _comparable(budget: Budget, name: str, value: object) -> list[Any]:
    items = _items(budget, name, value, _LOOK_COST)
    kinds = set(map(type, items))
    if _NUMBERS.issuperset(kinds) or kinds == {str}:
        return items
    raise TemplateEvaluationError(f"'{name}' works on a list of numbers or a list of texts")


def _upper(budget: Budget, value: object) -> str:
    return _text(budget, value).upper()


def _lower(budget: Budget, value: object) -> str:
    return _text(budget, value).lower()


def _title(budget: Budget, value: object) -> str:
    return _text(budget, value).title()


def _capitalize(budget: Budget, value: object) -> str:
    return _text(budget, value).capitalize()


def _trim(budget: Budget, value: object) -> str:
    return _text(budget, value).strip()


def _string(budget: Budget, value: object) -> str:
    return _text(budget, value)


def _tojson(budget: Budget, value: object) -> str:
    return to_json(value, budget)


def _urlencode(budget: Budget, value: object) -> str:
    text = _text(budget, value)
    budget.spend_work(len("%XX") * len(text.encode()))
    return quote(text, safe="")


def _replace(budget: Budget, value: object, old: object, new: object) -> str:
    text, sought, given = _text(budget, value), to_text(old, budget), to_text(new, budget)
    budget.spend_work(len(text) + text.count(sought) * len(given))
    return text.replace(sought, given)


def _truncate(budget: Budget, value: object, length: int = 255, end: str = "...") -> str:
    if type(length) is not int or length < 0:
        raise TemplateEvaluationError("'truncate' takes a length of 0 or more characters")
    text, tail = _text(budget, value), to_text(end, budget)
    return text if len(text) <= length else text[: max(0, length - len(tail))] + tail


def _join(budget: Budget, value: object, separator: object = "") -> str:
    items, between = _items(budget, "join", value, _LOOK_COST), to_text(separator, budget)
    budget.spend_work(len(between) * len(items) + _encode_cost(items))
    return between.join(to_texts(items, budget))


def _encode_cost(items: list[object]) -> int:
    """What it costs to write each item as JSON by itself. Different kinds must be told apart."""
    kinds = set(map(type, items))
    if kinds == {str}:
        return 0
    return len(items) * _ENCODE_COST * (1 if len(kinds) == 1 else 2)


def _split(budget: Budget, value: object, separator: object = _MISSING) -> list[str]:
    text = _text(budget, value)
    budget.spend_work(len(text))
    if separator is _MISSING:
        return text.split()
    between = to_text(separator, budget)
    if not between:
        raise TemplateEvaluationError("'split' takes a separator that is not empty")
    return text.split(between)


def _length(budget: Budget, value: object) -> int:
    if isinstance(value, list | str | dict):
        return len(value)
    raise TemplateEvaluationError(f"'length' works on a list, an object or text, not on {type_name(value)}")


def _reverse(budget: Budget, value: object) -> str | list[object]:
    if isinstance(value, str):
        return _text(budget, value)[::-1]
    return _items(budget, "reverse", value)[::-1]


def _first(budget: Budget, value: object) -> object:
    return _end(_items(budget, "first", value), 0)


def _last(budget: Budget, value: object) -> object:
    return _end(_items(budget, "last", value), -1)


def _end(items: list[object], position: int) -> object:
    if not items:
        raise TemplateEvaluationError("there is no first or last item: the value is empty")
    return items[position]


def _list(budget: Budget, value: object) -> list[object]:
    return _items(budget, "list", value)


def _keys(budget: Budget, value: object) -> list[object]:
    return list(_object(budget, "keys", value))


def _values(budget: Budget, value: object) -> list[object]:
    return list(_object(budget, "values", value).values())


def _pairs(budget: Budget, value: object) -> list[object]:
    found = _object(budget, "items", value, _PAIR_COST)
    return [[key, item] for key, item in found.items()]


def _sort(budget: Budget, value: object, reverse: bool = False) -> list[object]:
    items = _comparable(budget, "sort", value)
    budget.spend_work(len(items) * len(items).bit_length())  # as many comparisons, at most
    return sorted(items, reverse=reverse is True)


def _unique(budget: Budget, value: object) -> list[object]:
    """Items are the same if their JSON is, so 1 and 1.0 are not."""
    items = _items(budget, "unique", value, _LOOK_COST)
    kinds = set(map(type, items))
    is_plain = len(kinds) == 1 and kinds < _HASHED
    budget.spend_work(0 if is_plain else _encode_cost(items))
    kept: dict[object, object] = {}
    for at in range(0, len(items), _SLICE):
        piece, before = items[at : at + _SLICE], len(kept)
        if is_plain:
            budget.spend_work(sum(map(len, piece)) if str in kinds else 0)  # type: ignore[arg-type]  # just checked
            kept.update(zip(piece, piece, strict=True))
        else:
            budget.spend_work(json_size(piece, budget.work_left))
            for line, item in zip(json_lines(piece), piece, strict=True):
                kept.setdefault(line, item)
        budget.spend_work(_KEEP_COST * (len(kept) - before))
    return list(kept.values())


def _min(budget: Budget, value: object) -> object:
    return min(_nonempty("min", _comparable(budget, "min", value)))


def _max(budget: Budget, value: object) -> object:
    return max(_nonempty("max", _comparable(budget, "max", value)))


def _nonempty(name: str, items: list[Any]) -> list[Any]:
    if not items:
        raise TemplateEvaluationError(f"'{name}' of an empty list is not defined")
    return items


def _sum(budget: Budget, value: object) -> int | float:
    try:
        return checked_number(sum(_numbers(budget, "sum", value)))
    except OverflowError as error:
        raise TemplateEvaluationError("the result of 'sum' is too large") from error


def _abs(budget: Budget, value: object) -> int | float:
    return checked_number(abs(_number("abs", value)))


def _round(budget: Budget, value: object, digits: int = 0) -> int | float:
    if type(digits) is not int or not 0 <= digits <= MAX_ROUND_DIGITS:
        raise TemplateEvaluationError(f"'round' takes 0 to {MAX_ROUND_DIGITS} digits")
    return checked_number(round(_number("round", value), digits))


def _number(name: str, value: object) -> int | float:
    if not is_number(value):
        raise TemplateEvaluationError(f"'{name}' works on a number, not on {type_name(value)}")
    return value


def _int(budget: Budget, value: object, default: object = _MISSING) -> object:
    return _converted(budget, "int", value, default, lambda number: int(number))


def _float(budget: Budget, value: object, default: object = _MISSING) -> object:
    return _converted(budget, "float", value, default, lambda number: float(number))


def _converted(
    budget: Budget,
    name: str,
    value: object,
    default: object,
    convert: Callable[[int | float | str], int | float],
) -> object:
    try:
        if isinstance(value, bool | int | float | str):
            budget.spend_work(len(value) if isinstance(value, str) else 1)
            return checked_number(convert(value))
    except (ValueError, OverflowError, TemplateEvaluationError):
        pass
    if default is _MISSING:
        raise TemplateEvaluationError(f"'{name}' cannot read this {type_name(value)} as a number")
    return default


def _default(budget: Budget, value: object, default: object = "", also_empty: bool = False) -> object:
    return default if isinstance(value, Undefined) or (also_empty is True and not value) else value


FILTERS: dict[str, Callable[..., object]] = {
    "abs": _abs,
    "capitalize": _capitalize,
    "count": _length,
    "d": _default,
    "default": _default,
    "first": _first,
    "float": _float,
    "int": _int,
    "items": _pairs,
    "join": _join,
    "keys": _keys,
    "last": _last,
    "length": _length,
    "list": _list,
    "lower": _lower,
    "max": _max,
    "min": _min,
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "sort": _sort,
    "split": _split,
    "string": _string,
    "sum": _sum,
    "title": _title,
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "upper": _upper,
    "urlencode": _urlencode,
    "values": _values,
}

TAKES_UNDEFINED = frozenset({"d", "default"})
