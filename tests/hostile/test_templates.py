"""Templates that try to get out, to fill the memory, or to run for ever: each refused, cheaply."""

from __future__ import annotations

from contextlib import suppress

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, analyse, render
from flowengine.template.compiling import compiled
from flowengine.template.functions.all_filters import FILTERS
from tests.hostile.measured import bounded

MEGABYTE = 1024 * 1024
BIG_LIST: JsonValue = ["ab"] * 150_000
BIG_OBJECT: dict[str, JsonValue] = {f"k{number}": number for number in range(60_000)}
OUTPUTS: dict[str, JsonValue] = {
    "x": {
        "result": "a" * MEGABYTE,
        "list": BIG_LIST,
        "n": 10**9,
        "name": "__class__",
        "wide": "€" * MEGABYTE,
        "object": BIG_OBJECT,
        "same": dict(BIG_OBJECT),
        "brackets": "[" + "[]," * (MEGABYTE // 3) + "[]]",
    },
    "f": {"result": "{0.__class__.__init__.__globals__}", "pattern": "%1000000000d"},
}

# The escapes of Jinja2's history (CVE-2016-10745, CVE-2019-8341, CVE-2019-10906, CVE-2024-56201,
# CVE-2024-56326, CVE-2025-27516), of write-ups on template injection, and their ways around filters.
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ x.__class__ }}",
    "{{ x['__class__']['__mro__'] }}",
    "{{ x[x.name] }}",
    "{{ x|attr('__class__') }}",
    "{{ x|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ ()|attr('__class__')|attr('__base__') }}",
    "{{ [x]|map(attribute='__class__')|list }}",
    "{{ [x]|map('attr', '__class__')|list }}",
    "{{ [x]|selectattr('__class__')|list }}",
    "{{ [x]|groupby('__class__') }}",
    "{{ [x]|sum(attribute='__class__') }}",
    "{{ [x]|sort(attribute='__class__') }}",
    "{{ [x]|unique(attribute='__class__') }}",
    "{{ [x]|join(attribute='__class__') }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{0.__class__}'.format_map(x) }}",
    "{{ '{0.__class__}'|format(x) }}",
    "{{ ('{0.__class__}'|attr('format'))(x) }}",
    "{{ f.result.format(x) }}",
    "{{ f.result|format(x) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ request.application.__globals__ }}",
    "{{ config.items() }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ budget }}",
    "{{ reference_0 }}",
    "{{ loop }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ super() }}",
    "{{ x.result.mro() }}",
    "{{ x.list.append(1) }}",
    "{{ x.update({'a': 1}) }}",
    "{{ (x.result).upper() }}",
    "{% import 'os' as os %}",
    "{% from 'a' import b %}",
    "{% include '/etc/passwd' %}",
    "{% extends 'a' %}",
    "{% block b %}{% endblock %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call x() %}{% endcall %}",
    "{% set y = x.__class__ %}{{ y }}",
    "{% set ns = namespace() %}",
    "{% set x.__class__ = 1 %}",
    "{% filter attr('__class__') %}{% endfilter %}",
    "{% with a = x %}{{ a }}{% endwith %}",
    "{% autoescape false %}{% endautoescape %}",
    "{% do x.append(1) %}",
    "{% if x.__class__ %}{% endif %}",
    "{% for a in x.list %}{{ a }}{% endfor %}",
    "{% for i in range(999999999) %}{% endfor %}",
    "{% for i in x.list recursive %}{{ loop(x.list) }}{% endfor %}",
    "{{ x|xmlattr }}",
    "{{ x|pprint }}",
    "{{ x|safe }}",
    "{{ x|random }}",
    "{{ [x]|map('upper') }}",
    "{{ [x]|map(filter='attr') }}",
    "{{ [x]|map(filter='__class__') }}",
    "{{ [x]|map(filter=x.name) }}",
    "{{ [x]|select('callable') }}",
    "{{ [x]|select(x.name) }}",
    "{{ [x]|selectattr('__class__.__mro__', 'defined') }}",
    "{{ now.__globals__ }}",
    "{{ now().__class__ }}",
    "{{ nodes.now() }}",
    "{{ range.__class__ }}",
    "{{ range(*x.list) }}",
    "{{ coalesce(**x) }}",
    "{{ now()() }}",
    "{{ x|now }}",
    "{{ x|now() }}",
    "{{ x|filesizeformat }}",
    "{{ x is filter }}",
    "{{ 'attr' is filter }}",
    "{{ x is sameas x }}",
    "{{ x is callable }}",
    "{{ x|default(*x) }}",
    "{{ x|default(**x) }}",
]


