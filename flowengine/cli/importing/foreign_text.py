"""The text of another tool's workflow, hostile or not, as JSON values."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flowengine.errors import FlowEngineError
from flowengine.jsonvalue import JsonValue

MAX_BYTES: Final = 1024 * 1024
MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 60


class UnreadableError(FlowEngineError):
    """The text is no YAML and no JSON, or too much of it."""

    code = "unreadable"


def documents(body: bytes) -> Iterator[JsonValue]:
    """The documents in a text: YAML 1.2, so that `on` is a word; JSON is YAML. Raises UnreadableError."""
    if len(body) > MAX_BYTES:
        raise UnreadableError(f"it has more than {MAX_BYTES} bytes")
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        found = list(yaml.load_all(body.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise UnreadableError("it is no UTF-8 text") from None
    except RecursionError:
        raise UnreadableError("it is nested too deep") from None
    except (YAMLError, ValueError, TypeError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f" in line {mark.line + 1}"
        raise UnreadableError(f"this is no YAML{place}: {problem}") from error
    copy = _Copy()
    for each in found:
        yield copy.of(each, 0)


class _Copy:
    """Copies values, and counts them: aliases may make a small text a very large value."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, value: Any, depth: int) -> JsonValue:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise UnreadableError(
                f"it has more than {MAX_VALUES} values, or is nested more than {MAX_DEPTH} deep"
            )
        if isinstance(value, dict):
            return {_key(key): self.of(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple | set):
            return [self.of(each, depth + 1) for each in value]
        if isinstance(value, datetime.date | datetime.datetime):
            return value.isoformat()
        if value is None or isinstance(value, str | int | float | bool):
            return value
        return str(value)


def _key(key: object) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)
