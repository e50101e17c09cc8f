"""The parts of a JSON Schema that are schemas themselves, and how much work a value makes for them.

Pure. A schema may refer to itself, so the work for a small value may be without end: it is counted before the
value is checked, up to a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from flowengine.jsonvalue import JsonValue, decode, encode, pointer_to

Schema: TypeAlias = "bool | dict[str, JsonValue]"

MAX_WORK: Final = 300_000
"""So many pairs of a schema and a value may be looked at for the inputs of one execution."""

UNCOUNTED: Final = 64_000_000
"""So many pairs of a schema's parts and bytes of values need not be counted: they take a second at most."""

CHARS_A_STEP: Final = 16
"""So many characters that a regular expression looks at count as one such pair."""

_SAME_VALUE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
_FIELDS: Final = ("additionalProperties", "unevaluatedProperties")
_ITEMS: Final = ("items", "contains", "unevaluatedItems")
_ONE: Final = ("not", "if", "then", "else", "propertyNames", *_FIELDS, *_ITEMS)
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_APPLYING: Final = frozenset(
    (
        "$ref",
        *_SAME_VALUE,
        *_FIELDS,
        *_ITEMS,
        "propertyNames",
        "prefixItems",
        "properties",
        "patternProperties",
    )
)
"""The keywords that apply other schemas."""

_WALKED: Final = 10
"""What a schema counts that applies others: to count them takes longer than to check the value."""

PATTERN_BREADTH: Final = 50
"""What a regular expression counts for each character that it looks at."""

_DEEPEST: Final = 200
_LOOKS_AGAIN: Final = frozenset(("unevaluatedProperties", "unevaluatedItems"))
_LISTED: Final = ("enum", "required", "properties", "dependentRequired")
_NAMED: Final = ("$defs", "definitions")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")


class CheckWork:
    """What is left to check several values, in the units of `work_of`."""

    def __init__(self, most: int = MAX_WORK) -> None:
        self._left = most
        self._uncounted = UNCOUNTED

    def covers(self, most: int) -> bool:
        """Whether a check of at most so many pairs of a schema's parts and bytes of a value need not be
        counted. They are taken from what is left of these."""
        if most > self._uncounted:
            return False
        self._uncounted -= most
        return True

    def pay(self, schema: Schema, value: JsonValue) -> int | None:
        """The work of checking a value, which is taken from what is left; None where that is not enough."""
        done = work_of(schema, value, self._left)
        self._left = max(-1, self._left - done)
        return None if self._left < 0 else done