def scope() -> Scope:
    """What the templates may read."""
    return Scope(outputs=OUTPUTS, primaries={}, secrets=no_secret)


def outcome(config: JsonValue) -> str:
    """The code of the error that rendering this ends in, or "rendered"."""
    compiled.cache_clear()
    try:
        render(config, scope(), max_chars=MEGABYTE)
    except TemplateError as error:
        return error.code if len(str(error)) < 1000 else "message too long"
    return "rendered"


def analysed(template: str) -> str:
    """The code of the error that analysing this ends in, or "accepted"."""
    try:
        analyse(template)
    except TemplateError as error:
        return error.code
    return "accepted"


def no_secret(name: str) -> str:
    """There are no secrets."""
    raise LookupError(name)


@pytest.mark.proves("template-escapes")
@pytest.mark.parametrize("template", ESCAPES)
def test_sandbox_escapes_are_refused(template: str) -> None:
    """Each is refused when the workflow is validated, or finds only missing data when it runs."""
    assert analysed(template) in {"template_forbidden", "template_syntax", "accepted"}
    assert outcome(template) in {"template_forbidden", "template_syntax", "template_undefined"}


@pytest.mark.proves("template-grows")
@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ 'a' * 1000000000 }}", "template_failed"),
        ("{{ x.result * x.n }}", "template_failed"),
        ("{{ [1] * 1000000000 }}", "template_failed"),
        ("{{ x.n * x.n * x.n }}", "template_failed"),
        ("{{ '%1000000000d' % 1 }}", "template_failed"),
        ("{{ f.pattern % 1 }}", "template_failed"),
        ("{{ f.pattern is odd }}", "template_failed"),
        ("{{ f.pattern is divisibleby 1 }}", "template_failed"),
        ("{{ 9**9**9**9 }}", "template_forbidden"),
        ("{{ x.n ** x.n }}", "template_forbidden"),
        ("{{ 'a'|center(1000000000) }}", "template_forbidden"),
        ("{{ 'a\n'|indent(1000000000) }}", "template_forbidden"),
        ("{{ '%1000000000d'|format(1) }}", "template_forbidden"),
        ("{{ 'a'|wordwrap(1) }}", "template_forbidden"),
        ("{{ 'a'|ljust(1000000000) }}", "template_forbidden"),
        ("{{ [1]|batch(1000000000, 1) }}", "template_forbidden"),
        ("{{ range(999999999) }}", "template_failed"),
        ("{{ range(-999999999, 999999999) }}", "template_failed"),
        ("{{ " + " + ".join(["range(10000)"] * 20) + " }}", "rendered"),
        ("{{ range(10000)|product(range(10000)) }}", "template_output_too_large"),
        ("{{ range(99)" + "|product(range(99))" * 20 + " }}", "template_output_too_large"),
        ("{{ [x.list, x.list]" + "|flatten|zip(x.list) }}", "template_failed"),
        ("{{ [" + ",".join(["x.list"] * 40) + "]|flatten }}", "template_output_too_large"),
        ("{{ x.list|jmespath('" + "[@,@][]|" * 50 + "@') }}", "template_output_too_large"),
        ("{{ x.list|jmespath('" + "[@,@]|" * 60 + "@') }}", "template_output_too_large"),
        ("{{ x.list|jmespath('" + "{a:@,b:@}|" * 40 + "to_string(@)') }}", "template_output_too_large"),
        ("{{ x.list|jmespath('[*].[" + ",".join("@" * 200) + "]') }}", "template_output_too_large"),
        ("{{ 1|jmespath('" + "!" * 450 + "@') }}", "template_forbidden"),
        ("{{ 1|jmespath('" + "(" * 20 + "@" + ")" * 20 + "') }}", "rendered"),
        ("{{ {}|jmespath('a" + ".a" * 220 + "') }}", "rendered"),
        ("{{ x.result|regex_search('(a|b)*a(a|b){100}c') }}", "template_output_too_large"),
        ("{{ x.result|regex_search('(((a|b)?){10}){20}c') }}", "template_output_too_large"),
        ("{{ x.result|regex_search('(.{0,300}){3}x') }}", "template_output_too_large"),
        ("{{ x.result[:9000]|regex_search('(((a|b)?){10}){20}c') }}", "rendered"),
        ("{{ x.result[:5000]|regex_search('(.{0,300}){3}x') }}", "rendered"),
        ("{{ x.wide|regex_search('(.{0,300}){3}x') }}", "template_output_too_large"),
        ("{{ x.result|regex_search('([\\\\pL\\\\pN]{50}){20}') }}", "template_forbidden"),
        ("{{ x.result|regex_replace('', x.result) }}", "template_output_too_large"),
        ("{{ x.result|regex_replace('(a*)', '" + "\\\\1" * 99 + "') }}", "template_output_too_large"),
        ("{{ x.result|regex_findall('a') }}", "template_output_too_large"),
        ("{{ '" + "a" * 400 + "' is matching('^(a+)+$') }}", "rendered"),
        ("{{ '2026-01-01'|date_format('%1000000000d') }}", "template_forbidden"),
        ("{{ '2026-01-01'|date_add(days=1e18) }}", "template_failed"),
        ("{{ '2026-01-01'|date_add(months=9000000000000000000) }}", "template_failed"),
        (
            "{{ ('[' * 1)|replace('[', '" + "[" * 400 + "')|replace('[', '" + "[" * 20 + "')|fromjson }}",
            "template_failed",
        ),
        ("{{ x.brackets|fromjson }}", "template_output_too_large"),
        (
            "{{ {'a': x.object}|merge({'a': x.same})" + "|merge({'a': x.same})" * 12 + " }}",
            "template_output_too_large",
        ),
        ("{{ x.result" + "|b64encode" * 12 + " }}", "template_output_too_large"),
        ("{{ [1]|slice(1000000000) }}", "template_forbidden"),
        ("{{ 1|round(-1000000000) }}", "template_failed"),
        ("{{ " + " ~ ".join(["x.result"] * 40) + " }}", "template_output_too_large"),
        ("{{ " + " + ".join(["x.result"] * 20) + " }}", "template_output_too_large"),
        ("{{ x.result }}" * 30, "template_output_too_large"),
        ("{{ x.result|upper }}" * 20, "template_output_too_large"),
        ("{{ x.result|replace('a', x.result) }}", "template_output_too_large"),
        ("{{ x.result|replace('', x.result) }}", "template_output_too_large"),
        ("{{ 'a'" + "|replace('a','aaaaaaaaaa')" * 18 + " }}", "template_output_too_large"),
        ("{{ x.list|join(x.result) }}", "template_output_too_large"),
        ("{{ x.list" + "|join('abc')|list" * 10 + " }}", "template_output_too_large"),
        ("{{ [" + ",".join(["x.result"] * 40) + "]|string }}", "template_output_too_large"),
        ("{{ [" + ",".join(["x.list"] * 50) + "]|tojson|tojson|tojson }}", "template_output_too_large"),
        ("{{ [" + ",".join(["x.list[:]"] * 40) + "] }}", "template_output_too_large"),
        ("{{ [" + ",".join(["x.result"] * 40) + "] }}", "template_output_too_large"),
        ("{{ x.wide|list }}", "template_output_too_large"),
        ("{{ x.result|urlencode|urlencode|urlencode }}", "template_output_too_large"),
        ("{{ x.wide|urlencode }}", "template_output_too_large"),
        ("{{ (x.list + x.list + x.list)|unique|sort|reverse|join }}", "rendered"),
        ("{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "template_syntax"),
        ("{{ " + "[" * 200 + "1" + "]" * 200 + " }}", "template_syntax"),
        ("{{ " + "{'a':" * 80 + "1" + "}" * 80 + " }}", "template_syntax"),
        ("{{ " + "-" * 480 + "1 }}", "template_forbidden"),
        ("{{ " + "not " * 120 + "1 }}", "template_forbidden"),
        ("{{ x" + ".a" * 240 + " }}", "template_undefined"),
        ("{{ x" + "['a']" * 95 + " }}", "template_forbidden"),
        ("{{ 1" + " if 1 else 1" * 38 + " }}", "template_forbidden"),
        ("{{ 1" + "+1" * 240 + " }}", "template_forbidden"),
        ("{{ " + "9" * 490 + " }}", "template_forbidden"),
        ("{{ " + "9" * 10_000 + " }}", "template_syntax"),
        ("{{ '" + "\\\\" * 240 + "' }}", "rendered"),
        ("{{" * 250, "template_syntax"),
        ("{% raw %}" * 50, "template_syntax"),
        ("{#" * 250, "template_syntax"),
    ],
)
def test_templates_that_grow_are_stopped(template: str, code: str) -> None:
    """Nothing that a template can say takes more than a second and 50 MB."""
    assert bounded(lambda: outcome(template)) == code


