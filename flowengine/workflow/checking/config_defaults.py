"""Merges a document's `defaults.config` under the configs of its nodes (LANGUAGE section 1).

A problem of the merged config is told where it stands: in the node, or once in the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, UnencodableError, encode, pointer_to
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import quoted

POINTER: Final = "/defaults/config"
MAX_INHERITED_VALUES: Final = 100_000
MAX_INHERITED_BYTES: Final = 4 * 1024 * 1024
"""What the defaults may add to all nodes together: a small document must not become a large plan."""


class _Given(msgspec.Struct, frozen=True):
    """The defaults of one handler, and what each node that has them costs."""

    config: JsonObject
    values: int
    size: int


class ConfigDefaults:
    """The defaults by handler, and the nodes that have taken something from them."""

    def __init__(self, configs: Mapping[str, JsonObject]) -> None:
        self.configs = configs
        self.used: set[str] = set()
        self._given = {handler: _measured(config) for handler, config in configs.items() if config}
        self._values_left, self._bytes_left = MAX_INHERITED_VALUES, MAX_INHERITED_BYTES
        self._refused: set[str] = set()
        self._inheriting: dict[str, tuple[str, JsonObject]] = {}

    def under(self, config: JsonObject, handler: str, pointer: str, report: Report) -> JsonObject | None:
        """The config of a node of this handler with the defaults under it; `pointer` leads to it.

        None, which is reported once, where the nodes would take too much from the defaults.
        """
        self.used.add(handler)
        given = self._given.get(handler)
        if given is None:
            return config
        self._values_left -= given.values
        self._bytes_left -= given.size
        if self._values_left < 0 or self._bytes_left < 0:
            self._refuse(handler, report)
            return None
        self._inheriting[pointer] = handler, config
        return merged(given.config, config)

    def is_under(self, pointer: str) -> bool:
        """Whether the config at `pointer` has defaults under it."""
        return pointer in self._inheriting

    def place_of(self, pointer: str) -> str:
        """Where in the document stands what a pointer into a merged config leads to."""
        if not self._inheriting:
            return pointer
        parts = pointer.split("/")
        for end in range(len(parts) - 1, 0, -1):
            known = self._inheriting.get("/".join(parts[:end])) if parts[end - 1] == "config" else None
            if known is not None:
                handler, own = known
                if _is_inherited(parts[end:], own, self.configs[handler]):
                    return "/".join([pointer_to(POINTER, handler), *parts[end:]])
        return pointer

    def _refuse(self, handler: str, report: Report) -> None:
        if handler in self._refused:
            return
        self._refused.add(handler)
        report.add(
            "config_too_large",
            pointer_to(POINTER, handler),
            f"the nodes of {quoted(handler)} take more from the defaults than a document may hold "
            f"({MAX_INHERITED_VALUES} values and {MAX_INHERITED_BYTES} bytes of JSON, all nodes together): "
            "move what is large into the nodes that need it",
        )


def merged(under: JsonObject, over: JsonObject) -> JsonObject:
    """Both in one. Objects merge at every depth; any other value of `over` replaces the one below it."""
    if not over:
        return under
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def _is_inherited(steps: list[str], own: JsonObject, given: JsonObject) -> bool:
    """Whether the steps lead to something that only the defaults have."""
    at: JsonValue = own
    below: JsonValue = given
    for step in steps:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or not isinstance(below, dict) or key not in below:
            return False
        if key not in at:
            return True
        at, below = at[key], below[key]
    return False


def _measured(config: JsonObject) -> _Given:
    try:
        size = len(encode(config))
    except UnencodableError:  # each node that has it says so
        size = 0
    return _Given(config, _count(config), size)


def _count(config: JsonObject) -> int:
    values: list[JsonValue] = [config]
    for value in values:
        if isinstance(value, dict):
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
    return len(values)
