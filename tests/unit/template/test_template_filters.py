"""The filters and tests: what each gives, and that they refuse what they cannot do."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, render

OUTPUTS: dict[str, JsonValue] = {
    "n": [3, 1, 2, 1],
    "t": "Straße und Weg",
    "o": {"b": 1, "a": [1]},
    "e": [],
    "d": [{"a": 1}, {"a": 1}, {"a": 2}],
}


def value(expression: str) -> JsonValue:
    """The value of one expression."""
    found = Scope(outputs=OUTPUTS, primaries={}, secrets=str)
    return render(f"{{{{ {expression} }}}}", found, max_chars=1000)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("t|upper", "STRASSE UND WEG"),
        ("t|lower", "straße und weg"),
        ("'a b'|title", "A B"),
        ("'abc'|capitalize", "Abc"),
        ("' a '|trim", "a"),
        ("5|string", "5"),
        ("'5'|string", "5"),
        ("o|tojson", '{"b":1,"a":[1]}'),
        ("'a'|tojson", '"a"'),
        ("'a b/ü'|urlencode", "a%20b%2F%C3%BC"),
        ("'aXbX'|replace('X', '--')", "a--b--"),
        ("'abcdef'|truncate(5)", "ab..."),
        ("'abc'|truncate(5)", "abc"),
        ("'abcdef'|truncate(3, '')", "abc"),
        ("n|join(', ')", "3, 1, 2, 1"),
        ("n|join", "3121"),
        ("'a,b'|split(',')", ["a", "b"]),
        ("' a  b '|split", ["a", "b"]),
        ("n|length", 4),
        ("o|count", 2),
        ("n|reverse", [1, 2, 1, 3]),
        ("'abc'|reverse", "cba"),
        ("n|first", 3),
        ("n|last", 1),
        ("o|list", ["b", "a"]),
        ("o|keys", ["b", "a"]),
        ("o|values", [1, [1]]),
        ("o|items", [["b", 1], ["a", [1]]]),
        ("n|sort", [1, 1, 2, 3]),
        ("n|sort(reverse=true)", [3, 2, 1, 1]),
        ("n|unique", [3, 1, 2]),
        ("d|unique", [{"a": 1}, {"a": 2}]),
        ("[1, 1.0, true, 1, '1', 1.0, true, '1', none, none]|unique", [1, 1.0, True, "1", None]),
        ("['b', 'a', 'b', '']|unique", ["b", "a", ""]),
        ("[true, false, true]|unique", [True, False]),
        ("[[1], [1.0], [1]]|unique", [[1], [1.0]]),
        ("[1, 'a', none, [1, 'b'], {'c': 'd'}, true]|join('|')", '1|a|null|[1,"b"]|{"c":"d"}|true'),
        ("[]|join('|')", ""),
        ("n|min", 1),
        ("n|max", 3),
        ("n|sum", 7),
        ("e|sum", 0),
        ("(-2)|abs", 2),
        ("2.567|round(1)", 2.6),
        ("2.4|round", 2.0),
        ("'42'|int", 42),
        ("'x'|int(0)", 0),
        ("4.9|int", 4),
        ("'4.5'|float", 4.5),
        ("o.zz|default('d')", "d"),
        ("'there'|default(o.zz)", "there"),
        ("o.zz|default(o.zz)|default('d')", "d"),
        ("o.zz.deeper|d(1)", 1),
        ("''|default('d')", ""),
        ("''|default('d', true)", "d"),
        ("n|sort|first", 1),
        ("o.zz is defined", False),
        ("o.zz is undefined", True),
        ("o.b is defined", True),
        ("none is none", True),
        ("o is mapping", True),
        ("n is sequence", True),
        ("t is string", True),
        ("1 is number", True),
        ("true is number", False),
        ("true is boolean", True),
        ("3 is odd", True),
        ("4 is even", True),
        ("6 is divisibleby 3", True),
        ("3 is in n", True),
        ("'x' not in t", True),
        ("'b' in o", True),
        ("{'a': 1} in [{'a': 1}]", True),
        ("{'a': [1]} == {'a': [1]}", True),
        ("{'a': [1]} != {'a': [2]}", True),
        ("[1] == [1, 2]", False),
        ("true == 1", True),
        ("none != 0", True),
        ("[1, 2] < [1, 3]", True),
        ("1 < 2 < 3", True),
        ("1 < 3 <= 2", False),
        ("'b' >= 'a' > 'c'", False),
        ("(1 == 1) in [true]", True),
        ("[1] + [2]", [1, 2]),
        ("'a' + 'b'", "ab"),
        ("7 // 2", 3),
        ("7 % 4", 3),
    ],
)
def test_each_gives_what_it_says(expression: str, expected: JsonValue) -> None:
    """One case each, value and type."""
    result = value(expression)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "5|length",
        "5|first",
        "e|first",
        "e|max",
        "o|sum",
        "[1, 'a']|sort",
        "['a']|sum",
        "t|keys",
        "t|abs",
        "t|round",
        "1|round(99)",
        "1|round(-9999999)",
        "'abc'|truncate(-1)",
        "'abc'|split('')",
        "'nan'|float",
        "'1e999'|float",
        "'x'|int",
        "[18446744073709551615, 1]|sum",
        "'%d' is odd",
        "'%9999999999d' is divisibleby 2",
        "4 is divisibleby 0",
        "1 < 'a'",
        "o < o",
        "1 in t",
        "n in o",
        "-t",
        "t * 3",
        "n * 3",
        "'%s' % t",
        "t[::0]",
        "o[1:]",
        "t['a':]",
    ],
)
def test_each_refuses_what_it_cannot_do(expression: str) -> None:
    """A wrong type or argument is an error of the template's, with a message."""
    with pytest.raises(TemplateError) as caught:
        value(expression)
    assert caught.value.code == "template_failed"
    assert caught.value.message