MANY = 300_000
TINY: dict[str, JsonValue] = {
    "numbers": [(number * 7919) % MANY for number in range(MANY)],
    "texts": [str((number * 7919) % MANY) for number in range(MANY)],
    "letters": ["a"] * MANY,
    "objects": [{} for _ in range(MANY)],
    "lists": [[number] for number in range(MANY)],
    "mixed": [1, "a", None, [], {}, 1.5] * (MANY // 6),
    "fields": {str(number): number for number in range(MANY)},
    "text": "a b " * (MANY // 4),
    "rows": [{"a": str(number)} for number in range(MANY // 2)],
}
ARGUMENTS = {
    **dict.fromkeys(("zip", "product", "merge"), "(x)"),
    **dict.fromkeys(("groupby", "map", "selectattr", "rejectattr"), "('a')"),
    **dict.fromkeys(("regex_search", "regex_findall"), "('b a')"),
    **dict.fromkeys(("pick", "omit", "hmac_sha256"), "('7')"),
    "replace": "('a', 'bb')",
    "batch": "(2)",
    "date_diff": "('2026-01-01')",
    "jmespath": "('[*].a')",
    "regex_replace": "('a', 'bb')",
}
FUNCTIONS = [
    *(f"x|{name}{ARGUMENTS.get(name, '')}" for name in sorted(FILTERS)),
    *("x|map('a', default=1)", "x|map('a.b.c.d', default=1)", "x|map('0', default=[])"),
    *(f"x|map(filter='{name}')" for name in ("upper", "tojson", "length", "int", "sha256", "b64encode")),
    *(f"x|map(filter='{name}')" for name in ("to_timestamp", "date_format", "items", "unique", "fromjson")),
    *("x|select", "x|reject('eq', 1)", "x|select('in', ['a', 1])", "x|select('in', x)", "x|select('odd')"),
    *("x|reject('matching', 'a')", "x|reject('matching', '^[a-z]*1$')", "x|select('startswith', '1')"),
    *("x|selectattr('a', 'gt', '5')", "x|rejectattr('a', 'defined')", "x|rejectattr('b', 'defined')"),
    *(
        "x|sort(attribute='a')",
        "x|unique(attribute='a')",
        "x|sum(attribute='a')",
        "x|groupby('b', default=0)",
    ),
    *("x|product([1, 2])", "x|zip(x, x, x)", "x|batch(1)", "x|flatten|flatten", "x|entries|from_items"),
    *("x|items|from_items", "x|merge({'a': {}})", "x|tojson|fromjson", "{'a': x}|tojson|fromjson"),
    *(f"x|jmespath('{query}')" for query in ("@", "[]", "[*]", "*", "[?a>`5`]", "[?@==`1`]", "[*].[a,a]")),
    *(f"x|jmespath('{query}')" for query in ("sort(@)", "sort_by(@, &a)", "max_by(@, &a)", "map(&a, @)")),
    *(f"x|jmespath('{query}')" for query in ("keys(@)", "merge(@, @)", "contains(@, `1`)", "reverse(@)")),
    *(f"x|jmespath('{query}')" for query in ("to_string(@)", "[::2]", "[@,@][]", "@==@", "length(@)")),
    *("""x|jmespath("join(',', @)")""", """x|jmespath("contains(@, 'zz')")""", "x|jmespath('sum(@)')"),
    *("x|regex_findall('.')", "x|regex_findall('(a)( )')", "x|regex_replace('', 'x')"),
    *("x is matching('(a|b)*a(a|b){20}c')", "x is contains('zz')", "x is endswith('zz')", "x is lt(x)"),
    *("coalesce(x.a, x)", "x|string|b64encode|b64decode", "x|string|sha256"),
    *("x|join(', ')", "x|sort(reverse=true)", "x|split('a')", "x|list|unique", "x|values|sort"),
    *("x + x", "x ~ x", "x[1:]", "x[::-1]", "x == x", "x != x[:]", "x < x", "x >= x"),
    *("-1 in x", "'zz' in x", "[1] in x", "{} not in x", "x in [x[:]]", "x is in([x])", "not x", "x or 1"),
]


@pytest.mark.proves("template-grows")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_pays_for_the_items_it_walks(function: str) -> None:
    """On 300,000 tiny items each is refused or done within a tenth of a second; `join` once took five.

    A machine that is busy with other tests is given half as much again.
    """
    compiled.cache_clear()
    for kind, value in TINY.items():
        held = Scope(outputs={"x": value}, primaries={}, secrets=no_secret)

        def rendered(held: Scope = held) -> None:
            with suppress(TemplateError):
                render(f"{{{{ [{function}]|length }}}}", held, max_chars=MEGABYTE)

        try:
            bounded(rendered, cpu_s=0.15, memory_bytes=100 * MEGABYTE)
        except AssertionError as error:
            raise AssertionError(f"{function} of {kind}: {error}") from error


@pytest.mark.parametrize("function", ["unique", "join", "sort", "items|list", "list|reverse|list", "tojson"])
def test_one_budget_pays_for_all_walks(function: str) -> None:
    """The time of a whole config is bounded, however its items are walked."""
    for value in TINY.values():
        held = Scope(outputs={"x": value}, primaries={}, secrets=no_secret)

        def rendered(held: Scope = held) -> None:
            with suppress(TemplateError):
                render([f"{{{{ x|{function}|length }}}}"] * 100, held, max_chars=MEGABYTE)

        bounded(rendered, cpu_s=0.4, memory_bytes=100 * MEGABYTE)


@pytest.mark.proves("template-grows")
def test_many_templates_in_one_config_share_one_bound() -> None:
    """A config of a thousand strings cannot make a thousand times the limit."""
    texts: JsonValue = ["{{ x.result }}!"] * 1000
    whole: JsonValue = ["{{ x.result }}"] * 1000
    assert bounded(lambda: outcome(texts)) == "template_output_too_large"
    assert bounded(lambda: outcome(whole)) == "template_output_too_large"


@pytest.mark.parametrize(
    "expression",
    [
        "x.object==x.same",
        "x.object!=x.same",
        "[x.object]<[x.same]",
        "'zz' in x.list",
        "['zz'] is in x.list",
        "'zz' not in x.wide",
        "x.list in [x.list[1:]]",
    ],
)
def test_many_comparisons_in_one_config_share_one_bound(expression: str) -> None:
    """Comparing and searching cost what they walk through, over all strings of a config together."""
    config: JsonValue = ["{{[" + ",".join([expression] * (480 // len(expression))) + "]}}"] * 18
    assert bounded(lambda: outcome(config)) == "template_output_too_large"


def test_one_comparison_of_large_values_is_cheap_enough() -> None:
    """Honest workflows stay within the bound. Values of unequal length cost nothing to compare."""
    config: JsonValue = [
        "{{ x.object == x.same and x.list != [] }}",
        "{{ 'k59999' in x.object and 'ab' in x.list and 'b' not in x.result }}",
        *["{{ x.object != {} }}"] * 200,
    ]
    assert bounded(lambda: outcome(config)) == "rendered"


@pytest.mark.parametrize("template", ["{{ %s }}", "{{ (%s)|tojson|length }}", "{{ [%s] }}"])
def test_lists_joined_into_something_huge_are_refused_before_it_is_made(template: str) -> None:
    """A list that holds one megabyte 64 times by reference is measured without being encoded."""
    joined = "t"
    for _ in range(6):
        joined = f"({joined}+{joined})"
    held = Scope(outputs={"t": ["z" * 4000] * 258}, primaries={}, secrets=no_secret)

    def refused() -> str:
        with pytest.raises(TemplateError) as caught:
            render(template % joined, held, max_chars=MEGABYTE)
        return caught.value.code

    assert bounded(refused, memory_bytes=16 * MEGABYTE) == "template_output_too_large"


def test_data_is_not_rendered_a_second_time() -> None:
    """Upstream data that looks like a template, or like a format string, stays data."""
    assert render("{{ f.result }}", scope(), max_chars=1000) == "{0.__class__.__init__.__globals__}"
    evil = Scope(outputs={"x": "{{ secrets.A }}{% for"}, primaries={}, secrets=no_secret)
    assert render("a {{ x }}", evil, max_chars=1000) == "a {{ secrets.A }}{% for"


def test_names_cannot_reach_the_generated_code() -> None:
    """Node ids and keys made of Python are looked up, not run."""
    for name in ("a'b", 'a"b', "a\\nb", "__import__('os')", "a]", "\u202ea"):
        key = name.replace("\\", "\\\\").replace('"', '\\"')
        held = Scope(outputs={name: {name: 1}}, primaries={}, secrets=str)
        if name.startswith("__"):
            with pytest.raises(TemplateError):
                render(f'{{{{ nodes["{key}"] }}}}', held, max_chars=100)
        else:
            assert render(f'{{{{ nodes["{key}"]["{key}"]|int }}}}', held, max_chars=100) == 1
