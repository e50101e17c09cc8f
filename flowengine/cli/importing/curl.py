"""Commands that are one plain call of `curl`: they become nodes that call a service themselves.

How long a call may take and how often it is tried become the node's own `timeout_seconds` and `retry`. What
else an option says is told above the node.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from flowengine.cli.importing.expressions import Expressions
from flowengine.cli.importing.translated import Node, http_node, retry, timeout
from flowengine.jsonvalue import JsonValue

_IGNORED: Final = frozenset({"-s", "-S", "-sS", "-f", "-L", "-fsSL", "-sSL", "-sf", "-fsS"})
_IGNORED_TOO: Final = frozenset(
    {"--silent", "--show-error", "--fail", "--location", "--compressed", "-v", "--verbose"}
)
_UNCHECKED: Final = frozenset({"-k", "--insecure"})
_TO_FILE: Final = frozenset({"-o", "--output"})
_MAX_TIME: Final = frozenset({"-m", "--max-time"})
_RETRIES: Final = frozenset({"--retry", "--retry-delay"})
_UNTRANSLATED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--connect-timeout": "timeout_seconds is for the whole call.",
        "--retry-max-time": "retry.max_seconds bounds the tries of a node.",
        "-w": "The answer's status is the node's status_code.",
        "--write-out": "The answer's status is the node's status_code.",
        "--speed-limit": "timeout_seconds is for the whole call.",
        "--speed-time": "timeout_seconds is for the whole call.",
        "--limit-rate": "An answer is read as fast as it comes.",
        "--max-redirs": "Redirects are followed as for any call.",
    }
)
"""Options that have a value and no counterpart, and what is so in their place."""

_UNTRANSLATED_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--retry-all-errors": "retry.when says after what a node is tried again.",
        "--retry-connrefused": "A refused connection is tried again anyway.",
    }
)
_FIRST_DELAY_S: Final = 1.0
_LONGEST_DELAY_S: Final = 600.0
"""Between its tries curl waits a second, then twice as long each time, ten minutes at most."""
_NUMBER: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")
_KEPT: Final = re.compile("\1(\\d+)\1")
_SHELL: Final = frozenset("|;&><")
_EXPANDED: Final = frozenset("`$")
"""A shell puts something else in the place of these."""


class Call(msgspec.Struct):
    """What it calls. `notes`: what it says beside that, and has no counterpart. `max_time_s`: how long it may
    take; `retries`: how often it is tried again, `delay_s` apart."""

    url: str = ""
    method: str = ""
    headers: dict[str, JsonValue] = {}
    body: JsonValue = None
    notes: list[str] = []
    max_time_s: float | None = None
    retries: float | None = None
    delay_s: float | None = None


def curl_node(node_id: str, call: Call, expressions: Expressions, dependencies: Sequence[str]) -> Node:
    """The node that makes the call."""
    node = http_node(
        node_id,
        expressions.text(call.url),
        method=call.method,
        headers={name: expressions.value(value) for name, value in call.headers.items()},
        body=expressions.value(call.body),
        dependencies=dependencies,
        notes=call.notes,
    )
    timeout(node, call.max_time_s)
    if call.retries is not None:
        factor, longest = (2.0, _LONGEST_DELAY_S) if call.delay_s is None else (None, None)
        delay = _FIRST_DELAY_S if call.delay_s is None else call.delay_s
        node.fields["retry"] = retry(call.retries + 1, delay, factor, longest)
    return node


def curl_call(command: str | list[str], placeholder: re.Pattern[str]) -> Call | None:
    """The call, or None where the command is more than that: pipes, files, variables, options unknown here.

    `placeholder`: what stays in it as it is, with its spaces.
    """
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\1{len(kept) - 1}\1"

    if "\1" in "".join(command):
        return None
    if isinstance(command, str):
        words = _words(placeholder.sub(keep, command))
    else:
        words = [placeholder.sub(keep, word) for word in command]
    if any(_EXPANDED & set(word) for word in words):
        return None
    return _call([_KEPT.sub(lambda found: kept[int(found[1])], word) for word in words])


def _call(words: list[str]) -> Call | None:
    if not words or words[0].rpartition("/")[2] != "curl":
        return None
    call, data = Call(), list[str]()
    rest = iter(words[1:])
    for word in rest:
        if word in _IGNORED or word in _IGNORED_TOO:
            continue
        if word in _UNCHECKED:
            call.notes.append(f"NOT TRANSLATED: {word} of curl. The certificate is checked here.")
        elif word in _TO_FILE:
            _note_file(call, f"{word} {next(rest, '')}")
        elif word in _MAX_TIME or word in _RETRIES:
            _take_number(call, word, next(rest, ""))
        elif word in _UNTRANSLATED:
            call.notes.append(f"NOT TRANSLATED: {word} {next(rest, '')} of curl. {_UNTRANSLATED[word]}")
        elif word in _UNTRANSLATED_FLAGS:
            call.notes.append(f"NOT TRANSLATED: {word} of curl. {_UNTRANSLATED_FLAGS[word]}")
        elif word in ("-X", "--request"):
            call.method = next(rest, "")
        elif word in ("-H", "--header"):
            name, _, value = next(rest, "").partition(":")
            call.headers[name.strip()] = value.strip()
        elif word in ("-d", "--data", "--data-raw", "--json"):
            data.append(next(rest, ""))
            if word == "--json":
                call.headers.setdefault("Content-Type", "application/json")
        elif word.startswith("-") or call.url:
            return None
        else:
            call.url = word
    if not call.url or any(each.startswith("@") for each in data):
        return None
    if data:
        call.method = call.method or "POST"
        call.body = _body("&".join(data), call)
    return call


def _take_number(call: Call, option: str, value: str) -> None:
    if not _NUMBER.fullmatch(value):
        call.notes.append(f"NOT TRANSLATED: {option} {value} of curl. It is no number.")
    elif option in _MAX_TIME:
        call.max_time_s = float(value)
    elif option == "--retry":
        call.retries = float(value)
    else:
        call.delay_s = float(value)


def _note_file(call: Call, said: str) -> None:
    if not said.endswith(" /dev/null"):
        call.notes.append(f"NOT TRANSLATED: {said} of curl. The answer is the node's result, and in no file.")


def _words(command: str) -> list[str]:
    lines = [line for line in command.replace("\\\n", " ").splitlines() if line.strip()]
    if len(lines) != 1:
        return []
    try:
        lexer = shlex.shlex(lines[0], posix=True, punctuation_chars="|;&><")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return []
    return [] if any(set(word) <= _SHELL for word in words) else words


def _body(text: str, call: Call) -> JsonValue:
    try:
        found: JsonValue = json.loads(text)
    except ValueError:
        call.headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        return text
    return found
