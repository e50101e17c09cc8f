"""What templates give: types, texts, fields, primary values, and errors that say what is there."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, TemplateTooLargeError, primary_value, render

USER: JsonValue = {"id": 7, "name": "Ada", "items": [1, 2, 3], "keys": "k", "_id": "x", "none": None}
OUTPUTS: dict[str, JsonValue] = {
    "fetch": {"status_code": 200, "headers": {"x-a": "1"}, "data": USER},
    "text": {"result": "42"},
    "my-node": {"result": {"a": [True, None, "é"]}},
    "plain": 5,
}


def scope() -> Scope:
    """The outputs above and one secret."""
    secrets = {"TOKEN": "s3cret"}
    return Scope(
        outputs=OUTPUTS,
        primaries={"fetch": "data", "text": "result", "my-node": None},
        secrets=lambda name: secrets[name],
    )


def rendered(template: JsonValue, max_chars: int = 10_000) -> JsonValue:
    """The template's value."""
    return render(template, scope(), max_chars=max_chars)


def failure(template: JsonValue) -> TemplateError:
    """The error that the template ends in."""
    with pytest.raises(TemplateError) as caught:
        rendered(template)
    return caught.value


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ fetch.result }}", USER),
        ("{{ fetch.data }}", USER),
        ('{{ fetch["data"]["id"] }}', 7),
        ("{{fetch.data.items}}", [1, 2, 3]),
        ("{{ text.result }}", "42"),
        ("{{ plain.result }}", 5),
        ("{{ plain }}", 5),
        ("{{ fetch.data.none }}", None),
        ("{{ fetch.data.items[1] }}", 2),
        ("{{ fetch.data.items[-1] }}", 3),
        ("{{ fetch.data.items[1:] }}", [2, 3]),
        ("{{ fetch.data.items.0 }}", 1),
        ('{{ nodes["my-node"].result.a }}', [True, None, "é"]),
        ("{{ nodes.fetch.result.id }}", 7),
        ('{{ nodes["fetch"]["result"]["id"] }}', 7),
        ("{{ fetch.data.id + 1 }}", 8),
        ("{{ fetch.data.id / 2 }}", 3.5),
        ("{{ -fetch.data.id }}", -7),
        ("{{ fetch.data.id > 3 and fetch.status_code == 200 }}", True),
        ("{{ 'yes' if fetch.status_code in [200, 201] else 'no' }}", "yes"),
        ("{{ [fetch.data.id, 'a'] }}", [7, "a"]),
        ("{{ {'id': fetch.data.id} }}", {"id": 7}),
        ("{{ secrets.TOKEN }}", "s3cret"),
        ('{{ secrets["TOKEN"] }}', "s3cret"),
        ("{{- plain -}}", 5),
        ("{# a comment #}{{ plain }}", 5),
    ],
)
def test_a_sole_expression_keeps_its_type(template: str, expected: JsonValue) -> None:
    """A string that is one whole expression gives the value itself."""
    result = rendered(template)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("id {{ fetch.data.id }}", "id 7"),
        ("{{ text.result }}{{ plain }}", "425"),
        (" {{ plain }}", " 5"),
        ("{{ plain }}\n", "5\n"),
        ('x{{ nodes["my-node"].result }}', 'x{"a":[true,null,"é"]}'),
        ("{{ true }} {{ none }} {{ 1.5 }}", "true null 1.5"),
        ("{{ fetch.data.name ~ 1 ~ fetch.data.items }}!", "Ada1[1,2,3]!"),
        ("{% raw %}{{ as written }}{% endraw %}", "{{ as written }}"),
        ('{{ "{{" }} stays', "{{ stays"),
        ("a } b {{ plain }} { c", "a } b 5 { c"),
        ("{{ plain }}}", "5}"),
    ],
)
def test_any_other_string_renders_to_text(template: str, expected: str) -> None:
    """Text stays; values inside it appear as text, lists and objects and null as JSON."""
    assert rendered(template) == expected


def test_strings_without_marks_are_left_alone() -> None:
    """Lone braces, percent signs and everything that is no string pass through."""
    config: JsonValue = {"a": "{ } %} }}", "b": [1, None, True, 2.5], "{{ key }}": "keys are no templates"}
    assert rendered(config) == config


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "pop", "count", "format", "upper"])
def test_names_of_methods_mean_fields(name: str) -> None:
    """`x.items` is a field named items, or missing; never a method of a Python object."""
    only = Scope(outputs={"x": {name: "field"}, "y": {}}, primaries={}, secrets=str)
    assert render(f"{{{{ x.{name} }}}}", only, max_chars=100) == "field"
    with pytest.raises(TemplateError, match=f"no field '{name}'"):
        render(f"{{{{ y.{name} }}}}", only, max_chars=100)


