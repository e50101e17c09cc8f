"""Texts are decoded as browsers decode them, and what was guessed or lost is said."""

from __future__ import annotations

import pytest

from flowengine.handlers.http.reading.charsets import text_of_bytes

RUSSIAN = "Привет, мир! Как дела сегодня?"
JAPANESE = "日本語のページです。今日はいい天気ですね。"
CHINESE = "这是一个关于天气的测试页面，今天天气很好。"
KOREAN = "안녕하세요 세계, 오늘 날씨가 좋네요"

DECLARED = {
    "GBK under gb2312": ("镕", "gbk", "text/plain; charset=gb2312"),
    "GB 18030 under gbk": ("㐀", "gb18030", "text/plain; charset=GBK"),
    "CP932 under Shift_JIS": ("①髙", "cp932", "text/plain; charset=Shift_JIS"),
    "CP949 under euc-kr": ("똠", "cp949", "text/plain; charset=EUC-KR"),
    "CP1252 under ISO-8859-1": ("“x” €", "cp1252", "text/html; charset=ISO-8859-1"),
    "CP1252 under us-ascii": ("“x”", "cp1252", "text/html; charset=us-ascii"),
    "CP1254 under ISO-8859-9": ("€ğ", "cp1254", "text/plain; charset=iso-8859-9"),
    "a quoted label": ("ß", "latin-1", "text/plain; charset='latin1'"),
    "capitals, spaces": ("ß", "latin-1", 'text/plain ; CharSet = "Latin1"'),
    "KOI8-R": (RUSSIAN, "koi8-r", "text/plain; charset=koi8-r"),
    "ISO-2022-JP": (JAPANESE, "iso2022_jp", "text/plain; charset=iso-2022-jp"),
    "UTF-16 without a mark": ("ü", "utf-16-le", "text/plain; charset=utf-16"),
    "a label of Python's": ("ß", "cp437", "text/plain; charset=cp437"),
    "a mark over the header": ("ü", "utf-8-sig", "text/plain; charset=latin1"),
    "the mark of UTF-16": ("ü", "utf-16", "text/plain"),
    "an XML prolog": (f'<?xml version="1.0" encoding="windows-1251"?><a>{RUSSIAN}</a>', "cp1251", "text/xml"),
    "XML in UTF-16 without a mark": ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16-le", "text/xml"),
    "the same in the other order": ('<?xml version="1.0"?><a>ü</a>', "utf-16-be", "text/xml"),
    "a meta element": (f"<html><meta charset=euc-kr><p>{KOREAN}", "cp949", "text/html"),
    "an old meta element": (
        f'<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">{JAPANESE}',
        "cp932",
        "text/html",
    ),
    "a meta element without a type": (f"<p><meta charset='gbk'>{CHINESE}", "gbk", ""),
    "a meta element in a comment": ("<!-- <meta charset=gbk> --><p>ü", "utf-8", "text/html"),
    "a meta element that is text": ("write <meta charset=gbk>: ü", "utf-8", "text/plain"),
    "UTF-16 in ASCII": ("<meta charset=utf-16>ü", "utf-8", "text/html"),
    "a style sheet": ('@charset "windows-1251"; a{content:"Я"}', "cp1251", "text/css"),
    "an unknown label": ("ü", "utf-8", "text/plain; charset=no-such"),
    "a label that browsers refuse": ("+AGE-", "ascii", "text/plain; charset=utf-7"),
    "a label that is none": ("YQ==", "ascii", "text/plain; charset=base64"),
}


@pytest.mark.parametrize("case", DECLARED)
def test_a_declared_charset_means_what_it_means_to_browsers(case: str) -> None:
    """Its label, the byte order mark, the prolog or the markup."""
    text, charset, content_type = DECLARED[case]
    read = text_of_bytes(text.encode(charset), content_type)
    assert (read.text, read.warning) == (text, None)


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gbk"),
        (KOREAN, "cp949"),
        ("繁體中文測試頁面，今天天氣很好", "big5"),
        ("Café crème brûlée – 5 €", "cp1252"),
        ("naïve façade", "latin-1"),
        ("ü", "latin-1"),
    ],
)
def test_a_charset_that_nobody_names_is_guessed_and_said(text: str, charset: str) -> None:
    """Where the text is long enough to tell, and Western where it is not."""
    read = text_of_bytes(text.encode(charset), "text/plain")
    assert read.text == text
    assert read.warning is not None
    assert "which is a guess" in read.warning


def test_utf_8_is_no_guess() -> None:
    """Hardly any text of another charset is valid UTF-8. ISO-2022-JP is, and shows itself."""
    assert text_of_bytes("ü 日本".encode(), "text/plain").warning is None
    assert text_of_bytes(JAPANESE.encode("iso2022_jp"), "text/plain").text == JAPANESE


@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "text/plain; charset=gbk"])
def test_what_a_declared_charset_cannot_decode_is_said(content_type: str) -> None:
    """It becomes U+FFFD, as in a browser."""
    read = text_of_bytes(b"a\xff!", content_type)
    assert "\ufffd" in read.text
    assert read.is_lossy
    assert read.warning is not None
    assert "became U+FFFD" in read.warning


def test_a_beginning_may_end_within_a_character() -> None:
    """It is UTF-8 all the same."""
    assert text_of_bytes("aü".encode()[:-1], "", is_whole=False).text == "a\ufffd"
