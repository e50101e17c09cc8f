"""What is known of a template before anything runs: what it reads, and whether it may be used at all."""

from __future__ import annotations

import pytest

from flowengine.template import SecretNotAllowedError, TemplateError, analyse


@pytest.mark.parametrize(
    ("text", "nodes", "secrets"),
    [
        ("{{ a.data }}", ["a"], []),
        ("{{ a.result.b }} {{ b.result }} {{ a.x }}", ["a", "b"], []),
        ('{{ nodes["my-node"].result }}', ["my-node"], []),
        ("{{ nodes['my-node'] }}", ["my-node"], []),
        ("{{ nodes.a.result }}", ["a"], []),
        ('{{ nodes["true"] }}', ["true"], []),
        ("{{ secrets.KEY }}", [], ["KEY"]),
        ('Bearer {{ secrets["KEY"] }}{{ secrets.KEY }}', [], ["KEY"]),
        ("{{ a.x if b.y else c[d.z] }}", ["b", "a", "c", "d"], []),
        ("{{ a.x|default(b.y)|join(c) }}", ["a", "b", "c"], []),
        ("{{ [a, {'k': b}] ~ c }}", ["a", "b", "c"], []),
        ("{{ a[1:b.n] }}", ["a", "b"], []),
        ("{{ _private.x }}", ["_private"], []),
        ("{{ 1 + 1 }}", [], []),
        ("{{ coalesce(a.x, b.result, none) }}", ["a", "b"], []),
        ("{{ coalesce(secrets.KEY, a.x) }}", ["a"], ["KEY"]),
        ("{{ range(a.n, to.n)|map(filter='string') }}", ["a", "to"], []),
        ("{{ today(timezone=a.zone) ~ now() ~ uuid() }}", ["a"], []),
        ("{{ now.result ~ range.x }}", ["now", "range"], []),
        ("{{ a|selectattr('b.c', 'in', d)|zip(e.x, f)|merge(other=g) }}", ["a", "d", "e", "f", "g"], []),
        ("{{ a|map('b', default=c)|groupby('d', default=e) }}", ["a", "c", "e"], []),
        ("{{ a is matching b and c is eq(d) }}", ["a", "b", "c", "d"], []),
    ],
)
def test_references_are_found(text: str, nodes: list[str], secrets: list[str]) -> None:
    """Every node and secret that the text reads, each once."""
    found = analyse(text)
    assert sorted(found.nodes) == sorted(nodes)
    assert list(found.secrets) == secrets


@pytest.mark.parametrize("text", ["", "plain", "{ a }", "}} %} #}", "{ {a} }", "100 %"])
def test_text_without_marks_is_no_template(text: str) -> None:
    """It is not parsed at all."""
    assert not analyse(text).is_template


@pytest.mark.parametrize(
    ("text", "is_sole"),
    [
        ("{{ a }}", True),
        ("{{ a.b|upper }}", True),
        ("{{ a }} ", False),
        ("{{ a }}{{ b }}", False),
        ("{# only a comment #}", False),
        ("{# c #}{{ a }}", True),
    ],
)
def test_sole_expressions_are_told_apart(text: str, is_sole: bool) -> None:
    """One whole expression and nothing around it."""
    assert analyse(text).is_sole is is_sole


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ a", "end of print statement"),
        ("{{ }}", "Expected an expression"),
        ("{{ a b }}", "expected"),
        ("{# open", "comment"),
        ("{{ 'a }}", "unexpected char"),
        ("{{ not.data }}", "unexpected '.'"),
        ("line one\n{{ a.", "line 2"),
    ],
)
def test_syntax_errors_say_what_is_wrong(text: str, words: str) -> None:
    """With the parser's reason and how to write the marks as text."""
    with pytest.raises(TemplateError) as caught:
        analyse(text)
    assert caught.value.code == "template_syntax"
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ nodes[a.name] }}", "literal name"),
        ("{{ nodes[1] }}", "literal name"),
        ("{{ nodes }}", "name a node"),
        ("{{ secrets }}", "name a secret"),
        ("{{ secrets|tojson }}", "name a secret"),
        ("{{ secrets[a.name] }}", "literal name"),
        ('{{ secrets["a b"] }}', "letters, digits"),
        ("{{ a|uper }}", "there are: abs"),
        ("{{ a is odder }}", "there are: boolean"),
        ("{{ a|join(1, 2, 3) }}", "join"),
        ("{{ a|default(value=1, wrong=2) }}", "default"),
        ("{{ a.b() }}", "there are: coalesce()"),
        ("{{ a if b }}", "other case"),
        ("{{ 1e999 }}", "finite"),
        ("{{ 99999999999999999999999 }}", "64 bits"),
        ("{{ {a: 1} }}", "literal texts"),
        ("{{ a, b }}", "write a list"),
        ("{% if %}", "statements ({% ... %}) are not allowed"),
        ("{{ a.result }} {% if x %}", "statements ({% ... %}) are not allowed"),
        ("{% nonsense %}", "statements ({% ... %}) are not allowed"),
    ],
)
def test_what_is_not_allowed_is_refused_with_a_way_out(text: str, words: str) -> None:
    """The message says what to write instead."""
    with pytest.raises(TemplateError) as caught:
        analyse(text)
    assert caught.value.code == "template_forbidden"
    assert words in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{{ secrets.KEY }}",
        "Bearer {{ secrets.KEY }}, {{ a.name|upper }}",
        "{{ 'Bearer ' ~ secrets.KEY ~ a.name|upper }}",
        "{{ secrets.KEY|urlencode }}",
        "{{ secrets.KEY|trim|tojson }}",
        "{{ a.key|default(secrets.KEY) }}",
        "{{ secrets.KEY|d('none', also_empty=true) }}",
        "{{ secrets.A if a.stage == 'live' else secrets.B }}",
        "{{ {'key': secrets.KEY, 'all': [secrets['A'], a.x + 1]} }}",
        "{{ coalesce(a.key, secrets.KEY) }}",
        "Bearer {{ coalesce(secrets.A, secrets.B)|trim }}",
        "Basic {{ (a.user ~ ':' ~ secrets.KEY)|b64encode }}",
        "{{ ('user:' ~ (secrets.KEY|trim if a.x else secrets.B))|b64encode|tojson }}",
        "{{ a.body|tojson|hmac_sha256(secrets.KEY) }}",
        "sha256={{ a.body|hmac_sha256(key=coalesce(a.key, secrets.KEY))|upper|truncate(8) }}",
        "{{ {'signature': now()|hmac_sha256(secrets.KEY), 'key': secrets.KEY} }}",
    ],
)
def test_a_secret_may_be_handed_on_as_it_is(text: str) -> None:
    """Alone, inside a text, object or list, chosen among others, in a spelling that is looked for."""
    assert analyse(text).secrets


