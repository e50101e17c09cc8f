"""What a caller posts to run an ended execution again: read, and refused with every problem and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import Problem, did_you_mean, quoted
from flowengine.workflow.requests.chosen_version import LATEST, ORIGINAL, Version
from flowengine.workflow.validation import Form, read_text

Mode: TypeAlias = Literal["failed", "from", "all"]

FIELDS: Final = ("mode", "from", "items", "skip", "inputs", "version", "as", "preview", "expect")
MODES: Final[tuple[Mode, ...]] = ("failed", "from", "all")
MAX_NODES: Final = 1000
MAX_ITEMS: Final = 10_000
"""So many items are named in all."""
MAX_KEY_CHARS: Final = 200
SAME: Final = "same"
NEW: Final = "new"
WORDS: Final = (SAME, NEW)
MAX_VERSION: Final = 2**31 - 1


class PostedRerun(msgspec.Struct, frozen=True):
    """What is asked for, or what is wrong with it. `run`: the one that the execution is expected to be in;
    `version`: that of its definition, where it is expected to be of one.
    `inputs`: those that get other values. `items`: those that run again of these maps, by their keys.
    `as_new`: as a new execution, by this version (`by_version`)."""

    mode: Mode = "failed"
    start_from: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    preview: bool = False
    run: int | None = None
    inputs: JsonObject = {}
    problems: tuple[Problem, ...] = ()
    malformed: bool = False
    version: int | None = None
    as_new: bool = False
    by_version: Version = ORIGINAL
    items: Mapping[str, tuple[str, ...]] = {}


def read_rerun(body: bytes, form: Form, limits: Limits) -> PostedRerun:
    """Read what came with a rerun."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return PostedRerun(problems=(text,), malformed=True)
    if not isinstance(text.value, dict):
        report = Report()
        report.add("wrong_type", "", f"the body of a rerun is an object, this is {type_name(text.value)}")
        return PostedRerun(problems=text.located(report.problems()))
    report = Report()
    read = _read(text.value, report)
    return msgspec.structs.replace(read, problems=text.located(report.problems()))


def _read(body: JsonObject, report: Report) -> PostedRerun:
    refuse_unknown_fields(body, FIELDS, "", report)
    as_new, by_version = _as_new(body, report), _by_version(body, report)
    if by_version != ORIGINAL and not as_new and not report:
        message = "another version takes a new execution: say 'as: new' as well"
        report.add("out_of_range", "/version", message)
    start_from, skip = _names(body, "from", report), _names(body, "skip", report)
    items = _items(body, report)
    mode = _mode(body, report, names=bool(start_from or items))
    inputs = _inputs(body, report)
    asks = start_from or items or skip or inputs or by_version != ORIGINAL
    if mode == "from" and not asks and not report:
        report.add("missing_field", "/from", "the mode 'from' needs the nodes to begin with, in 'from'")
    if mode != "from" and start_from:
        message = f"'from' belongs to the mode 'from', and the mode is '{mode}': take one of them out"
        report.add("out_of_range", "/from", message)
    if mode == "all" and items:
        report.add(
            "out_of_range", "/items", "the mode 'all' begins with all items of each map: leave 'items' out"
        )
    run, version = _expected(body, report)
    preview = _preview(body, report)
    return PostedRerun(
        mode,
        start_from,
        skip,
        preview,
        run,
        inputs,
        version=version,
        as_new=as_new,
        by_version=by_version,
        items=items,
    )


def _mode(body: JsonObject, report: Report, *, names: bool) -> Mode:
    """The mode: by default `from` where nodes or items are named, else `failed`."""
    value = body.get("mode")
    if value is None:
        return "from" if names else "failed"
    for mode in MODES:
        if value == mode:
            return mode
    if isinstance(value, str):
        meant = did_you_mean(report.nearest(value, MODES))
        report.add("out_of_range", "/mode", f"there is no mode {quoted(value)}{meant or '.'} {_known()}")
    else:
        report.add("wrong_type", "/mode", f"'mode' must be text, it is {type_name(value)}. {_known()}")
    return "failed"


def _known() -> str:
    return f"Known modes: {', '.join(MODES)}"


def _names(body: JsonObject, field: str, report: Report) -> tuple[str, ...]:
    value = body.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        message = f"'{field}' must be a list of node ids, it is {type_name(value)}"
        report.add("wrong_type", f"/{field}", message)
        return ()
    if len(value) > MAX_NODES:
        report.add("out_of_range", f"/{field}", f"'{field}' has at most {MAX_NODES} items, not {len(value)}")
        return ()
    for place, name in enumerate(value):
        if not isinstance(name, str):
            pointer = pointer_to(f"/{field}", place)
            report.add("wrong_type", pointer, f"a node's id must be text, it is {type_name(name)}")
    return tuple(dict.fromkeys([name for name in value if isinstance(name, str)]))


