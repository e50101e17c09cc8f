"""Bytes of a response as text, decoded as browsers do. Pure.

The order is that of the WHATWG Encoding and HTML standards: a byte order mark, the charset of Content-Type,
the XML prolog, `<meta>` or `@charset`. Labels mean what they mean there: `gb2312` is read as GB 18030,
`Shift_JIS` with the characters of Windows, `ISO-8859-1` as windows-1252. If nothing is declared, the text is
UTF-8 if it can be, and else a charset is guessed.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

import msgspec

_UTF_8: Final = "utf-8"
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
CHARSET_PARAMETER: Final = re.compile(r";\s*charset\s*=\s*[\"']?([\w.:+-]{1,40})", re.IGNORECASE)
_DECLARED: Final = (
    re.compile(rb"\A\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([\w.:+-]{1,40})[\"']"),
    re.compile(rb"\A@charset \"([\w.:+-]{1,40})\";"),
)
_META: Final = re.compile(rb"<meta\s[^>]{0,200}?charset\s*=\s*[\"']?([\w.:+-]{1,40})", re.IGNORECASE)
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)
# HTML asks for the first 1024 bytes; real pages put longer comments first.
_DECLARED_WITHIN: Final = 4096
# Decoding takes quadratic time (idna, punycode), they are no charsets, or they hide markup (utf-7).
_REFUSED_CODECS: Final = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7", "replacement"}
)
_SAME_TO_BROWSERS: Final = {"gbk": "gb18030", "x-user-defined": "windows-1252"}
_WESTERN: Final = "windows-1252"
# The bytes that windows-1252 leaves open stand for the control characters of the same number.
_C1: Final = {
    byte: bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in range(0x80, 0xA0)
}
_GUESSED: Final = ("cp1252", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r")
_CYRILLIC: Final = frozenset({"cp1251", "koi8_r"})
_GUESSED_FROM: Final = 64 * 1024
_ISO_2022_JP: Final = re.compile(rb"\x1b(\$[@B]|\([JI])")
_WORD: Final = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


class Text(msgspec.Struct, frozen=True):
    """A decoded body. `warning` says what was guessed or lost; `is_lossy`: some bytes became U+FFFD."""

    text: str
    warning: str | None = None
    is_lossy: bool = False


def text_of_bytes(body: bytes, content_type: str, *, is_whole: bool = True) -> Text:
    """The body as text. Never fails: what its charset cannot decode becomes U+FFFD.

    `is_whole`: whether the body ends where it should, and not within a character.
    """
    marked = byte_order(body)
    if marked is not None:
        return _decoded(body[len(marked[0]) :], marked[1])
    charset = _charset_in(content_type) or _wide_markup(body[:4]) or _declared_in(body, content_type)
    if charset is not None:
        return _decoded(body, charset)
    if _is_utf_8(body, is_whole):
        japanese = _ISO_2022_JP.search(body) is not None
        return _decoded(body, "iso2022_jp" if japanese else _UTF_8)
    guessed = _guessed(body[:_GUESSED_FROM])
    read = _decoded(body, guessed)
    note = f"the answer names no charset and is no UTF-8: read as {guessed}, which is a guess"
    return msgspec.structs.replace(read, warning=note if read.warning is None else f"{note}; {read.warning}")


def byte_order(body: bytes) -> tuple[bytes, str] | None:
    """The byte order mark that the body starts with, and its charset."""
    return next((pair for pair in _BYTE_ORDER_MARKS if body.startswith(pair[0])), None)


def names_charset(content_type: str) -> bool:
    """Whether Content-Type names a charset that can be decoded."""
    return _charset_in(content_type) is not None


def looks_binary(body: bytes) -> bool:
    """Whether there are bytes that no text has (WHATWG MIME Sniffing, "binary data byte")."""
    return _BINARY.search(body) is not None


def utf_8_of_json(body: bytes, content_type: str) -> tuple[bytes, str | None]:
    """A JSON document in UTF-8, without its byte order mark, and a warning if something in it was lost.

    JSON has no charset but UTF-8 (RFC 8259). Older documents are in UTF-16 or UTF-32, which their zeros show;
    what is no UTF-8 at all is read in the charset that Content-Type names.
    """
    marked = byte_order(body)
    if marked is not None:
        mark, charset = marked
        rest = body[len(mark) :]
        return (rest, None) if charset == _UTF_8 else _as_utf_8(rest, charset)
    if wide := _wide(body[:4]):
        return _as_utf_8(body, wide)
    declared = _charset_in(content_type)
    if declared in (None, _UTF_8) or (b"\x1b" not in body and _is_utf_8(body, True)):
        return body, None
    assert declared is not None
    return _as_utf_8(body, declared)


def _as_utf_8(body: bytes, charset: str) -> tuple[bytes, str | None]:
    read = _decoded(body, charset)
    return read.text.encode(), read.warning


def _wide(start: bytes) -> str | None:
    """The charset that the zeros among the first four bytes of a JSON document show (RFC 4627, section 3)."""
    zeros = tuple(byte == 0 for byte in start)
    return {
        (True, True, True, False): "utf-32-be",
        (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le",
        (False, True, False, True): "utf-16-le",
        (True, False): "utf-16-be",
        (False, True): "utf-16-le",
    }.get(zeros)


def _wide_markup(start: bytes) -> str | None:
    """UTF-16 without a byte order mark, which the zeros in `<?` show (XML, appendix F)."""
    return _wide(start) if start in (b"<\0?\0", b"\0<\0?") else None


def _charset_in(content_type: str) -> str | None:
    found = CHARSET_PARAMETER.search(content_type)
    return _codec(found[1]) if found else None


def _declared_in(body: bytes, content_type: str) -> str | None:
    start = _COMMENT.sub(b"", body[:_DECLARED_WITHIN])
    is_markup = start.lstrip().startswith(b"<") or "html" in content_type.lower()
    for pattern in (*_DECLARED, _META) if is_markup else _DECLARED:
        if found := pattern.search(start):
            charset = _codec(found[1].decode("ascii", errors="replace"))
            # It was read as ASCII, so it cannot be UTF-16: browsers take UTF-8 then.
            return _UTF_8 if charset is not None and charset.startswith(("utf-16", "utf-32")) else charset
    return None


def _codec(label: str) -> str | None:
    """The name by which Python decodes what a label means, or None for one that nobody should decode."""
    import webencodings

    known = webencodings.lookup(label)
    if known is not None and known.name in _SAME_TO_BROWSERS:
        return _SAME_TO_BROWSERS[known.name]
    try:
        codec = known.codec_info if known is not None else codecs.lookup(label)
    except LookupError:
        return None
    if codec.name in _REFUSED_CODECS or not getattr(codec, "_is_text_encoding", True):
        return None
    return _WESTERN if codec.name == "cp1252" else codec.name


def _is_utf_8(body: bytes, is_whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(_UTF_8)().decode(body, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(body: bytes, charset: str) -> Text:
    if charset == _WESTERN:
        return Text(body.decode("latin-1").translate(_C1))
    try:
        text, is_lossy = body.decode(charset), False
    except (UnicodeError, ValueError):
        text, is_lossy = body.decode(charset, errors="replace"), True
    if not _is_unicode(text):
        text, is_lossy = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), True
    warning = f"what is not valid {charset} became U+FFFD" if is_lossy else None
    return Text(text, warning, is_lossy)


def _is_unicode(text: str) -> bool:
    """Whether no half of a surrogate pair stands alone in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _guessed(sample: bytes) -> str:
    """The likeliest charset. Short texts show little, so Western is the guess where others are not likely."""
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=list(_GUESSED)).best()
    if found is None or found.encoding == "cp1252":
        return _WESTERN
    if found.encoding in _CYRILLIC and not _has_whole_words(sample):
        return _WESTERN
    return found.encoding


def _has_whole_words(sample: bytes) -> bool:
    """Whether words that have one character beyond ASCII have little else, as in Cyrillic text."""
    words = b"".join(_WORD.findall(sample))
    beyond = sum(byte >= 0x80 for byte in words)
    return beyond > 3 and beyond > 0.6 * len(words)
