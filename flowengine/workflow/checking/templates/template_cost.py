"""How much work it is to read a template, in characters and their like: what bounds the checking."""

from __future__ import annotations

import re
from typing import Final

_EXPRESSION: Final = re.compile(r"\{[{%#].*?(?:[}%#]\}|$)", re.DOTALL)
TEMPLATE_COST: Final = 50
COMPLEX_FACTOR: Final = 16
_NEXT_COST: Final = 200
_NEXT_READ_COST: Final = 8
COMPILE_COST: Final = 1000
_LARGE_COMPILE_COST: Final = 4000
_COMPILED: Final = re.compile(r"\b(?:regex_|matching\b|jmespath\b)")
_LARGE: Final = re.compile(r"\\[pP]|\{\d*,?\d\d")
"""Classes of Unicode and many repetitions, which make a regular expression large."""


def cost_of(text: str, *, simple: bool) -> int:
    """The work of analysing a text. `simple`: it only reads."""
    lengths = [match.end() - match.start() for match in _EXPRESSION.finditer(text)]
    cost = TEMPLATE_COST + sum(lengths) * (1 if simple else COMPLEX_FACTOR)
    cost += (len(lengths) - 1) * (_NEXT_READ_COST if simple else _NEXT_COST)
    if not simple and (compiled := len(_COMPILED.findall(text))):
        cost += compiled * (_LARGE_COMPILE_COST if _LARGE.search(text) else COMPILE_COST)
    return cost
