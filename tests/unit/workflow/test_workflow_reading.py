"""Reading documents: what YAML and JSON mean, and what is refused before anyone asks what it says."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.reading.json_parser import parse_json
from flowengine.workflow.reading.malformed import MalformedError
from flowengine.workflow.reading.positions import places_of
from flowengine.workflow.reading.yaml_parser import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("Y", "Y"),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("18446744073709551615", 18446744073709551615),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("2026-07-01", "2026-07-01"),
        ("12:30:00", "12:30:00"),
        ("1.2.3", "1.2.3"),
        ("'42'", "42"),
        ('"true"', "true"),
        ("plain text", "plain text"),
        ("-", None),
        ("=", "="),
    ],
)
def test_yaml_scalars_mean_what_json_would_say(text: str, value: JsonValue) -> None:
    """YAML 1.2's core schema: no `yes`, no dates, no base 60."""
    expected: JsonValue = [value] if text == "-" else value
    parsed, _ = parse_yaml(text.encode())
    assert parsed == expected
    assert type(parsed) is type(expected)


def test_yaml_keys_are_text_as_written() -> None:
    """Whatever a key looks like, it is the text that was written."""
    value, _ = parse_yaml(b"404: a\ntrue: b\n~: c\n1.0: d\n2026-01-01: e\n")
    assert value == {"404": "a", "true": "b", "~": "c", "1.0": "d", "2026-01-01": "e"}


def test_yaml_block_scalars_and_comments_are_read() -> None:
    """What people write: literal and folded blocks, comments, flow and block styles."""
    text = b"# first\na: |\n  one\n  two\nb: >-\n  one\n  two\nc: [1, {d: e}]  # last\n...\n# end\n"
    value, _ = parse_yaml(text)
    assert value == {"a": "one\ntwo\n", "b": "one two", "c": [1, {"d": "e"}]}


def test_a_byte_order_mark_is_accepted() -> None:
    """Editors on Windows write one."""
    assert parse_yaml(b"\xef\xbb\xbfa: 1")[0] == {"a": 1}
    assert parse_json(b'\xef\xbb\xbf{"a": 1}')[0] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "reason", "line", "column"),
    [
        (b"a: &x 1", "yaml_anchor", 1, 4),
        (b"a: 1\nb: *x", "yaml_alias", 2, 4),
        (b"a: !!python/object:os.system x", "yaml_tag", 1, 4),
        (b"! a", "yaml_tag", 1, 1),
        (b"a:\n  <<: {b: 1}", "yaml_merge_key", 2, 3),
        (b"a: 1\nb: 2\na: 3", "duplicate_key", 3, 1),
        (b"'1': 1\n1: 2", "duplicate_key", 2, 1),
        (b"a: 1\n---\nb: 2", "yaml_several_documents", 2, 1),
        (b"a: 1\n...\nb: 2", "yaml_several_documents", 2, 1),
        (b"%YAML 1.1\n---\na: 1", "yaml_directive", 1, 1),
        (b"# c\n\n%TAG ! x\n---\na: 1", "yaml_directive", 1, 1),
        (b"", "empty_document", 1, 1),
        (b"\n# nothing\n", "empty_document", 1, 1),
        (b"a: [1, 2", "malformed_yaml", 2, 1),
        (b"a: b: c", "malformed_yaml", 1, 5),
        (b"\ta: 1", "malformed_yaml", 1, 1),
        (b"a: 1\n b: 2", "malformed_yaml", 2, 3),
        (b"a: 'x", "malformed_yaml", 1, 6),
        (b"a: \x01", "malformed_yaml", 1, 4),
        (b"? [a]\n: b", "yaml_key", 1, 3),
        (b"a: {{ b }}", "yaml_key", 1, 5),
        (b"a: 012", "invalid_scalar", 1, 4),
        (b"a: .inf", "invalid_scalar", 1, 4),
        (b"a: .NaN", "invalid_scalar", 1, 4),
        (b"a: 1e999", "invalid_scalar", 1, 4),
        (b"a: 18446744073709551616", "invalid_scalar", 1, 4),
        (b"a: \xff", "invalid_encoding", 1, 4),
        ("é\nü: ".encode() + b"\xc3", "invalid_encoding", 2, 4),
        (b"a: \x00", "nul_byte", 1, 4),
        (b"[" * 65, "too_deep", 1, 65),
    ],
)
def test_yaml_that_is_refused(text: bytes, reason: str, line: int, column: int) -> None:
    """Each with its reason and where it is."""
    with pytest.raises(MalformedError) as caught:
        parse_yaml(text)
    assert (caught.value.reason, caught.value.line, caught.value.column) == (reason, line, column)


def test_the_advice_on_templates_is_for_the_line_with_the_mistake() -> None:
    """A template on another line is none of its business, nor is a line break that only YAML knows."""
    with pytest.raises(MalformedError, match="quote it"):
        parse_yaml("a: 'x\u2028y'\nb: {{ c }}/d\n".encode())
    with pytest.raises(MalformedError) as caught:
        parse_yaml(b"a: '{{ b }}'\nc: d: e\nf: '{{ g }}'\n")
    assert "quote it" not in caught.value.message