def parts(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The schema and all schemas in it, each with the pointer to it. Does not recurse."""
    pending: list[tuple[str, JsonValue]] = [("", schema)]
    for place, part in pending:
        if isinstance(part, bool):
            yield place, part
        elif isinstance(part, dict):
            yield place, part
            for word, held in part.items():
                if word in _ONE:
                    pending.append((f"{place}/{word}", held))
                elif word in _LISTS and isinstance(held, list):
                    pending.extend((f"{place}/{word}/{at}", item) for at, item in enumerate(held))
                elif word in _MAPS and isinstance(held, dict):
                    pending.extend((pointer_to(f"{place}/{word}", key), item) for key, item in held.items())


def both(first: str | None, second: str) -> str:
    """One schema, as JSON, for what must match the first, if there is one, and the second."""
    if first is None:
        return second
    held = [_moved(decode(said.encode()), f"#/allOf/{at}") for at, said in enumerate((first, second))]
    return encode({"allOf": held}).decode()


def _moved(schema: Any, root: str) -> Any:
    """The same schema for another place, which `root` leads to: its references lead there."""
    for _, part in parts(schema):
        if isinstance(part, dict) and isinstance(reference := part.get("$ref"), str):
            part["$ref"] = root + reference.removeprefix("#")
    return schema


def count_patterns(schema: JsonValue) -> int:
    """How many regular expressions a schema holds, in all schemas in it."""
    count = 0
    pending = [schema]
    for part in pending:
        if isinstance(part, dict):
            named = part.get("patternProperties")
            count += ("pattern" in part) + (len(named) if isinstance(named, dict) else 0)
            pending.extend(item for word, held in part.items() for item in _members(word, held))
    return count


def resolved(schema: Schema, reference: str) -> Schema | None:
    """The schema that a local reference (`#/$defs/day`) names; None if there is none."""
    if reference == "#":
        return schema
    if not reference.startswith("#/"):
        return None
    found: JsonValue = schema
    for step in reference[2:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found if isinstance(found, bool | dict) else None


def work_of(schema: Schema, value: JsonValue, most: int) -> int:
    """How much work it is to check the value: about how many pairs of a schema and a part of the value there
    are to look at, and more than `most` if it is more. An upper bound: what matches nothing counts too."""
    done = 0
    pending: list[tuple[JsonValue, JsonValue]] = [(schema, value)]
    while pending and done <= most:
        part, item = pending.pop()
        done += _WALKED
        if not isinstance(part, dict):
            continue
        done += _steps(part, item)
        for inner, of in _pairs(schema, part, item):
            if isinstance(inner, dict) and not _APPLYING.isdisjoint(inner):
                pending.append((inner, of))
            else:
                done += 1 + (_steps(inner, of) if isinstance(inner, dict) else 0)
            if done + len(pending) > most:
                return most + 1
    return done


def breadth_of(schema: Schema) -> int | None:
    """How much work each byte of a value makes at most; None where only `work_of` can tell.

    A schema that does not lead to itself looks at each part of a value at most once with each of its own
    parts, counted as often as they are referred to. To count work exactly takes a hundred times as long as
    the check.
    """
    return _breadth(schema, schema, {}, 0)


def _breadth(part: JsonValue, root: Schema, known: dict[int, int | None], depth: int) -> int | None:
    if not isinstance(part, dict):
        return 1
    if id(part) in known:
        return known[id(part)]
    if depth > _DEEPEST or not _LOOKS_AGAIN.isdisjoint(part):
        return None
    known[id(part)] = None  # what leads back here has no bound
    inner = [item for word in part if word not in _NAMED for item in _members(word, part[word])]
    if isinstance(reference := part.get("$ref"), str):
        inner.append(resolved(root, reference))
    total = _own_breadth(part)
    for item in inner:
        breadth = _breadth(item, root, known, depth + 1)
        if breadth is None:
            return None
        total += breadth
    known[id(part)] = total
    return total


def _own_breadth(part: dict[str, JsonValue]) -> int:
    listed = sum(len(held) for word in _LISTED if isinstance(held := part.get(word), list | dict))
    named = part.get("patternProperties")
    patterns = len(named) if isinstance(named, dict) else 0
    return 1 + listed + PATTERN_BREADTH * (patterns + ("pattern" in part or "format" in part))


def _steps(schema: dict[str, JsonValue], value: JsonValue) -> int:
    """What the keywords of one schema cost that are no schemas."""
    listed = (schema.get(word) for word in ("enum", "required"))
    steps = sum(len(given) // CHARS_A_STEP for given in listed if isinstance(given, list))
    if isinstance(value, str):
        return steps + (len(value) // CHARS_A_STEP if "pattern" in schema or "format" in schema else 0)
    if isinstance(value, dict) and isinstance(patterns := schema.get("patternProperties"), dict):
        return steps + len(patterns) * sum(1 + len(name) // CHARS_A_STEP for name in value)
    return steps + (len(value) if isinstance(value, list) and "uniqueItems" in schema else 0)


def _pairs(
    root: Schema, schema: dict[str, JsonValue], value: JsonValue
) -> Iterator[tuple[JsonValue, JsonValue]]:
    """The schemas that this one applies, each with the part of the value that it is applied to."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and (target := resolved(root, reference)) is not None:
        yield target, value
    for word in _SAME_VALUE:
        if word in schema:
            yield from ((part, value) for part in _members(word, schema[word]))
    if isinstance(value, dict):
        yield from _field_pairs(schema, value)
    elif isinstance(value, list):
        first = schema.get("prefixItems")
        yield from zip(first if isinstance(first, list) else (), value, strict=False)
        yield from ((schema[word], item) for word in _ITEMS if word in schema for item in value)


def _field_pairs(
    schema: dict[str, JsonValue], value: dict[str, JsonValue]
) -> Iterator[tuple[JsonValue, JsonValue]]:
    known = schema.get("properties")
    if isinstance(known, dict):
        yield from ((known[name], item) for name, item in value.items() if name in known)
    if isinstance(patterns := schema.get("patternProperties"), dict):
        yield from ((part, item) for part in patterns.values() for item in value.values())
    yield from ((schema[word], item) for word in _FIELDS if word in schema for item in value.values())
    if "propertyNames" in schema:
        yield from ((schema["propertyNames"], name) for name in value)


def _members(word: str, held: JsonValue) -> Iterable[JsonValue]:
    """The schemas under one keyword."""
    if word in _ONE:
        return (held,)
    if word in _LISTS and isinstance(held, list):
        return held
    if word in _MAPS and isinstance(held, dict):
        return held.values()
    return ()
