"""Reads a field or an item of a JSON value: never a Python attribute, and never with an error."""

from __future__ import annotations

from itertools import islice

from flowengine.template.json_values import type_name

MAX_FIELDS_NAMED = 10
MAX_NAME_CHARS = 40


def look_up(owner: object, key: object, label: str | None) -> object:
    """`owner[key]`, or a StrictUndefined that says what is there instead.

    `label` is what the template calls the owner. It is None when the key was computed: the key may then hold
    a secret, and is not shown. An undefined owner or key is returned as it is: it names the first cause.
    """
    if isinstance(owner, dict) and isinstance(key, str) and key in owner:
        return owner[key]
    if isinstance(owner, list | str) and type(key) is int and -len(owner) <= key < len(owner):
        return owner[key]
    from jinja2 import StrictUndefined, Undefined  # for what is not there alone

    if isinstance(owner, Undefined):
        return owner
    if isinstance(key, Undefined):
        return key
    return StrictUndefined(_missing(owner, key, label))


def _missing(owner: object, key: object, label: str | None) -> str:
    if label is None:
        return f"no such field or item in {type_name(owner)}: the key is computed"
    if isinstance(owner, dict):
        names = [_short(str(name)) for name in islice(owner, MAX_FIELDS_NAMED)]
        more = "" if len(owner) <= MAX_FIELDS_NAMED else f" and {len(owner) - MAX_FIELDS_NAMED} more"
        has = f"its fields are: {', '.join(names)}{more}" if names else "it is empty"
        return f"{label} has no field {key!r}; {has}"
    if isinstance(owner, list | str):
        return f"{label} is {type_name(owner)} of length {len(owner)}: it has no {key!r}"
    return f"{label} is {type_name(owner)}: it has no {key!r}"


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "..."
