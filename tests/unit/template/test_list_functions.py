"""Filters and tests that work on lists and objects: right values, wrong types, nothing to work on."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from tests.unit.template.functions_over import OUTPUTS, failure, value

ADA, BO, CY = OUTPUTS["users"]  # type: ignore[misc, str-unpack]  # a list of three


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("users|map('name')", ["Ada", "Bo", "Cy"]),
        ("users|map(attribute='name')", ["Ada", "Bo", "Cy"]),
        ("users|map('home.city', default='?')", ["London", "Oslo", "?"]),
        ("users|map('tags.0', default=none)", ["x", None, "x"]),
        ("[[1, 2], [3, 4]]|map('1')", [2, 4]),
        ("e|map('name')", []),
        ("['a', 'b']|map(filter='upper')", ["A", "B"]),
        ("users|map('tags')|map(filter='length')", [2, 0, 1]),
        ("e|map(filter='upper')", []),
        ("n|select", [3, 1, 2, 1]),
        ("[0, 1, '', 'a', none, [], [0]]|select", [1, "a", [0]]),
        ("[0, 1, '', 'a']|reject", [0, ""]),
        ("n|select('gt', 1)", [3, 2]),
        ("n|reject('gt', 1)", [1, 1]),
        ("n|select('odd')|reject('eq', 1)", [3]),
        ("n|select('in', [2, 3])", [3, 2]),
        ("n|select('divisibleby', 2)", [2]),
        ("['ab', 'b', 'cab']|select('contains', 'a')", ["ab", "cab"]),
        ("['ab', 'b', 'cab']|select('matching', '^.?b')", ["ab", "b"]),
        ("['ab', 'b']|reject('startswith', 'a')", ["b"]),
        ("[1, none, 'a']|reject('none')", [1, "a"]),
        ("[users[0].name, users[0].zz]|select('defined')", ["Ada"]),
        ("e|select('odd')", []),
        ("e|reject", []),
        ("users|selectattr('age', 'ge', 36)|map('name')", ["Ada", "Cy"]),
        ("users|rejectattr('age', 'ge', 36)|map('name')", ["Bo"]),
        ("users|selectattr('tags')|map('name')", ["Ada", "Cy"]),
        ("users|rejectattr('tags')|map('name')", ["Bo"]),
        ("users|selectattr('home.city', 'defined')|map('name')", ["Ada", "Bo"]),
        ("users|rejectattr('home.city', 'defined')|map('name')", ["Cy"]),
        ("users|selectattr('tags', 'contains', 'y')|map('name')", ["Ada"]),
        ("e|selectattr('age', 'ge', 36)", []),
        ("e|rejectattr('age')", []),
        ("users|groupby('age')", [{"key": 36, "items": [ADA, CY]}, {"key": 20, "items": [BO]}]),
        ("users|groupby('home.city', default=none)|map('key')", ["London", "Oslo", None]),
        (
            "[{'k': 1}, {'k': 1.0}, {'k': '1'}, {'k': true}, {'k': 1}]|groupby('k')|map('key')",
            [1, 1.0, "1", True],
        ),
        ("e|groupby('age')", []),
        ("users|sort(attribute='age')|map('name')", ["Bo", "Ada", "Cy"]),
        ("users|sort(attribute='age', reverse=true)|map('name')", ["Ada", "Cy", "Bo"]),
        ("users|sort(true, 'name')|map('name')", ["Cy", "Bo", "Ada"]),
        ("e|sort(attribute='age')", []),
        ("users|unique(attribute='age')|map('name')", ["Ada", "Bo"]),
        ("users|unique(attribute='home')|length", 3),
        ("e|unique(attribute='age')", []),
        ("users|sum(attribute='age')", 92),
        ("e|sum(attribute='age')", 0),
        ("n|zip(['a', 'b', 'c', 'd'])", [[3, "a"], [1, "b"], [2, "c"], [1, "d"]]),
        ("[1]|zip([2], [3])", [[1, 2, 3]]),
        ("e|zip(e)", []),
        ("[1, 2]|product(['a', 'b'])", [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]),
        ("[1]|product([2, 3], [4])", [[1, 2, 4], [1, 3, 4]]),
        ("[1]|product(e)", []),
        ("n|batch(3)", [[3, 1, 2], [1]]),
        ("n|batch(9)", [[3, 1, 2, 1]]),
        ("e|batch(3)", []),
        ("[[1, [2]], 3, [], 'ab']|flatten", [1, [2], 3, "ab"]),
        ("e|flatten", []),
        ("range(3)", [0, 1, 2]),
        ("range(2, 5)", [2, 3, 4]),
        ("range(-1, 1)", [-1, 0]),
        ("range(5, 2)", []),
        ("range(0)", []),
        ("range(10000)|length", 10_000),
        ("o|pick('b', 'zz')", {"b": 1}),
        ("eo|pick('b')", {}),
        ("o|omit('a', 'zz')", {"b": 1}),
        ("eo|omit('b')", {}),
        ("o|merge({'a': {'x': 2, 'y': [2]}, 'c': none})", {"b": 1, "a": {"x": 2, "y": [2]}, "c": None}),
        ("o|merge({'a': 1})", {"b": 1, "a": 1}),
        ("o|merge(eo) == o and eo|merge(o) == o", True),
        ("{'b': 1, 'c': 2}|entries", [{"key": "b", "value": 1}, {"key": "c", "value": 2}]),
        ("eo|entries", []),
        ("o|entries|from_items == o and o|items|from_items == o", True),
        ("[['a', 1], {'key': 'b', 'value': 2}, ['a', 3]]|from_items", {"a": 3, "b": 2}),
        ("e|from_items", {}),
        ("coalesce(o.zz, none, o.zz.deeper, o.b, 9)", 1),
        ("coalesce(gone.result.x, none)", None),
        ("coalesce(false, 1)", False),
        ("coalesce('', 1)", ""),
        ("o.zz|default(o.yy)|default(gone.x)|default(4)", 4),
        ("coalesce(o.zz|default(o.yy), 5)", 5),
        ("gone is defined", False),
        ("1 is eq 1", True),
        ("1 is ne(1)", False),
        ("1 is lt 2", True),
        ("2 is le 2", True),
        ("'b' is gt 'a'", True),
        ("[1, 2] is ge([1])", True),
        ("n is contains 3", True),
        ("o is contains 'b'", True),
        ("t is contains 'three'", True),
        ("t is startswith 'one'", True),
        ("t is endswith '4'", True),
        ("t is not matching '^[0-9]'", True),
        ("t is matching '[0-9]'", True),
        ("'' is matching '^$'", True),
        ("true is true and false is false and none is none", True),
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
        ("o|map('a')", "'map' works on a list, not on an object"),
        ("users|map(n[0])", "'map' takes the name of a field as text, as in 'a.b', not an integer"),
        ("t|select('odd')", "'select' works on a list, not on text"),
        ("5|reject", "'reject' works on a list, not on an integer"),
        ("none|selectattr('a')", "'selectattr' works on a list, not on null"),
        ("o|rejectattr('a')", "'rejectattr' works on a list, not on an object"),
        ("['a']|select('odd')", "'is odd' works on an integer, not on text"),
        (
            "['a']|select('lt', 1)",
            "'is lt' compares two numbers, two texts or two lists of such, not text and an integer",
        ),
        (
            "[1]|select('startswith', 'a')",
            "'is startswith' looks for text in text, not for text in an integer",
        ),
        ("['a']|select('endswith', 1)", "'is endswith' looks for text in text, not for an integer in text"),
        ("[1]|select('contains', 1)", "'in' looks in text, a list or an object, not in an integer"),
        ("[1]|select('matching', 'a')", "'is matching' looks in text, not in an integer"),
        ("'a' is matching n", "'is matching' takes a regular expression as text, not a list"),
        ("o|groupby('a')", "'groupby' works on a list, not on an object"),
        (
            "users|sort(attribute='tags')",
            "'sort' works on a list of numbers or a list of texts; it holds a list",
        ),
        (
            "[1, 'a']|sort",
            "'sort' works on a list of numbers or a list of texts; it holds an integer and text",
        ),
        ("users|sum(attribute='name')", "'sum' works on a list of numbers; it holds text"),
        ("n|zip([1, 2])", "'zip' takes lists of one length; these have 4, 2 items"),
        ("n|zip(o)", "'zip' works on a list, not on an object"),
        ("n|product('ab')", "'product' works on a list, not on text"),
        ("o|batch(2)", "'batch' works on a list, not on an object"),
        ("n|batch(t)", "'batch' takes a whole number of items from 1 on, not text"),
        ("n|batch(0)", "'batch' takes a whole number of items from 1 on, not 0"),
        ("t|flatten", "'flatten' works on a list, not on text"),
        ("range(t)", "'range' takes whole numbers, not text"),
        ("range(1, 2.5)", "'range' takes whole numbers, not an integer and a number"),
        ("range(true)", "'range' takes whole numbers, not a boolean"),
        ("range(10001)", "'range' gives at most 10000 numbers, not 10001"),
        ("n|pick('a')", "'pick' works on an object, not on a list"),
        ("o|pick(n)", "'pick' takes names of fields as text, not a list"),
        ("n|omit('a')", "'omit' works on an object, not on a list"),
        ("o|omit('a', 1)", "'omit' takes names of fields as text, not an integer"),
        ("n|merge(o)", "'merge' works on an object, not on a list"),
        ("o|merge(n)", "'merge' takes an object to merge, not a list"),
        ("n|entries", "'entries' works on an object, not on a list"),
        ("o|from_items", "'from_items' works on a list, not on an object"),
        ("[[1, 2]]|from_items", "'from_items': the name in item 0 is an integer, not text"),
        (
            "[['a', 1], 'b']|from_items",
            "'from_items' takes a list of [name, value] or {key, value}; item 1 is text of another form",
        ),
    ],
)
def test_a_wrong_type_is_named_with_the_function(expression: str, message: str) -> None:
    """Which function, what it works on, and what it got."""
    error = failure(expression)
    assert (error.code, error.message) == ("template_failed", message)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("users|map('nmae')", "item 0 of 'map' has no field 'nmae'; its fields are: name, age, tags, home"),
        ("users|map('home.city')", "item 2 of 'map'.home has no field 'city'; it is empty"),
        (
            "['a']|map('upper')",
            "item 0 of 'map' is text of length 1: it has no 'upper'; "
            "a filter is named so: map(filter='upper')",
        ),
        (
            "users|sort(attribute='zz')",
            "item 0 of 'sort' has no field 'zz'; its fields are: name, age, tags, home",
        ),
        ("users|groupby('home.city')", "item 2 of 'groupby'.home has no field 'city'; it is empty"),
        (
            "users|selectattr('home.city', 'eq', 'x')",
            "item 2 of 'selectattr'.home has no field 'city'; it is empty",
        ),
        ("users|rejectattr('home.city')", "item 2 of 'rejectattr'.home has no field 'city'; it is empty"),
        ("[[1]]|map('1')", "item 0 of 'map' is a list of length 1: it has no '1'"),
        ("[o.zz]|map('a')", "o has no field 'zz'; its fields are: b, a"),
        ("[o.zz]|map(filter='upper')", "o has no field 'zz'; its fields are: b, a"),
        ("[o.zz]|select", "o has no field 'zz'; its fields are: b, a"),
        ("o.zz|default(o.yy)", "o has no field 'yy'; its fields are: b, a"),
        ("coalesce(o.zz|upper, 1)", "o has no field 'zz'; its fields are: b, a"),
        ("range(o.zz)", "o has no field 'zz'; its fields are: b, a"),
        ("n|zip(o.zz)", "o has no field 'zz'; its fields are: b, a"),
    ],
)
def test_a_missing_field_is_named_with_the_item(expression: str, message: str) -> None:
    """The first item that does not have it, and what it has."""
    error = failure(expression)
    assert (error.code, error.message) == ("template_undefined", message)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("n|map", "either a field, map('a.b'), or map(filter='upper')"),
        ("n|map('a', filter='upper')", "either a field"),
        ("n|map(filter='uper')", "the name of a filter, written out; there are: abs"),
        ("n|map(filter=t)", "the name of a filter, written out"),
        ("n|map(filter='replace')", "gives a filter nothing but the item, and 'replace' needs more"),
        ("n|map(filter='upper', default=1)", "a default for a field only"),
        ("n|map('a', 1)", "the filter 'map'"),
        ("n|map('a..b')", "without an empty name"),
        ("n|map('')", "not empty text"),
        ("n|map('a.__class__')", "fields that start with '__'"),
        ("n|select('od')", "'select' takes the name of a test, written out; there are: boolean"),
        ("n|select(t)", "'select' takes the name of a test, written out"),
        ("n|select('eq')", "'select' with the test 'eq': missing a required argument"),
        ("n|select('odd', 1)", "'select' with the test 'odd': too many positional arguments"),
        ("n|select('matching', '(')", "no regular expression of RE2: missing )"),
        ("n|selectattr", "the filter 'selectattr': missing a required argument"),
        ("n|zip", "the filter 'zip': missing a required argument"),
        ("n|product", "the filter 'product': missing a required argument"),
        ("o|pick", "the filter 'pick': missing a required argument"),
        ("o|merge", "the filter 'merge': missing a required argument"),
        ("coalesce()", "the function 'coalesce': missing a required argument"),
        ("range(1, 2, 3)", "the function 'range': too many positional arguments"),
        ("range(*n)", "the function 'range' takes its arguments one by one, without '*'"),
        ("rnage(3)", "'rnage' cannot be called; there are: coalesce(), now(), range(), today(), uuid()"),
        ("n.append(1)", "All else is a filter"),
    ],
)
def test_what_is_written_wrong_is_found_before_it_runs(expression: str, words: str) -> None:
    """What is named in the template itself is checked when the template is read."""
    error = failure(expression)
    assert error.code == "template_forbidden"
    assert words in error.message