def _items(body: JsonObject, report: Report) -> dict[str, tuple[str, ...]]:
    """The keys of items by their maps; a number is a key as the text that it is."""
    value = body.get("items")
    if value is None:
        return {}
    if not isinstance(value, dict):
        message = f"'items' must be an object of lists of keys by their maps, it is {type_name(value)}"
        report.add("wrong_type", "/items", message)
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for node, keys in value.items():
        pointer = pointer_to("/items", node)
        if not isinstance(keys, list):
            message = f"the items of a map must be a list of their keys, it is {type_name(keys)}"
            report.add("wrong_type", pointer, message)
        elif not keys:
            report.add("out_of_range", pointer, "no item is named: name some, or leave the map out")
        else:
            found[node] = tuple(dict.fromkeys(_keys(keys, pointer, report)))
    if (count := sum(map(len, found.values()))) > MAX_ITEMS:
        report.add("out_of_range", "/items", f"at most {MAX_ITEMS} items are named in all, not {count}")
    return found


def _keys(keys: list[JsonValue], pointer: str, report: Report) -> Iterator[str]:
    for place, key in enumerate(keys):
        if isinstance(key, int) and not isinstance(key, bool):
            yield str(key)
        elif not isinstance(key, str):
            message = f"the key of an item must be text or a whole number, it is {type_name(key)}"
            report.add("wrong_type", pointer_to(pointer, place), message)
        elif not 1 <= len(key) <= MAX_KEY_CHARS:
            message = f"the key of an item has 1 to {MAX_KEY_CHARS} characters, not {len(key)}"
            report.add("out_of_range", pointer_to(pointer, place), message)
        else:
            yield key


def _inputs(body: JsonObject, report: Report) -> JsonObject:
    value = body.get("inputs")
    if value is None or isinstance(value, dict):
        return value or {}
    report.add("wrong_type", "/inputs", f"'inputs' must be an object, it is {type_name(value)}")
    return {}


def _preview(body: JsonObject, report: Report) -> bool:
    value = body.get("preview")
    if value is None or isinstance(value, bool):
        return bool(value)
    report.add("wrong_type", "/preview", f"'preview' must be true or false, it is {type_name(value)}")
    return False


def _expected(body: JsonObject, report: Report) -> tuple[int | None, int | None]:
    """The run and the version that are expected; None: any."""
    value = body.get("expect")
    if value is None:
        return None, None
    if not isinstance(value, dict):
        report.add("wrong_type", "/expect", f"'expect' must be an object, it is {type_name(value)}")
        return None, None
    refuse_unknown_fields(value, ("run", "version"), "/expect", report)
    return _whole(value, "run", report), _whole(value, "version", report)


def _whole(expected: JsonObject, field: str, report: Report) -> int | None:
    value = expected.get(field)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    report.add(
        "wrong_type", f"/expect/{field}", f"'{field}' must be a whole number, it is {type_name(value)}"
    )
    return None


def _as_new(body: JsonObject, report: Report) -> bool:
    """Whether it makes a new execution."""
    value = body.get("as")
    if value is None or value == SAME:
        return False
    if value == NEW:
        return True
    if isinstance(value, str):
        meant = did_you_mean(report.nearest(value, WORDS))
        report.add("out_of_range", "/as", f"'as' is not {quoted(value)}{meant or '.'} Known: same, new")
    else:
        report.add("wrong_type", "/as", f"'as' must be text, it is {type_name(value)}. Known: same, new")
    return False


def _by_version(body: JsonObject, report: Report) -> Version:
    value = body.get("version")
    if value is None or value == ORIGINAL:
        return ORIGINAL
    if value == LATEST:
        return LATEST
    known = "Known: original, latest, and the number of a version"
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value <= MAX_VERSION:
            return value
        report.add("out_of_range", "/version", f"versions are numbers from 1 on, not {value}. {known}")
    elif isinstance(value, str):
        meant = did_you_mean(report.nearest(value, (ORIGINAL, LATEST)))
        message = f"there is no version {quoted(value)}{meant or '.'} {known}"
        report.add("out_of_range", "/version", message)
    else:
        message = f"'version' must be text or a whole number, it is {type_name(value)}. {known}"
        report.add("wrong_type", "/version", message)
    return ORIGINAL