@pytest.mark.parametrize(
    ("output", "primary", "expected"),
    [
        ({"result": 1, "data": 2}, "data", 1),
        ({"data": 2}, "data", 2),
        ({"content": "x"}, "data", {"content": "x"}),
        ({"a": 1}, None, {"a": 1}),
        ([1], "data", [1]),
    ],
)
def test_the_primary_value_is_result_then_the_primary_field_then_all(
    output: JsonValue, primary: str | None, expected: JsonValue
) -> None:
    """An output's own `result` wins, then the handler's field, then the output itself."""
    assert primary_value(output, primary) == expected


def test_rendered_data_is_never_rendered_again() -> None:
    """A template that arrives as data stays text."""
    evil = Scope(outputs={"x": {"result": "{{ secrets.TOKEN }}"}}, primaries={}, secrets=lambda _: "s3cret")
    assert render("{{ x.result }}", evil, max_chars=100) == "{{ secrets.TOKEN }}"
    assert render("-> {{ x.result }}", evil, max_chars=100) == "-> {{ secrets.TOKEN }}"


def test_a_missing_field_names_the_fields_that_exist() -> None:
    """The error says where, which field, of what, and what is there instead."""
    error = failure({"prompt": ["{{ fetch.data.nmae }}"]})
    assert error.code == "template_undefined"
    assert error.pointer == "/config/prompt/0"
    assert str(error) == (
        "/config/prompt/0: fetch.data has no field 'nmae'; its fields are: id, name, items, keys, _id, none"
    )


@pytest.mark.parametrize(
    ("template", "code", "words"),
    [
        ("{{ gone.result }}", "template_undefined", "node 'gone'"),
        ("{{ fetch.data.items[9] }}", "template_undefined", "length 3"),
        ("{{ plain.x }}", "template_undefined", "plain is an integer"),
        ("{{ [fetch.data.zz] }}", "template_undefined", "'zz'"),
        ("{{ fetch.data.zz.deeper }}", "template_undefined", "no field 'zz'"),
        ("{{ fetch.data.zz|upper }}", "template_undefined", "'zz'"),
        ("{{ fetch.data.zz == 1 }}", "template_undefined", "'zz'"),
        ("a{{ fetch.data.zz }}", "template_undefined", "'zz'"),
        ("{{ 1 / 0 }}", "template_failed", "division by zero"),
        ("{{ 1 % 0 }}", "template_failed", "division by zero"),
        ("{{ plain + 'a' }}", "template_failed", "an integer and text"),
        ("{{ plain < 'a' }}", "template_failed", "not supported"),
        ("{{ 1 in plain }}", "template_failed", "'in' looks in text, a list or an object"),
        ("{{ 9000000000000000000 * 9 }}", "template_failed", "64 bits"),
        ("{{ 1e308 * 10 }}", "template_failed", "finite"),
        ("{{ text.result|int + 'x'|int }}", "template_failed", "as a number"),
        ("{{ secrets.OTHER }}", "secret_missing", "FLOWENGINE_SECRET_OTHER"),
    ],
)
def test_what_fails_says_why(template: str, code: str, words: str) -> None:
    """Every failure is a TemplateError with its code, its place and a reason."""
    error = failure({"a/b": template})
    assert error.code == code
    assert error.pointer == "/config/a~1b"
    assert words in error.message


def test_errors_never_quote_a_secret() -> None:
    """Whatever fails on a secret's value tells its type, not the value."""
    for template in (
        "{{ secrets.TOKEN ~ 1 // 0 }}",
        "{{ secrets.TOKEN|default }}{{ plain.zz }}",
        "{{ secrets.TOKEN + 1 }}",
        "{{ secrets.TOKEN|int }}",
        "{{ fetch[secrets.TOKEN] }}",
        "{{ secrets.TOKEN.field }}",
        "{{ secrets.TOKEN|round }}",
        "{{ 'a'|round(secrets.TOKEN) }}",
    ):
        assert "s3cret" not in str(failure(template))


def test_text_over_the_limit_is_refused() -> None:
    """The text of a whole config is bounded, over all of its strings together."""
    assert rendered({"a": "x{{ text.result }}"}, max_chars=3) == {"a": "x42"}
    with pytest.raises(TemplateTooLargeError, match="limit of 5 characters"):
        rendered({"a": "x{{ text.result }}", "b": "x{{ text.result }}"}, max_chars=5)


def test_values_passed_on_whole_are_bounded_too() -> None:
    """A sole expression may pass on more than text may have, but not without end."""
    big = Scope(outputs={"x": {"result": ["a" * 100] * 10}}, primaries={}, secrets=str)
    assert render("{{ x.result }}", big, max_chars=100) == ["a" * 100] * 10
    with pytest.raises(TemplateTooLargeError):
        render(["{{ x.result }}"] * 2, big, max_chars=100)


def test_secrets_are_asked_for_only_when_named() -> None:
    """The look-up is called with the names that templates use, and no others."""
    asked: list[str] = []

    def look_up(name: str) -> str:
        asked.append(name)
        return "v"

    wanted = Scope(outputs={"x": 1}, primaries={}, secrets=look_up)
    render({"a": "{{ x }}", "b": "Bearer {{ secrets.A }}"}, wanted, max_chars=100)
    assert asked == ["A"]
