"""Arbitrary templates: an answer or a TemplateError; and the short way gives what Jinja2 gives."""

from __future__ import annotations

import jinja2
from hypothesis import example, given
from hypothesis import strategies as st

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, analyse, render
from flowengine.template.budget import Budget
from flowengine.template.compiling import Program, compiled
from flowengine.template.expressions import compile_expressions
from flowengine.template.reference import OF_NODES
from flowengine.template.rendering import primary_value

OUTPUTS: dict[str, JsonValue] = {
    "a": {"result": {"b": [1, "x"], "items": {}}, "data": None},
    "b": {"data": "text"},
    "true": 1,
    "a-b": {"result": 2.5},
}
PIECES = st.sampled_from(
    (
        *(
            "{{",
            "}}",
            "{{ ",
            " }}",
            "{",
            "}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{{-",
            "-}}",
            "\r\n",
            "\n",
            " ",
            "-",
            "'",
        ),
        *("a", "b", "true", "not", "nodes", "secrets", ".result", ".data", ".b", ".items", "._x", '["b"]'),
        *('nodes["a-b"]', 'nodes["a"]', "nodes.a", "secrets.S", "[0]", "[1:]", "|upper", "|default(1)", "~"),
        *(
            "now()",
            "uuid()",
            "coalesce(a.zz, b)",
            "range(2)",
            "|map('b', default=1)",
            "|select('odd')",
            "|flatten",
        ),
        *(
            "|regex_search('[a-z]')",
            "|jmespath('b[0]')",
            "|pick('b')",
            " is contains('x')",
            "|date_add(days=1)",
        ),
        *(" + 1", " if a else b", " is defined", "(", ")", ",", "text", "{{ a.result }}", "{{ b.data }}"),
    )
)
SOUP = st.lists(PIECES, max_size=8).map("".join)


def secret(name: str) -> str:
    """There is one secret, S."""
    if name != "S":
        raise LookupError(name)
    return "s3cret"


SCOPE = Scope(outputs=OUTPUTS, primaries={"b": "data"}, secrets=secret, moment=0, seed="e-1-a")


@given(SOUP | st.text(max_size=40))
def test_any_text_renders_or_says_why_not(text: str) -> None:
    """No other exception comes out; what is refused when analysed is refused when rendered."""
    try:
        analyse(text)
        accepted = True
    except TemplateError:
        accepted = False
    try:
        render(text, SCOPE, max_chars=10_000)
    except TemplateError as error:
        rendered = error.code not in {"template_syntax", "template_forbidden"}
    else:
        rendered = True
    assert rendered == accepted


def outcome(program: Program) -> object:
    """What a program gives: a value, a text, or the message of what is undefined."""
    values: list[object] = []
    for reference in program.references:
        if reference.kind not in OF_NODES:
            values.append({"secret": "s3cret", "moment": 0}.get(reference.kind, reference.name))
            continue
        output = OUTPUTS.get(reference.name)
        values.append(primary_value(output, "data") if reference.kind == "primary" else output)
    try:
        if program.value is not None:
            value = program.value(values, Budget(10_000))
            return str(value) if isinstance(value, jinja2.Undefined) else ("value", value)
        assert program.pieces is not None
        return "".join(program.pieces(values, Budget(10_000)))
    except jinja2.UndefinedError as error:
        return ("undefined", str(error))
    except (TemplateError, TypeError) as error:
        return ("failed", str(error))


@given(SOUP)
@example("{{{ a.result }}}")
@example("{{ a.result }}}}")
@example("{{{{ a.result }}")
@example("x {{ nodes.a.result.b }} y{{ secrets.S }}\n")
@example("{{ a.result.zz }}")
@example('{{ nodes["a-b"].result.zz }}')
@example("{{ true }}")
@example("a\r\nb {{ a.data }}")
def test_the_short_way_gives_what_jinja_gives(text: str) -> None:
    """Every text that is read without the compiler has the same references and the same outcome with it."""
    try:
        long_way = compile_expressions(text)
    except TemplateError:
        long_way = None
    try:
        short_way = compiled(text)
    except TemplateError:
        short_way = None
    assert (long_way is None) == (short_way is None)
    if long_way is not None and short_way is not None:
        assert set(long_way.references) == set(short_way.references)
        assert (long_way.value is None) == (short_way.value is None)
        assert outcome(long_way) == outcome(short_way)
