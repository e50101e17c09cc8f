"""One parser for each kind of setting: from text to a typed value.

Each parser carries the words that say what it allows, so that a refusal and the documentation cannot
differ. A parser raises ValueError without the text itself: a setting may be a secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec

from flowengine.access.roles import ROLES

Value: TypeAlias = "str | int | float | bool | tuple[str, ...] | None"

KEY_ENTRY = re.compile(rf"[A-Za-z0-9_-]{{1,64}}\.[0-9a-f]{{64}}(\.({'|'.join(ROLES)}))?")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")
_METHOD = re.compile(r"(?!(?i:CONNECT)\Z)[A-Za-z][A-Za-z-]{0,31}")
_WORDS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


class RefusedError(ValueError):
    """A value is wrong for a reason that may be told: it quotes nothing of the value."""


class Parser(msgspec.Struct, frozen=True):
    """`parse` turns text into a value or raises ValueError; `allowed` says what it takes."""

    parse: Callable[[str], Value]
    allowed: str


def whole(minimum: int, maximum: int) -> Parser:
    """A whole number in a range, both ends included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise ValueError("not a whole number")
        value = int(text)
        if not minimum <= value <= maximum:
            raise ValueError("out of range")
        return value

    return Parser(parse, f"a whole number from {minimum} to {maximum}")


def number(minimum: float, maximum: float) -> Parser:
    """A number in a range, both ends included; no infinities, no NaN."""

    def parse(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and minimum <= value <= maximum):
            raise ValueError("out of range")
        return value

    return Parser(parse, f"a number from {minimum:g} to {maximum:g}")


def choice(kind: object) -> Parser:
    """One of the words of a Literal type."""
    words: tuple[str, ...] = get_args(kind)

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError("not one of the words")
        return text.lower()

    return Parser(parse, "one of " + ", ".join(words))


def switch() -> Parser:
    """True or false."""

    def parse(text: str) -> bool:
        try:
            return _WORDS[text.lower()]
        except KeyError:
            raise ValueError("neither true nor false") from None

    return Parser(parse, "true or false")


def text() -> Parser:
    """Any printable text without spaces."""

    def parse(text: str) -> str:
        if not text.isprintable() or " " in text:
            raise ValueError("holds a space or a control character")
        return text

    return Parser(parse, "text without spaces")


def http_url() -> Parser:
    """An absolute URL of HTTP."""

    def parse(text: str) -> str:
        if text.partition("://")[0].lower() not in ("http", "https"):
            raise ValueError("not such a URL")
        if not text.isprintable() or " " in text:
            raise RefusedError("it holds a space, a line break or a control character: leave it out")
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError as error:
            # What the library takes for the port may be a part of a password.
            raise RefusedError(
                "its host or port cannot be read; in a user name or password, "
                "write / as %2F, ? as %3F, # as %23"
            ) from error
        if not parts.hostname:
            raise RefusedError("it names no host")
        return text

    return Parser(parse, "a URL that starts with http://, https://")


def modules() -> Parser:
    """Names of Python modules, separated by commas or spaces."""
    return _several(_MODULE, "names of Python modules, separated by commas")


def host_names() -> Parser:
    """Names or addresses of hosts, without ports, separated by commas or spaces."""
    return _several(_HOST, "names of hosts without ports, separated by commas")


def key_entries() -> Parser:
    """What `flowengine key new ID --entry` prints, separated by commas, spaces or lines."""
    return _several(
        KEY_ENTRY,
        "entries `id.sha256` or `id.sha256.role`, which `flowengine key new` makes with `--entry`, "
        "separated by commas",
    )


def http_methods() -> Parser:
    """Methods of HTTP, separated by commas or spaces."""
    return _several(_METHOD, "methods of HTTP, PROPFIND for example, separated by commas")


def file_path() -> Parser:
    """The path of a file. Whether it can be read, its user checks."""

    def parse(text: str) -> str:
        if not text.isprintable():
            raise ValueError("holds a control character")
        return text

    return Parser(parse, "the path of a file")


def _several(pattern: re.Pattern[str], allowed: str) -> Parser:
    def parse(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip(" \t\r\n,"))))
        if not all(pattern.fullmatch(item) for item in found):
            raise ValueError("an entry is malformed")
        return found

    return Parser(parse, allowed)
