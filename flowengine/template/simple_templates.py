"""Templates that only read: `{{ fetch.data.id }}`, alone or inside a text. Most are.

They need no compiler, which costs a thousand times as much. What is not plainly simple is left to Jinja2. A
property test checks that both give the same answers.
"""

from __future__ import annotations

import re

import msgspec

from flowengine.template.reference import (
    FATES,
    GIVEN,
    GIVEN_KINDS,
    JINJA_WORDS,
    NODES,
    SECRETS,
    FieldRead,
    Reference,
)

_READ = re.compile(
    r"""(?<!\{)\{\{[ ]*
        (?: nodes\["(?P<quoted>[A-Za-z_][A-Za-z0-9_-]*)"\] | (?P<root>[A-Za-z_][A-Za-z0-9_]*) )
        (?P<keys>(?:\.[A-Za-z][A-Za-z0-9_]*)*)
    [ ]*\}\}""",
    re.VERBOSE | re.ASCII,
)
_MEMBERS = frozenset(GIVEN.values())
_NOT_SIMPLE = re.compile(r"\{[{%#]|\r")


class Path(msgspec.Struct, frozen=True):
    """A root, and the keys read from it one after the other, each with what its owner is called."""

    reference: Reference
    keys: tuple[tuple[str, str], ...]

    @property
    def field_read(self) -> FieldRead | None:
        """The fields that it reads of a node's output; None where it reads none."""
        kind = self.reference.kind
        if kind == "secret" or not (self.keys or kind in _MEMBERS):
            return None
        keys = tuple(key for key, _ in self.keys)
        if kind in GIVEN_KINDS:
            return FieldRead(GIVEN_KINDS[kind], False, (self.reference.name, *keys))
        return FieldRead(self.reference.name, self.reference.kind == "primary", keys)


def read_simple(text: str) -> list[str | Path] | None:
    """The pieces of the text, or None when it needs more than reading paths.

    There is at least one piece, and none is empty.
    """
    pieces: list[str | Path] = []
    end = 0
    for match in _READ.finditer(text):
        path = _path(match)
        if path is None:
            return None
        if match.start() > end:
            pieces.append(text[end : match.start()])
        pieces.append(path)
        end = match.end()
    if end < len(text):
        pieces.append(text[end:])
    if not pieces or any(isinstance(piece, str) and _NOT_SIMPLE.search(piece) for piece in pieces):
        return None
    return pieces


def _path(match: re.Match[str]) -> Path | None:
    root: str = match["root"]
    label = root
    keys = match["keys"].split(".")[1:]
    if match["quoted"] is not None:
        if match["quoted"].startswith("__"):
            return None
        root, label = match["quoted"], f"{NODES}.{match['quoted']}"
        if "-" in root:
            label = f"{NODES}[{root!r}]"
    elif root in (NODES, SECRETS):
        if not keys:
            return None
        name = keys.pop(0)
        label = f"{root}.{name}"
        if root == SECRETS:
            return Path(Reference("secret", name), ()) if len(name) <= 128 and not keys else None
        root = name
    elif root in JINJA_WORDS or root in FATES:
        return None
    elif root in GIVEN:
        if not keys:
            return Path(Reference(root, ""), ())
        name = keys.pop(0)
        return Path(Reference(GIVEN[root], name), _labelled(f"{root}.{name}", keys))
    kind = "output"
    if keys and keys[0] == "result":
        kind, label = "primary", f"{label}.{keys.pop(0)}"
    return Path(Reference(kind, root), _labelled(label, keys))


def _labelled(label: str, keys: list[str]) -> tuple[tuple[str, str], ...]:
    labelled = []
    for key in keys:
        labelled.append((key, label))
        label = f"{label}.{key}"
    return tuple(labelled)
