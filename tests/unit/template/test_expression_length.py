"""How long the longest `{{ ... }}` of a text is."""

from __future__ import annotations

import pytest

from flowengine.template import TemplateError
from flowengine.template.expression_length import exceeding
from flowengine.template.expressions import compile_expressions


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", None),
        ("x" * 100, None),
        ("{{ a }}" + "x" * 100, None),
        ("{{ a }}{{ b }}{{ c }}{{ d }}", None),
        ("x {{ aaaaaaaaaaaaa }} x", None),
        ("x {{ aaaaaaaaaaaaaaa }} x", 21),
        ("{{ a }} {{ aaaaaaaaaaaaaaaaa }} {{ b }}", 23),
        ("{{ {'a': {'b': 1}}, 2 }}", 24),
        ("{{ {'a': {}} }} and }} text", None),
        ("{{ '}}' ~ \"}}\" ~ aaa }}", 23),
        ("{{ 'it\\'s }} here' }} x", 21),
        ("{# {{ aaaaaaaaaaaaaaaaaaaaaa }} #}{{ a }}", None),
        ("{% raw %}{{ aaaaaaaaaaaaaaaaaaaaaa }}{%- endraw %}{{ a }}", None),
        ("{%- raw -%}{{ aaaaaaaaaaaaaaaaaaaaaa }}{% endraw %}{{ aaaaaaaaaaaaaaaaa }}", 23),
        ("{{- aaaaaaaaaaaaaaa -}}", 23),
        ("{{ aaaaaaaaaaaaaaaaaaaaaa", 25),
        ("{{ 'aaaaaaaaaaaaaaaaaaaaaa }}", 29),
        ("{# aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", None),
        ("{% raw %} {{ aaaaaaaaaaaaaaaaaaaaaaa }}", None),
    ],
)
def test_the_first_expression_that_is_too_long_is_measured(text: str, length: int | None) -> None:
    """Its marks count, text around it does not; quotes, objects, comments and raw parts are understood."""
    assert exceeding(text, 20) == length


@pytest.mark.parametrize(
    "braces", ["{{ {'a': {'b': {}}} }}", "{{ '{{ }}' }}", "{{ ['}}'][0] }}{{ {} }}", "{{ {}}}"]
)
def test_ends_are_where_the_parser_finds_them(braces: str) -> None:
    """A text that is measured as short, and parses, leaves nothing of its expressions outside."""
    try:
        compile_expressions(braces)
    except TemplateError:
        pytest.fail("the text is no template")
    assert exceeding(braces, len(braces)) is None
    assert exceeding("x" + braces + "y" * 50, len(braces)) is None