@pytest.mark.parametrize(
    "text",
    [
        "{{ secrets.KEY|upper }}",
        "{{ secrets.KEY|reverse }}",
        "{{ secrets.KEY|trim|lower }}",
        "{{ (secrets.KEY|trim)|replace('S', '-S') }}",
        "{{ a.text|replace(secrets.KEY, '') }}",
        "{{ a.text|replace(old=secrets.KEY, new='') }}",
        "{{ ('x' ~ secrets.KEY)|list }}",
        "{{ [secrets.KEY]|join(',') }}",
        "{{ secrets.KEY[:20] }}",
        "{{ secrets.KEY[0] }}",
        "{{ secrets.KEY.length }}",
        "{{ nodes['a'][secrets.KEY] }}",
        "{{ secrets.KEY + 'x' }}",
        "{{ secrets.KEY|int * 2 }}",
        "{{ -secrets.KEY }}",
        "{{ secrets.KEY == 'guess' }}",
        "{{ 'y' if secrets.KEY > 'm' else 'n' }}",
        "{{ secrets.KEY if secrets.KEY else 'n' }}",
        "{{ secrets.KEY or 'x' }}",
        "{{ secrets.KEY is string }}",
        "{{ {'key': secrets.KEY|upper} }}",
        "text {{ a.x }} and {{ secrets['KEY']|length }}",
        "{{ coalesce(secrets.KEY|upper, 1) }}",
        "{{ coalesce(secrets.KEY, 1)|upper }}",
        "{{ secrets.KEY|b64encode|b64encode }}",
        "{{ secrets.KEY|b64encode|upper }}",
        "{{ secrets.KEY|urlencode|b64encode }}",
        "{{ {'key': secrets.KEY}|b64encode }}",
        "{{ (a.x ~ (secrets.KEY|tojson))|b64encode }}",
        "{{ secrets.KEY|b64decode }}",
        "{{ secrets.KEY|sha256 }}",
        "{{ secrets.KEY|hmac_sha256(a.key) }}",
        "{{ secrets.KEY|hmac_sha256(secrets.KEY) }}",
        "{{ a.x|hmac_sha256(secrets.KEY|upper) }}",
        "{{ a.x|hmac_sha256(secrets.KEY) ~ (secrets.KEY|upper) }}",
        "{{ [secrets.KEY]|map(filter='upper') }}",
        "{{ [secrets.KEY]|select('matching', 'a') }}",
        "{{ a.x is matching secrets.KEY }}",
        "{{ a.list|selectattr('key', 'eq', secrets.KEY) }}",
        "{{ a.x|regex_replace(secrets.KEY, '') }}",
        "{{ a.x|jmespath(secrets.KEY) }}",
        "{{ {'k': secrets.KEY}|pick('k') }}",
        "{{ range(secrets.KEY|int) }}",
        "{{ today(secrets.KEY) }}",
        "{{ a.x|fromjson(secrets.KEY) }}",
    ],
)
def test_a_secret_that_would_be_altered_is_refused(text: str) -> None:
    """Another text cannot be found in a result; nor may a template tell of a secret bit by bit."""
    with pytest.raises(SecretNotAllowedError, match="alter it in the handler or service") as caught:
        analyse(text)
    assert caught.value.code == "secret_not_allowed"
