"""Filters that work on text, or on a value as text. What is no text is taken as its JSON."""

from __future__ import annotations

from urllib.parse import quote

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import (
    LOOK_COST,
    MISSING,
    encode_cost,
    items_of,
    text_of,
)
from flowengine.template.json_values import to_json, to_text, to_texts


def upper(budget: Budget, value: object) -> str:
    """In capitals."""
    return text_of(budget, value).upper()


def lower(budget: Budget, value: object) -> str:
    """In small letters."""
    return text_of(budget, value).lower()


def title(budget: Budget, value: object) -> str:
    """Each word with a capital."""
    return text_of(budget, value).title()


def capitalize(budget: Budget, value: object) -> str:
    """The first letter as a capital, all others small."""
    return text_of(budget, value).capitalize()


def trim(budget: Budget, value: object) -> str:
    """Without white space at its ends."""
    return text_of(budget, value).strip()


def string(budget: Budget, value: object) -> str:
    """As text."""
    return text_of(budget, value)


def tojson(budget: Budget, value: object) -> str:
    """As JSON."""
    return to_json(value, budget)


def urlencode(budget: Budget, value: object) -> str:
    """For a place in a URL."""
    text = text_of(budget, value)
    budget.spend_work(len("%XX") * len(text.encode()))
    return quote(text, safe="")


def replace(budget: Budget, value: object, old: object, new: object) -> str:
    """With `new` in place of each `old`."""
    text, sought, given = text_of(budget, value), to_text(old, budget), to_text(new, budget)
    budget.spend_work(len(text) + text.count(sought) * len(given))
    return text.replace(sought, given)


def truncate(budget: Budget, value: object, length: int = 255, end: str = "...") -> str:
    """Cut to a length, `end` included."""
    if type(length) is not int or length < 0:
        raise TemplateEvaluationError("'truncate' takes a length of 0 or more characters")
    text, tail = text_of(budget, value), to_text(end, budget)
    return text if len(text) <= length else text[: max(0, length - len(tail))] + tail


def join(budget: Budget, value: object, separator: object = "") -> str:
    """The texts of all items in one."""
    items, between = items_of(budget, "join", value, LOOK_COST), to_text(separator, budget)
    budget.spend_work(len(between) * len(items) + encode_cost(items))
    return between.join(to_texts(items, budget))


def split(budget: Budget, value: object, separator: object = MISSING) -> list[str]:
    """Its parts between separators; without one, its words."""
    text = text_of(budget, value)
    budget.spend_work(len(text))
    if separator is MISSING:
        return text.split()
    between = to_text(separator, budget)
    if not between:
        raise TemplateEvaluationError("'split' takes a separator that is not empty")
    return text.split(between)
