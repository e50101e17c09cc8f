"""Builds documents that harm a careless reader."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import islice, product
from string import ascii_letters

from tests.support.documents import JsonObject, node, reading

JSON_BYTES = 12 * 1024 * 1024
YAML_BYTES = 2 * 1024 * 1024


def filled(start: bytes, unit: bytes, end: bytes, size: int) -> bytes:
    """`start`, as many units as fit, `end`."""
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


def document(*nodes: object) -> bytes:
    """These nodes as a JSON document."""
    return json.dumps({"name": "x", "nodes": nodes}).encode()


def given(inputs: object, variables: object = None) -> bytes:
    """A document of one node with these inputs and vars."""
    return json.dumps({"name": "x", "inputs": inputs, "vars": variables or {}, "nodes": [node("a")]}).encode()


def doubling(levels: int) -> JsonObject:
    """A schema each of whose references leads to two more."""
    names = [f"a{level}" for level in range(levels)]
    twice = {name: {"allOf": [{"$ref": f"#/$defs/a{at + 1}"}] * 2} for at, name in enumerate(names)}
    made: JsonObject = json.loads(json.dumps({"$ref": "#/$defs/a0", "$defs": {**twice, f"a{levels}": {}}}))
    return made


def reading_much(copies: int, *parents: Callable[[int], int]) -> bytes:
    """A thousand nodes, each with these parents and `copies` copies of a template that reads 160 others."""
    names = ["".join(pair) for pair in islice(product(ascii_letters, "abcdefghijklmnopqrst"), 1000)]
    text = "{{[" + ",".join(names[:160]) + "]}}"
    return document(
        *[
            reading(name, [text] * copies, *[names[parent(place)] for parent in parents])
            for place, name in enumerate(names)
        ]
    )


def after_much_text(text: str) -> bytes:
    """300 problems on one line, behind a description."""
    nodes = [{"id": 1, "handler": 2, "config": 3, "dependencies": 4, "timeout_seconds": 5.5e9}] * 60
    return json.dumps({"description": text, "name": "x", "nodes": nodes}, ensure_ascii=False).encode()


def like_each_other() -> bytes:
    """A thousand ids of two letters, and twenty names that are like all of them."""
    letters = random.Random(1)
    words = ["".join(letters.choices("ab", k=60)) for _ in range(1019)]
    return document(*map(node, words[20:]), node("last", *words[:20]))


def calling(handler: str, count: int, config: JsonObject) -> bytes:
    """`count` nodes, each with this config."""
    return document(*[node(f"n{place}", handler=handler, config=config) for place in range(count)])


def laughs(levels: int) -> bytes:
    """A billion laughs: each level names the one below nine times."""
    lines = [b"l0: &l0 lol"]
    lines += [
        b"l%d: &l%d [%s]" % (level, level, b",".join([b"*l%d" % (level - 1)] * 9))
        for level in range(1, levels)
    ]
    return b"\n".join(lines)
