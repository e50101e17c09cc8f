"""Placeholders and conditions of other tools, as templates.

A format brings the shape of its placeholders and `resolve`: the template's expression for what stands in one,
or None. What is None is told, and left in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from flowengine.cli.importing.foreign_text import UnreadableError
from flowengine.jsonvalue import JsonValue

_BRACES: Final = re.compile(r"\{\{|\{%|\{#")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_PART: Final = re.compile(
    r"""(?P<space>\s+)|(?P<op>==|!=|<=|>=|<|>|&&|\|\||!|\(|\))|(?P<text>'[^']*'|"[^"]*")|(?P<word>[^\s=!<>&|()'"]+)"""
)
_OPERATORS: Final = {"&&": "and", "||": "or", "!": "not"}
_WORDS: Final = {"true": "true", "false": "false", "null": "none", "and": "and", "or": "or", "not": "not"}

MOST_CHARS: Final = 100_000
"""What a text may grow to. Parameters in parameters may double it at each step down."""

Resolve = Callable[[str], str | None]


class Expressions:
    """Translates texts and conditions; `untranslated` lists what it could not."""

    def __init__(self, placeholder: re.Pattern[str], resolve: Resolve) -> None:
        self._placeholder = placeholder
        self._resolve = resolve
        self.untranslated: list[str] = []

    def value(self, value: JsonValue) -> JsonValue:
        """A value with all texts in it translated."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {name: self.value(each) for name, each in value.items()}
        return value

    def text(self, text: str) -> str:
        """A text: each placeholder becomes a template. Raises UnreadableError for one that grows too long."""
        parts, at, size = [], 0, len(text)
        for found in self._placeholder.finditer(text):
            parts.append(_plain(text[at : found.start()]))
            at = found.end()
            inner = _inner(found)
            expression = self._resolve(inner)
            if expression is None:
                self.untranslated.append(inner)
                parts.append(f"(not translated: {_plain(inner)})")
            else:
                size += len(expression)
                if size > MOST_CHARS:
                    raise UnreadableError(
                        f"with its parameters put in, a text has more than {MOST_CHARS:,} characters: "
                        "import its parts"
                    )
                parts.append("{{ " + expression + " }}")
        return "".join([*parts, _plain(text[at:])])

    def expression(self, text: str) -> str | None:
        """What stands in a text that is one whole placeholder, or a name that is known without one."""
        found = self._placeholder.fullmatch(text.strip())
        return self._resolve(_inner(found) if found else text.strip())

    def condition(self, text: str) -> str | None:
        """A `when` for a condition of comparisons, or None where it has more than that."""
        parts: list[str] = []
        known: dict[str, str] = {}

        def keep(found: re.Match[str]) -> str:
            expression = self._resolve(_inner(found)) or self._compound(_inner(found))
            if expression is None:
                self.untranslated.append(_inner(found))
                return "\0"
            name = f"\1{len(known)}\1"
            known[name] = expression
            return name

        bare = self._placeholder.sub(keep, text)
        if "\0" in bare:
            return None
        at = 0
        while at < len(bare):
            found = _PART.match(bare, at)
            if found is None:
                return None
            at = found.end()
            if found["op"]:
                parts.append(_OPERATORS.get(found["op"], found["op"]))
            elif found["text"]:
                parts.append(_unquoted(found["text"], known))
            elif found["word"]:
                parts.append(self._word(found["word"], known))
        joined = " ".join(parts).replace("( ", "(").replace(" )", ")")
        return "{{ " + joined + " }}" if joined else None

    def _compound(self, inner: str) -> str | None:
        """A condition that stands in one placeholder as a whole."""
        if not re.search(r"==|!=|<|>|&&|\|\||^!", inner):
            return None
        said = Expressions(re.compile(r"(?!)"), self._resolve).condition(inner)
        return None if said is None else f"({said.removeprefix('{{ ').removesuffix(' }}')})"

    def _word(self, word: str, known: dict[str, str]) -> str:
        if word in known:
            return known[word]
        if word in _WORDS:
            return _WORDS[word]
        if _NUMBER.fullmatch(word):
            return word
        return self._resolve(word) or quoted_text(word)


def quoted_text(text: str) -> str:
    """A text as an expression has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _unquoted(text: str, known: dict[str, str]) -> str:
    return known[text[1:-1]] if text[1:-1] in known else quoted_text(text[1:-1])


def _inner(found: re.Match[str]) -> str:
    return next((group for group in found.groups() if group is not None), "").strip()


def _plain(text: str) -> str:
    """What would begin a template without being one."""
    return _BRACES.sub(lambda found: f"{found[0][0]} {found[0][1]}", text)
