"""How long the longest expression of a template is, found without a parser: one too long is not parsed."""

from __future__ import annotations

import re
from typing import Final

_BEGIN: Final = re.compile(
    r"""
    (?P<whole>\{\{[^{}'"]*+\}\})          # an expression that holds neither objects nor texts
    | (?P<expression>\{\{)
    | (?P<comment>\{\#)
    | (?P<raw>\{%[-+]?\s*raw\s*-?%\})
    """,
    re.VERBOSE,
)
_STEP: Final = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|\{|\}\}?""", re.DOTALL)
_COMMENT_END: Final = re.compile(r"\#\}")
_RAW_END: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")


def exceeding(text: str, limit: int) -> int | None:
    """The length of the first `{{ ... }}` of more than `limit` characters, its marks included; None: no such.

    One that does not end reaches to the end of the text. What is quoted, in a comment or raw is no mark.
    """
    end = 0
    while (found := _BEGIN.search(text, end)) is not None:
        end = _end(text, found)
        if found.lastgroup in ("whole", "expression") and end - found.start() > limit:
            return end - found.start()
    return None


def _end(text: str, found: re.Match[str]) -> int:
    """Where that ends which begins so."""
    if found.lastgroup == "whole":
        return found.end()
    if found.lastgroup == "expression":
        return _end_of_expression(text, found.end())
    closing = (_COMMENT_END if found.lastgroup == "comment" else _RAW_END).search(text, found.end())
    return len(text) if closing is None else closing.end()


def _end_of_expression(text: str, position: int) -> int:
    depth = 0
    while (step := _STEP.search(text, position)) is not None:
        position = step.end()
        if step[0] == "{":
            depth += 1
        elif step[0][0] == "}" and depth:
            depth -= 1
            position = step.start() + 1
        elif step[0] == "}}":
            return position
    return len(text)
