r"""All the forms of one text: as it is, or escaped for JSON, HTML, URLs or Python, in either case.

A service repeats what it is sent in the form that its framework writes: `\/` (PHP), `\u002B` (.NET),
`\u0026` (Go), `&#x27;`, `%2b`, JSON inside JSON. A list of whole forms would miss the next framework and
every mixture, so the pattern lets each character be written in any of its ways. No encoding changes ASCII
letters and digits, so their longest run tells quickly where a text cannot be. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from typing import Final

# Every repetition has an upper bound, so that no text makes the search quadratic: five levels of JSON inside
# JSON, three where that is encoded once more, five of `%25` and `&amp;`.
_MOST_BACKSLASHES: Final = 32
_MOST_ENCODED: Final = 8
_MOST_SPACES: Final = 64
_PERCENT: Final = "%(?:25){0,5}"
_HASH: Final = f"(?:#|{_PERCENT}23)"
_SEMICOLON: Final = f"(?:;|{_PERCENT}3b)"
_AMPERSAND: Final = rf"(?:&|{_PERCENT}26|\\{{1,{_MOST_BACKSLASHES}}}+(?:u0026|x26))(?:amp{_SEMICOLON}){{0,5}}"
_ENCODED_BACKSLASH: Final = (
    f"(?:{_PERCENT}5c|{_AMPERSAND}(?:{_HASH}0{{0,5}}92|{_HASH}x0{{0,5}}5c|bsol){_SEMICOLON})"
)
_BACKSLASHES: Final = rf"(?:\\{{1,{_MOST_BACKSLASHES}}}+|{_ENCODED_BACKSLASH}{{1,{_MOST_ENCODED}}})"
_MAYBE_BACKSLASHES: Final = f"(?:{_BACKSLASHES}|)"

_PIECE: Final = re.compile(r"\\+|\s+|.", re.DOTALL)
_PLAIN: Final = re.compile("[A-Za-z0-9]+")
_LETTERS: Final = {"\n": "n", "\r": "r", "\t": "t", "\f": "f", "\b": "b", "\v": "v", "\0": "0"}
_SPACES: Final = " \t\n\r\f\v\xa0"
# An escape that was cut off in the middle.
_BEGUN_ESCAPE: Final = re.compile(r"\\+(?:[uUxX][0-9a-fA-F{]*)?|%(?:25)*[0-9a-fA-F]?|&[#0-9A-Za-z;]*")


class EscapedForms:
    """All forms of one text. Cheap to make: a pattern is compiled when it is first needed."""

    def __init__(self, text: str, *, alike: Mapping[str, str] | None = None, head: int = 4) -> None:
        """`alike`: the character that may stand in place of each key. `head`: how many characters of the
        text count as its beginning."""
        self.text = text
        self._alike = dict(alike or {})
        self._head = head
        self._landmark_at, self._landmark = _landmark(text)
        self._head_landmark = _landmark(text[:head])[1]

    def may_be_in(self, lowered: str) -> bool:
        """Whether a text, given in lower case, may hold a form. Quick; never False if it holds one."""
        return self._landmark in lowered

    def is_likely_in(self, text: str, lowered: str) -> bool:
        """The same, asked more closely: what stands beside the landmark must fit too.

        `lowered` is the text in lower case. Costs little more, even where the landmark is a common word.
        """
        # One letter becomes two in lower case; where it stands, nothing is at its place any more.
        if not self._landmark or len(lowered) != len(text):
            return self.may_be_in(lowered)
        return self._around_landmark.search(lowered) is not None

    def replaced(self, text: str, mask: str) -> str:
        """The text with `mask` in place of every form."""
        return self._pattern.sub(lambda _: mask, text)

    def begun_at_end_of(self, text: str) -> int | None:
        """Where the beginning of a form starts that the text ends with, or None."""
        if self._head_landmark not in text.lower():
            return None
        for match in self._beginning.finditer(text):
            position = self._followed(text, match.start())
            if position == len(text) or _BEGUN_ESCAPE.fullmatch(text, position):
                return match.start()
        return None

    @cached_property
    def _units(self) -> tuple[str, ...]:
        return tuple(_units(self.text, self._alike))

    @cached_property
    def _around_landmark(self) -> re.Pattern[str]:
        """The landmark, between the last character of what may precede it and all that must follow it.

        The landmark comes first and has no flags, so that the search for it runs at full speed.
        """
        before = _PIECE.findall(self.text[: self._landmark_at])
        rest = "".join(self._units[len(before) + len(self._landmark) :])
        preceded = f"(?<=(?i:{_end_of(before[-1], self._alike)}){self._landmark})" if before else ""
        return re.compile(f"{self._landmark}{preceded}(?i:{rest})")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(self._units), re.IGNORECASE)

    @cached_property
    def _beginning(self) -> re.Pattern[str]:
        return re.compile(f"(?={''.join(self._units[: self._head])})", re.IGNORECASE)

    def _followed(self, text: str, position: int) -> int:
        """The end of the longest beginning of a form that starts at `position`."""
        for unit in self._units:
            found = _compiled(unit).match(text, position)
            if found is None:
                break
            position = found.end()
        return position


def _landmark(text: str) -> tuple[int, str]:
    """Where the longest run of ASCII letters and digits stands, and the run in lower case."""
    run = max(_PLAIN.finditer(text), key=lambda found: len(found[0]), default=None)
    return (0, "") if run is None else (run.start(), run[0].lower())


def _end_of(piece: str, alike: Mapping[str, str]) -> str:
    """The class of all characters that any way to write the piece may end with."""
    written = f"+{_SPACES}{piece}" if piece.isspace() else piece
    last = [*written, *(misread[-1] for character in written for misread in _misread(character))]
    ends = {end for character in last for end in _ends(character)} | {*alike.get(piece, "")}
    spaces = r"\s" if piece == "+" or piece.isspace() else ""
    return f"[{spaces}{re.escape(''.join(sorted(ends)))}]"


def _ends(character: str) -> Iterator[str]:
    """What it ends with: as itself, as an entity, whose `;` may be `%3b`, as a number in hexadecimal."""
    yield from (character, ";", "b", "}", _LETTERS.get(character, character))
    for digits in (_octets(character).hex(), _utf16(character), f"{ord(character):x}"):
        yield digits[-1]


@lru_cache(4096)
def _compiled(unit: str) -> re.Pattern[str]:
    return re.compile(unit, re.IGNORECASE)


def _units(text: str, alike: Mapping[str, str]) -> Iterator[str]:
    """A pattern for each character, and one for each run of white space or of backslashes.

    White space may have been collapsed. A run of backslashes may be longer than in the text, since those of
    an escape that follows are part of it, but not shorter.
    """
    after_backslash = False
    for match in _PIECE.finditer(text):
        piece = match[0]
        if piece[0] == "\\":
            yield _run_of_backslashes(len(piece))
        elif piece[0].isspace():
            yield _space(piece, after_backslash)
        else:
            yield _character(piece, alike.get(piece, ""), after_backslash)
        after_backslash = piece[0] == "\\"


def _run_of_backslashes(count: int) -> str:
    plain = rf"\\{{{count},{count * _MOST_BACKSLASHES}}}+"
    encoded = f"{_ENCODED_BACKSLASH}{{{count},{count * _MOST_ENCODED}}}"
    escaped = "|".join(_with_backslash("\\", _BACKSLASHES))
    return f"(?:{plain}|{encoded}|(?:{escaped}){{{count}}})"


def _space(run: str, after_backslash: bool) -> str:
    characters = "".join(dict.fromkeys(_SPACES + run))
    return f"(?:{_any_space(characters, after_backslash)}){{1,{max(_MOST_SPACES, len(run))}}}"


@lru_cache(256)
def _any_space(characters: str, after_backslash: bool) -> str:
    backslashes = _MAYBE_BACKSLASHES if after_backslash else _BACKSLASHES
    ways = [r"\s", r"\+", *_without_backslash("+")]
    for character in characters:
        ways += [*_without_backslash(character), *_with_backslash(character, backslashes)]
    return "|".join(ways)


@lru_cache(4096)
def _character(character: str, alike: str, after_backslash: bool) -> str:
    if _PLAIN.fullmatch(character):
        return character
    # The character itself comes last, so that all of `&amp;` is matched and not only its `&`.
    plain = [*_without_backslash(character), *map(re.escape, alike), re.escape(character)]
    if character == "+":
        plain.append(r"\s")  # a reader of URL-encoded forms takes a bare `+` for a space
    backslashes = _MAYBE_BACKSLASHES if after_backslash else _BACKSLASHES
    ways = [_sequence(misread, backslashes) for misread in _misread(character)]
    ways += [f"{_MAYBE_BACKSLASHES}(?:{'|'.join(plain)})", *_with_backslash(character, backslashes)]
    return f"(?:{'|'.join(ways)})"


def _sequence(text: str, backslashes: str) -> str:
    """Characters beyond ASCII one after the other, each as itself or escaped."""
    ways = (
        [*_without_backslash(each), re.escape(each), *_with_backslash(each, backslashes)] for each in text
    )
    return "".join(f"(?:{'|'.join(each)})" for each in ways)


def _misread(character: str) -> Sequence[str]:
    """What its UTF-8 is to those who read it as Latin-1 or windows-1252, as many read headers."""
    if ord(character) < 128:
        return ()
    latin = _octets(character).decode("latin-1")
    windows = "".join(each.encode("latin-1").decode("cp1252", "ignore") or each for each in latin)
    return tuple(dict.fromkeys((latin, windows)))


def _without_backslash(character: str) -> Iterator[str]:
    """The ways of URLs and HTML to write a character."""
    code = ord(character)
    yield "".join(f"{_PERCENT}{octet:02x}" for octet in _octets(character))
    names = [f"{_HASH}0{{0,5}}{code}", f"{_HASH}x0{{0,5}}{code:x}", *_entities().get(character, ())]
    yield f"{_AMPERSAND}(?:{'|'.join(names)}){_SEMICOLON}"


def _with_backslash(character: str, backslashes: str) -> Iterator[str]:
    """The ways of JSON, JavaScript and Python; `backslashes` is the pattern that each of them starts with."""
    code = ord(character)
    units = _utf16(character)
    yield "".join(f"{backslashes}u{units[at : at + 4]}" for at in range(0, len(units), 4))
    yield f"{backslashes}(?:u[{{]0{{0,5}}{code:x}[}}]|U{code:08x})"
    if code < 256:
        yield f"{backslashes}x{code:02x}"
    if code > 127:
        yield "".join(f"{backslashes}x{octet:02x}" for octet in _octets(character))
    if character in _LETTERS:
        yield backslashes + _LETTERS[character]


def _octets(character: str) -> bytes:
    return character.encode("utf-8", "surrogatepass")


def _utf16(character: str) -> str:
    return character.encode("utf-16-be", "surrogatepass").hex()


@cache
def _entities() -> Mapping[str, Sequence[str]]:
    """HTML's names for each character: `amp` and `AMP` for `&`."""
    from html.entities import html5  # 0.4 MB, and only needed where there are secrets

    names: dict[str, list[str]] = {}
    for name, character in html5.items():
        if name.endswith(";") and len(character) == 1:
            names.setdefault(character, []).append(name[:-1])
    return names
