"""Functions on times, texts, encodings and queries: right values, wrong types, nothing to work on."""

from __future__ import annotations

import re

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, render
from tests.unit.template.functions_over import failure, value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("now()", "2026-03-01T09:02:03.004Z"),
        ("today()", "2026-03-01"),
        ("today('Pacific/Kiritimati')", "2026-03-01"),
        ("today(timezone='Pacific/Honolulu')", "2026-02-28"),
        ("now()|date_add(days=1, hours=-9, minutes=1, seconds=0.5)", "2026-03-02T00:03:03.504Z"),
        ("'2026-01-31'|date_add(months=1)", "2026-02-28"),
        ("'2024-02-29'|date_add(months=-12, days=1)", "2023-03-01"),
        ("'2026-01-31'|date_add(hours=1)", "2026-01-31T01:00:00.000Z"),
        ("'2026-12-31T23:30:00+02:00'|date_add(months=2)", "2027-02-28T21:30:00.000Z"),
        ("'2026-03-01 08:00'|date_add", "2026-03-01T08:00:00.000Z"),
        ("'2026-03-01t08:00:00.123456789z'|date_add", "2026-03-01T08:00:00.123Z"),
        ("0|date_add(days=1)", "1970-01-02T00:00:00.000Z"),
        ("now()|date_format", "2026-03-01"),
        ("now()|date_format('%Y%m%dT%H%M%S.%f %%')", "20260301T090203.004000 %"),
        (
            "now()|date_format('%A %a %B %b %-d %-I%p %y %j %u %w %G-W%V')",
            "Sunday Sun March Mar 1 9AM 26 060 7 0 2026-W09",
        ),
        ("now()|date_format('%F %T %z %Z', timezone='America/New_York')", "2026-03-01 04:02:03 -0500 EST"),
        ("now()|date_format('%s')", "1772355723"),
        ("'2026-07-01'|date_format('%d', 'America/New_York')", "01"),
        ("1772355723.5|date_format('%S')", "03"),
        ("now()|date_format('')", ""),
        ("now()|date_diff('2026-03-01T09:02:00Z')", 3.004),
        ("'2026-03-01'|date_diff('2026-03-02')", -86400),
        ("'2026-03-01T01:00:00+01:00'|date_diff('2026-03-01')", 0),
        ("'1970-01-01T00:00:01Z'|to_timestamp", 1),
        ("now()|to_timestamp", 1772355723.004),
        ("'0001-01-01'|to_timestamp", -62135596800),
        ("t|regex_search('[0-9]+')", "22"),
        ("t|regex_search('x')", None),
        ("''|regex_search('a')", None),
        ("'Straße 5'|regex_search('(?i)STRASSE|straße')", "Straße"),
        ("t|regex_findall('[0-9]+')", ["22", "4"]),
        ("t|regex_findall('([a-z]+) [0-9]')", ["one", "three"]),
        ("t|regex_findall('([a-z]+) ([0-9])')", [["one", "2"], ["three", "4"]]),
        ("'ab'|regex_findall('(x)?b')", [""]),
        ("''|regex_findall('a')", []),
        ("'äö'|regex_findall('')", ["", "", ""]),
        ("t|regex_replace('[0-9]', '#')", "one ## three #"),
        (
            "t|regex_replace('(?P<word>[a-z]+) ([0-9]+)', '\\\\2-\\\\g<word>\\\\\\\\ü')",
            "22-one\\ü 4-three\\ü",
        ),
        ("'ab'|regex_replace('(x)?b', '[\\\\1]')", "a[]"),
        ("'äb'|regex_replace('', '-')", "-ä-b-"),
        ("t|regex_replace('x', 'y')", "one 22 three 4"),
        ("''|regex_replace('a', 'b')", ""),
        ("'a b/ü'|b64encode", "YSBiL8O8"),
        ("o|b64encode|b64decode", '{"b":1,"a":{"x":1,"y":[1]}}'),
        ("''|b64encode", ""),
        ("'YSBiL8O8'|b64decode", "a b/ü"),
        ("'w7_DvsO-'|b64decode", "ÿþþ"),
        ("'YQ'|b64decode ~ 'YQ=='|b64decode ~ ' Y\nQ'|b64decode", "aaa"),
        ("''|b64decode", ""),
        ("'abc'|sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("''|sha256|length", 64),
        (
            "'what do ya want for nothing?'|hmac_sha256('Jefe')",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        ("'[1, {\"a\": null}]'|fromjson", [1, {"a": None}]),
        ("'x'|fromjson(none)", None),
        ("''|fromjson(default=[])", []),
        ("'1'|fromjson(2)", 1),
        ("users|jmespath('[?age > `30`].name')", ["Ada", "Cy"]),
        ("users|jmespath('sort_by(@, &age)[0].home.city')", "Oslo"),
        ("users|jmespath('[].tags[] | [0]')", "x"),
        ("o|jmespath('{n: b, s: to_string(a)}')", {"n": 1, "s": '{"x":1,"y":[1]}'}),
        ("o|jmespath('zz.deeper')", None),
        ("e|jmespath('[0]')", None),
        ("e|jmespath('[*].a')", []),
        ("users|jmespath('length(@)')", 3),
        ("users|jmespath(\"join('-', [].name)\")", "Ada-Bo-Cy"),
        ("users|jmespath('contains([].name, `\"Bo\"`)')", True),
        ("'a,b'|split(',')", ["a", "b"]),
        ("o|values|length", 2),
    ],
)
def test_each_gives_what_it_says(expression: str, expected: JsonValue) -> None:
    """One case each, value and type."""
    result = value(expression)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        *(
            (
                f"{wrong}|{name}",
                f"'{name.split('(')[0]}' works on a time as in 2026-03-01T08:00:00Z, a date, "
                f"or seconds since 1970, not on {given}",
            )
            for name in ("date_add", "date_format", "date_diff('2026-01-01')", "to_timestamp")
            for wrong, given in (
                ("n", "a list"),
                ("'yesterday'", "this text"),
                ("true", "a boolean"),
                ("none", "null"),
            )
        ),
        ("'2026-02-30'|date_add", "'date_add': there is no such day or time"),
        ("'2026-01-01T25:00:00Z'|to_timestamp", "'to_timestamp': there is no such day or time"),
        ("'2026-01-01T00:00:00+99:99'|to_timestamp", "'to_timestamp': there is no such day or time"),
        ("1e300|to_timestamp", "'to_timestamp': there is no such day or time"),
        ("now()|date_add(days='1')", "'date_add' takes a number of days, not text"),
        ("now()|date_add(months=1.5)", "'date_add' takes a whole number of months, not a number"),
        ("now()|date_add(days=9000000)", "'date_add' leads beyond the years 1 to 9999"),
        ("'0001-01-01T00:00:00+01:00'|date_format", "'date_format' leads beyond the years 1 to 9999"),
        ("now()|date_format(n)", "'date_format' takes a format as text, not a list"),
        (
            "now()|date_format(t ~ '%')",
            "'date_format' knows these directives: %Y %y %m %d %H %I %p %M %S %f %F %T "
            "%j %a %A %b %B %u %w %V %G %s %z %Z %%",
        ),
        (
            "now()|date_format('%Y', t)",
            "'date_format' takes a time zone of the tz database, as in 'Europe/Berlin' "
            "or 'UTC', not another text",
        ),
        (
            "today(n)",
            "'today' takes a time zone of the tz database, as in 'Europe/Berlin' or 'UTC', not a list",
        ),
        (
            "now()|date_diff(e)",
            "'date_diff' works on a time as in 2026-03-01T08:00:00Z, a date, or seconds since "
            "1970, not on a list",
        ),
        ("n|regex_search('a')", "'regex_search' works on text, not on a list"),
        ("5|regex_findall('a')", "'regex_findall' works on text, not on an integer"),
        ("o|regex_replace('a', 'b')", "'regex_replace' works on text, not on an object"),
        ("t|regex_search(n)", "'regex_search' takes a regular expression as text, not a list"),
        ("t|regex_search('(' ~ t)", "'regex_search' takes a regular expression of RE2, this is none"),
        ("t|regex_replace('a', 5)", "'regex_replace' takes a replacement as text, not an integer"),
        (
            "t|regex_replace('a', '\\\\1')",
            "'regex_replace': the pattern has no such group as the replacement names",
        ),
        (
            "t|regex_replace('a', '\\\\g<x>')",
            "'regex_replace': the pattern has no such group as the replacement names",
        ),
        (
            "t|regex_replace('a', '\\\\n')",
            "'regex_replace': in the replacement \\1 and \\g<name> are groups, and \\\\ is a backslash",
        ),
        ("n|b64decode", "'b64decode' works on text, not on a list"),
        ("'_-8_'|b64decode", "'b64decode' works on base64 of UTF-8 text, this is none"),
        ("'!'|b64decode", "'b64decode' works on base64 of UTF-8 text, this is none"),
        ("'ü'|b64decode", "'b64decode' works on base64 of UTF-8 text, this is none"),
        ("t|hmac_sha256(n)", "'hmac_sha256' takes a key that is text, not a list"),
        ("n|fromjson", "'fromjson' works on text, not on a list"),
        ("n|fromjson(1)", "'fromjson' works on text, not on a list"),
        ("'{'|fromjson", "'fromjson' works on JSON, this text is none; fromjson(none) gives null for it"),
        ("users|jmespath(n)", "'jmespath' takes a query as text, not a list"),
        ("users|jmespath('a[' ~ t)", "'jmespath' takes a query of JMESPath, this is none"),
        ("users|jmespath('sum(@)')", "'jmespath': the function 'sum' takes array-number, not dict"),
        ("users|jmespath('sum(@, @)')", "'jmespath': the query fails (ArityError)"),
        ("users|jmespath('[::0]')", "'jmespath': the query fails (ValueError)"),
        ("'1e999'|jmespath('to_number(@)')", "the result is not a finite number"),
    ],
)
def test_a_wrong_type_is_named_with_the_function(expression: str, message: str) -> None:
    """Which function, what it works on, and what it got; never the value itself."""
    error = failure(expression)
    assert (error.code, error.message) == ("template_failed", message)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("t|regex_search('(')", "'regex_search': no regular expression of RE2: missing )"),
        ("t|regex_search('(?=a)')", "invalid perl operator: (?="),
        ("t|regex_findall('(a)\\\\1')", "invalid escape sequence: \\1"),
        ("t|regex_replace('[', '')", "missing ]"),
        (
            "t is matching '*'",
            "'is matching': no regular expression of RE2: no argument for repetition operator",
        ),
        ("t|regex_search('" + "\\bone" + "')", "in a template's text '\\b' is one character: write '\\\\'"),
        ("t|regex_replace('(o)', '" + "\\1" + "')", "in a template's text '\\1' is one character"),
        ("t|regex_search('[\\\\pL\\\\pN]{500}')", "pattern too large"),
        ("t|regex_search('" + "\\ud800" + "')", "half a character"),
        ("users|jmespath('[')", "'jmespath': no query of JMESPath: it ends too early"),
        ("users|jmespath('a b')", "no query of JMESPath: Unexpected token: b, at 2"),
        ("users|jmespath('#')", "Unknown token #, at 0"),
        ("users|jmespath('')", "it is empty"),
        ("users|jmespath('nope(@)')", "there is no function 'nope'"),
        ("users|jmespath('`1e999`')", "it holds a value that JSON cannot carry"),
        ("users|jmespath('" + "!" * 120 + "a')", "nested more than 100 deep"),
        ("now()|date_format('%Q')", "'date_format' knows these directives: %Y"),
        ("now()|date_format('%')", "'date_format' knows these directives: %Y"),
        ("now()|date_format('%Y', 'Europe/Berln')", "'date_format' takes a time zone"),
        ("today('../../etc/passwd')", "'today' takes a time zone"),
        ("today('Europe')", "'today' takes a time zone"),
        ("now(1)", "the function 'now': too many positional arguments"),
        ("now()|date_add(1)", "the filter 'date_add'"),
        ("now()|date_add(years=1)", "the filter 'date_add'"),
        ("now", None),
    ],
)
def test_what_is_written_wrong_is_found_before_it_runs(expression: str, words: str | None) -> None:
    """Patterns, queries, formats and zones are checked when the template is read; a name is no call."""
    error = failure(expression)
    assert error.code == ("template_undefined" if words is None else "template_forbidden")
    assert (words or "node 'now'") in error.message


def test_every_call_of_uuid_has_a_value_of_its_own_that_stays() -> None:
    """By seed, place in the config and place in the template; the same again for the same."""
    config: JsonValue = ["{{ uuid() }}", "{{ uuid() }}", "{{ uuid() ~ ' ' ~ uuid() }}"]

    def made(seed: str) -> list[str]:
        scope = Scope(outputs={}, primaries={}, secrets=str, moment=0, seed=seed)
        return " ".join(map(str, render(config, scope, max_chars=1000))).split()  # type: ignore[arg-type]  # a list

    first = made("a")
    assert len({*first, *made("b")}) == 8
    assert made("a") == first
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", each)
        for each in first
    )


@pytest.mark.parametrize("expression", ["now()", "today()", "uuid()"])
def test_what_belongs_to_no_call_has_no_time(expression: str) -> None:
    """Where the caller gives neither moment nor seed, the template fails and says so."""
    with pytest.raises(TemplateError, match="there is no call that they belong to"):
        render(f"{{{{ {expression} }}}}", Scope(outputs={}, primaries={}, secrets=str), max_chars=100)