def test_an_unquoted_template_is_told_to_be_quoted() -> None:
    """`key: {{ x }}` is what everyone writes once."""
    for text in (b"a: {{ b }}", b"a: {{ b }}/c", b"a: {{ b.c | d }} e"):
        with pytest.raises(MalformedError, match="quote it"):
            parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "reason", "line", "column"),
    [
        (b"", "empty_document", 1, 1),
        (b" \n ", "empty_document", 1, 1),
        (b"{", "malformed_json", 1, 2),
        (b'{\n  "a": 1,\n}', "malformed_json", 3, 1),
        (b'{"a" 1}', "malformed_json", 1, 6),
        (b"{'a': 1}", "malformed_json", 1, 2),
        (b'{"a": 01}', "malformed_json", 1, 8),
        (b"[1] 2", "malformed_json", 1, 6),
        (b"]", "malformed_json", 1, 1),
        (b'["\\ud800"]', "malformed_json", 1, 3),
        ('{"é": "ü", x}'.encode(), "malformed_json", 1, 12),
        (b'{"a": 1,\n "a": 2}', "duplicate_key", 2, 2),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_key", 1, 10),
        (b'{"a": NaN}', "number_out_of_range", 1, 7),
        (b"[-Infinity]", "number_out_of_range", 1, 2),
        (b"[1e999]", "number_out_of_range", 1, 2),
        (b"[18446744073709551616]", "number_out_of_range", 1, 2),
        (b"[-9223372036854775809]", "number_out_of_range", 1, 2),
        (b"[" * 65, "too_deep", 1, 65),
        (b'{"a": "\xff"}', "invalid_encoding", 1, 8),
        (b'{"a": "\x00"}', "nul_byte", 1, 8),
        ("{}".encode("utf-16"), "invalid_encoding", None, None),
        ("{}".encode("utf-32"), "invalid_encoding", None, None),
    ],
)
def test_json_that_is_refused(text: bytes, reason: str, line: int | None, column: int | None) -> None:
    """Each with its reason and where it is."""
    with pytest.raises(MalformedError) as caught:
        parse_json(text)
    assert (caught.value.reason, caught.value.line, caught.value.column) == (reason, line, column)


@pytest.mark.parametrize("half", ["\\ud83d", "\\ud83dx", "\\uDE00", "\\ude00\\ud83d"])
def test_half_of_a_surrogate_pair_is_called_so(half: str) -> None:
    """The decoders say that the input is truncated, or that an escape is invalid."""
    for parse in (parse_json, parse_yaml):
        with pytest.raises(MalformedError, match="half of a surrogate pair: write both halves"):
            parse(f'{{"a": "b", "c": "{half}"}}'.encode())


@pytest.mark.parametrize("text", [b"[18446744073709551615]", b"[-9223372036854775808]", b"[1.7e308]", b"[0]"])
def test_json_numbers_at_the_bounds_are_read(text: bytes) -> None:
    """64 bits, and any finite number."""
    assert isinstance(parse_json(text)[0], list)


def test_depth_64_is_allowed() -> None:
    """The bound itself is fine, in both forms."""
    text = b"[" * 64 + b"]" * 64
    assert parse_json(text)[0] == parse_yaml(text)[0]


def test_positions_are_those_of_values_or_of_their_keys() -> None:
    """A value on a later line than its key is found at the key; what is missing, at its owner."""
    text = b"a: 1\nb:\n  - x\n  - c: {d: 2}\n    e:\n      f: 3\n"
    value, positions = parse_yaml(text)
    found = positions.locate(value, ["", "/a", "/b", "/b/0", "/b/1/c/d", "/b/1/e", "/b/1/zz/deep", "/q"])
    assert found["/a"] == (1, 4)
    assert found["/b"] == (2, 1)
    assert found["/b/0"] == (3, 5)
    assert found["/b/1/c/d"] == (4, 12)
    assert found["/b/1/e"] == (5, 5)
    assert found["/b/1/zz/deep"] == found["/b/1"] == (4, 5)
    assert found["/q"] == found[""] == (1, 1)


def test_positions_in_json_count_characters() -> None:
    """A column is what an editor shows, whatever the letters take in UTF-8."""
    value, positions = parse_json('{"é~/": ["ü", 5]}'.encode())
    assert positions.locate(value, ["/é~0~1/1"])["/é~0~1/1"] == (1, 15)


def test_places_are_found_for_many_bytes_at_once() -> None:
    """In whatever order they are asked for, over lines and characters of any width."""
    source = "aé\n\n€\U0001f600x\n".encode()
    found = places_of(source, [13, 0, 4, 1, 3, 5, 8, 12, 5])
    assert found == {
        0: (1, 1),
        1: (1, 2),
        3: (1, 3),
        4: (2, 1),
        5: (3, 1),
        8: (3, 2),
        12: (3, 3),
        13: (3, 4),
    }


def test_a_text_that_memory_holds_at_four_times_its_size_is_refused() -> None:
    """One emoji makes every character take four bytes: written out or as an escape, in a key or a value."""
    long = b"a" * 7_000_000
    for text in (long + "\U0001f600".encode(), long + b"\\ud83d\\ude00"):
        for source in (b'{"a": "' + text + b'"}', b'{"' + text + b'": 1}'):
            with pytest.raises(MalformedError) as caught:
                parse_json(source)
            assert (caught.value.reason, caught.value.line) == ("too_much_text", 1)


@pytest.mark.parametrize(
    "text",
    [
        b"\xe4\xb8\xad" * 4_000_000,
        b"\\u4e2d" * 2_000_000,
        b"\\ud83d\\ude00" * 1_000_000,
        b"\xf0\x9f\x98\x80" * 3_000_000,
        b"a" * 11_000_000 + b"\xc3\xa9",
    ],
    ids=["Chinese", "Chinese, escaped", "emoji, escaped", "emoji", "Latin"],
)
def test_much_text_in_any_language_is_read(text: bytes) -> None:
    """What takes many bytes to send takes few in memory."""
    assert isinstance(parse_json(b'["' + text + b'"]')[0], list)
