"""Commands that are one plain call of `curl`: they become nodes that call a service themselves."""

from __future__ import annotations

import json
import re
import shlex
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue

_IGNORED: Final = frozenset({"-s", "-S", "-sS", "-f", "-L", "-fsSL", "-sSL", "-sf", "-fsS"})
_IGNORED_TOO: Final = frozenset(
    {"--silent", "--show-error", "--fail", "--location", "--compressed", "-v", "--verbose"}
)
_UNCHECKED: Final = frozenset({"-k", "--insecure"})
_TO_FILE: Final = frozenset({"-o", "--output"})
_WITH_VALUE: Final = frozenset({"-m", "--max-time", "--retry", "--connect-timeout", "-w"})
_KEPT: Final = re.compile("\1(\\d+)\1")
_SHELL: Final = frozenset("|;&><")
_EXPANDED: Final = frozenset("`$")
"""A shell puts something else in the place of these."""


class Call(msgspec.Struct):
    """What it calls. `notes`: what it says beside that, and has no counterpart."""

    url: str = ""
    method: str = ""
    headers: dict[str, JsonValue] = {}
    body: JsonValue = None
    notes: list[str] = []


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
        elif word in _WITH_VALUE:
            next(rest, "")
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
