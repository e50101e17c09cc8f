"""Documents made to hurt: each refused, or accepted, within a second of CPU and 50 MB."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice, product
from string import ascii_letters

import pytest

from flowengine.settings import Limits
from flowengine.workflow import Form, check
from tests.hostile.harmful_documents import (
    JSON_BYTES,
    YAML_BYTES,
    after_much_text,
    calling,
    document,
    doubling,
    filled,
    given,
    laughs,
    like_each_other,
    reading_much,
)
from tests.hostile.measured import bounded
from tests.support.documents import JsonObject, catalog, node, reading, workflow

Make = Callable[[], bytes]


def prompt(place: int, text: str) -> JsonObject:
    """A node that asks a language model, whose config may be larger."""
    return node(f"n{place}", handler="llm_service", config={"prompt": text})


YAML: dict[str, tuple[Make, str]] = {
    "billion laughs": (lambda: laughs(10), "yaml_anchor"),
    "an alias to itself": (lambda: b"a: &a [*a]", "yaml_anchor"),
    "an alias to nothing": (lambda: b"a: *b", "yaml_alias"),
    "a merge key": (lambda: b"a:\n  <<: [{b: 1}]", "yaml_merge_key"),
    "merge keys that expand": (
        lambda: b"a: &a {x: 1}\nb: {<<: [" + b"*a," * 500 + b"*a]}",
        "yaml_anchor",
    ),
    "a python object": (lambda: b'!!python/object/apply:os.system ["true"]', "yaml_tag"),
    "a python name": (lambda: b"a: !!python/name:os.system", "yaml_tag"),
    "a binary": (lambda: b"a: !!binary aGk=", "yaml_tag"),
    "a set": (lambda: b"!!set {a, b}", "yaml_tag"),
    "a timestamp": (lambda: b"a: !!timestamp 2026-01-01", "yaml_tag"),
    "a directive": (lambda: b"%YAML 1.2\n---\na: 1", "yaml_directive"),
    "directives by the hundred thousand": (
        lambda: filled(b"", b"%TAG !a! b\n", b"", YAML_BYTES),
        "yaml_directive",
    ),
    "directives after the document": (
        lambda: filled(b"a\n...\n", b"%TAG !a! b\n", b"", YAML_BYTES),
        "yaml_several_documents",
    ),
    "several documents": (lambda: b"a: 1\n---\nb: 2\n---\nc: 3", "yaml_several_documents"),
    "documents by the hundred thousand": (
        lambda: filled(b"a\n", b"--- a\n", b"", YAML_BYTES),
        "yaml_several_documents",
    ),
    "duplicate keys": (lambda: b"name: a\nname: b", "duplicate_key"),
    "a huge integer": (lambda: b"a: " + b"9" * 1_000_000, "invalid_scalar"),
    "a huge hexadecimal": (lambda: b"a: 0x" + b"f" * 1_000_000, "invalid_scalar"),
    "a huge exponent": (lambda: b"a: 1e" + b"9" * 1_000_000, "invalid_scalar"),
    "60 KB of opening brackets": (lambda: b"[" * 60_000, "too_deep"),
    # libyaml decides which comes first: from 0.2.6 on, it stops at 1000 levels before its first event.
    "60 KB of opening braces": (lambda: b"{" * 60_000, "yaml_key or too_deep"),
    "900 opening braces": (lambda: b"{" * 900, "yaml_key"),
    "2 MiB of opening brackets": (lambda: b"[" * YAML_BYTES, "too_deep"),
    "brackets, opened and closed": (lambda: b"[" * 30_000 + b"]" * 30_000, "too_deep"),
    "nested dashes": (lambda: b"- " * 30_000, "too_deep"),
    "nested question marks": (lambda: b"? " * 30_000, "yaml_key"),
    "nested keys": (lambda: b"".join(b" " * level + b"a:\n" for level in range(1000)), "too_deep"),
    "nested quotes": (lambda: b"'" * 60_000, "wrong_type"),
    "a million empty lists": (lambda: filled(b"[", b"[],", b"[]]", YAML_BYTES), "too_many_values"),
    "a million texts": (lambda: filled(b"[", b"a,", b"a]", YAML_BYTES), "too_many_values"),
    "half a million lines": (lambda: filled(b"", b"- a\n", b"", YAML_BYTES), "too_many_values"),
    "objects by the hundred thousand": (
        lambda: filled(b"[", b"{a: b},", b"a]", YAML_BYTES),
        "too_many_values",
    ),
    "keys by the hundred thousand": (
        lambda: b"".join(b"%d: 1\n" % key for key in range(200_000)),
        "too_many_values",
    ),
    "unknown keys by the ten thousand": (
        lambda: b"".join(b"k%d: 1\n" % key for key in range(90_000)),
        "unknown_field",
    ),
    "only comments": (lambda: filled(b"", b"#\n", b"", YAML_BYTES), "empty_document"),
    "only line breaks": (lambda: b"\n" * YAML_BYTES, "empty_document"),
    "one long plain text": (lambda: filled(b"", b"a\n", b"", YAML_BYTES), "wrong_type"),
    "one long escaped text": (lambda: filled(b'"', b"\\x41", b'"', YAML_BYTES), "wrong_type"),
    "one long folded text": (lambda: filled(b"a: >\n", b" a\n\n", b"", YAML_BYTES), "unknown_field"),
    "one long anchor": (lambda: b"&" + b"a" * (YAML_BYTES - 1), "yaml_anchor"),
    "one long key": (lambda: b"a" * (YAML_BYTES - 4) + b": 1", "malformed_yaml"),
    "a NUL byte": (lambda: b"a: \x00", "nul_byte"),
    "a control character": (lambda: b"a: \x07", "malformed_yaml"),
    "an escaped NUL in an id": (
        lambda: (
            b'name: x\nnodes: [{id: "a\\0", handler: transform, config: {input: 1, transform_type: trim}}]'
        ),
        "invalid_id",
    ),
    "an escaped surrogate": (lambda: b'a: "\\ud800"', "malformed_yaml"),
    "invalid UTF-8": (lambda: b"a: \xc3\x28", "invalid_encoding"),
    "an overlong encoding": (lambda: b"a: \xc0\x80", "invalid_encoding"),
    "a surrogate in UTF-8": (lambda: b"a: \xed\xa0\x80", "invalid_encoding"),
    "Latin-1": (lambda: "name: é".encode("latin-1"), "invalid_encoding"),
    "UTF-16": (lambda: "name: x".encode("utf-16"), "invalid_encoding"),
    "UTF-16 without a mark": (lambda: "name: x".encode("utf-16-le"), "nul_byte"),
    "UTF-32": (lambda: "name: x".encode("utf-32"), "invalid_encoding"),
    "a mark and nothing else": (lambda: b"\xef\xbb\xbf", "empty_document"),
    "a mistake after half a million lines": (
        lambda: filled("\u0100\n".encode(), "\u0100\n".encode(), b"b: c: d\n", YAML_BYTES),
        "malformed_yaml",
    ),
    "one byte over 2 MiB": (lambda: b" " * (YAML_BYTES + 1), "body_too_large"),
}

JSON: dict[str, tuple[Make, str]] = {
    "depth 100,000": (lambda: b"[" * 100_000 + b"]" * 100_000, "too_deep"),
    "depth 100,000 of objects": (lambda: b'{"a":' * 100_000, "too_deep"),
    "12 MiB of opening brackets": (lambda: b"[" * JSON_BYTES, "too_deep"),
    "12 MiB of closing brackets": (lambda: b"]" * JSON_BYTES, "malformed_json"),
    "12 MiB of separators": (lambda: b",:" * (JSON_BYTES // 2), "malformed_json"),
    "12 MiB of quotes": (lambda: b'"' * JSON_BYTES, "too_many_values"),
    "12 MiB of escaped quotes": (lambda: b'\\"' * (JSON_BYTES // 2), "malformed_json"),
    "12 MiB of escapes in a text": (lambda: filled(b'"', b'\\"', b'"', JSON_BYTES), "wrong_type"),
    "12 MiB of spaces": (lambda: b" " * JSON_BYTES, "empty_document"),
    "12 MiB of line breaks and a letter": (lambda: b"\n" * (JSON_BYTES - 1) + b"x", "malformed_json"),
    "12 MiB of digits": (lambda: b"9" * JSON_BYTES, "number_out_of_range"),
    "12 MiB of text": (lambda: filled(b'{"name":"', b"a", b'"}', JSON_BYTES), "invalid_name"),
    "12 MiB of key": (lambda: filled(b'{"', b"a", b'":1}', JSON_BYTES), "unknown_field"),
    "12 MiB of empty lists": (lambda: filled(b"[", b"[],", b"[]]", JSON_BYTES), "too_many_values"),
    "12 MiB of objects": (lambda: filled(b"[", b'{"a":1},', b"1]", JSON_BYTES), "too_many_values"),
    "12 MiB of numbers": (lambda: filled(b"[", b"1,", b"1]", JSON_BYTES), "too_many_values"),
    "12 MiB of an unclosed text": (lambda: b'["' + b"a" * (JSON_BYTES - 2), "malformed_json"),
    "keys by the hundred thousand": (
        lambda: b"{" + b",".join(b'"%d":1' % key for key in range(400_000)) + b"}",
        "too_many_values",
    ),
    "unknown keys by the hundred thousand": (
        lambda: b"{" + b",".join(b'"%d":1' % key for key in range(200_000)) + b"}",
        "unknown_field",
    ),
    "duplicate keys": (lambda: b'{"name": "a", "name": "b"}', "duplicate_key"),
    "duplicate keys, one escaped": (lambda: b'{"name": "a", "n\\u0061me": "b"}', "duplicate_key"),
    "NaN": (lambda: b'{"name": NaN}', "number_out_of_range"),
    "Infinity": (lambda: b"[Infinity]", "number_out_of_range"),
    "a number too large": (lambda: b"[1e400]", "number_out_of_range"),
    "a huge integer": (lambda: b"[" + b"9" * 1_000_000 + b"]", "number_out_of_range"),
    "a lone surrogate": (lambda: b'{"name": "\\udc00"}', "malformed_json"),
    "a raw control character": (lambda: b'{"name": "a\nb"}', "malformed_json"),
    "a comment": (lambda: b'{"name": "a"} // x', "malformed_json"),
    "a trailing comma": (lambda: b'{"name": "a",}', "malformed_json"),
    "single quotes": (lambda: b"{'name': 'a'}", "malformed_json"),
    "two values": (lambda: b"{} {}", "malformed_json"),
    "nothing": (lambda: b"", "empty_document"),
    "a NUL byte": (lambda: b'{"name": "\x00"}', "nul_byte"),
    "invalid UTF-8": (lambda: b'{"name": "\xff"}', "invalid_encoding"),
    "UTF-16": (lambda: "{}".encode("utf-16"), "invalid_encoding"),
    "one byte over 12 MiB": (lambda: b" " * (JSON_BYTES + 1), "body_too_large"),
    "100 MB": (lambda: b"[" * 100_000_000, "body_too_large"),
    "1001 nodes": (lambda: document(*[node(f"n{place}") for place in range(1001)]), "too_many_nodes"),
    "200,000 nodes": (lambda: document(*[1] * 200_000), "too_many_nodes"),
    "an 11 KB config": (lambda: document(reading("a", "x" * 11_000)), "config_too_large"),
    "a 12 MiB config": (lambda: document(reading("a", "x" * (JSON_BYTES - 1000))), "config_too_large"),
    "an expression of 501 characters": (
        lambda: document(reading("a", "x{{ '" + "x" * 493 + "' }}x")),
        "template_too_long",
    ),
    "a hundred expressions in one text, by the thousand": (
        lambda: document(*[reading(f"n{place}", "{{ zz|d }} x " * 700 + str(place)) for place in range(999)]),
        "too_many_templates",
    ),
    "ten thousand expressions in one prompt": (
        lambda: document(*[prompt(place, "{{zz|d}}" * 8000 + str(place)) for place in range(50)]),
        "too_many_templates",
    ),
    "prompts of nothing but reads": (
        lambda: document(*[prompt(place, "{{zz}} " * 9000 + str(place)) for place in range(150)]),
        "too_many_templates",
    ),
    "prompts whose expressions do not end": (
        lambda: document(*[prompt(place, f"{{{{ '{place}" + "{{'" * 20_000) for place in range(150)]),
        "template_too_long",
    ),
    "prompts of marks of comments": (
        lambda: document(*[prompt(place, str(place) + "{#" * 30_000) for place in range(150)]),
        "template_syntax",
    ),
    "large regular expressions by the thousand": (
        lambda: document(
            *[
                reading(f"n{place}", f"{{{{ 'x'|regex_search('[\\\\pL\\\\pN]{{50}}{place}') }}}}")
                for place in range(1000)
            ]
        ),
        "template_forbidden",
    ),
    "large queries by the thousand": (
        lambda: document(
            *[
                reading(f"n{place}", f"{{{{ 'x'|jmespath('a{place}.[" + ",".join(["a.b"] * 110) + "]') }}")
                for place in range(1000)
            ]
        ),
        "too_many_templates",
    ),
    "a template of 12 MiB": (
        lambda: document(reading("a", "{{" * (JSON_BYTES // 2 - 200))),
        "config_too_large",
    ),
    "schemas of 10 MiB": (lambda: given({"x": {"enum": ["x" * 100] * 99_000}}), "schema_too_large"),
    "regular expressions by the ten thousand": (
        lambda: given({"x": {"allOf": [{"pattern": f"a{place}"} for place in range(20_000)]}}),
        "schema_too_large",
    ),
    "unknown formats by the ten thousand": (
        lambda: given({f"x{at}": {"allOf": [{"format": "dat"}] * 200} for at in range(200)}),
        "invalid_schema",
    ),
    "defaults for schemas whose references double": (
        lambda: given({f"x{at}": {**doubling(40), "default": 1} for at in range(200)}),
        "invalid_default",
    ),
    "vars with templates by the hundred thousand": (
        lambda: given({}, {f"x{at}": [f"{{{{ 1 ~ {item} }}}}" for item in range(600)] for at in range(200)}),
        "too_many_templates",
    ),
    "a name of control characters": (lambda: b'{"name": "\\u0000\\u001b[2J", "nodes": [1]}', "invalid_name"),
    "a name that reorders text": (
        lambda: json.dumps({"name": "a\u202eb", "nodes": [1]}).encode(),
        "invalid_name",
    ),
    "a thousand nodes that all wait for each other": (
        lambda: document(
            *[
                node(f"n{place}", *[f"n{other}" for other in range(280) if other != place])
                for place in range(1000)
            ]
        ),
        "cycle",
    ),
    "a ring of a thousand nodes": (
        lambda: document(*[node(f"n{place}", f"n{(place + 1) % 1000}") for place in range(1000)]),
        "cycle",
    ),
    "unknown dependencies by the hundred thousand": (
        lambda: document(
            *[node(f"n{place}", *[f"x{other}" for other in range(280)]) for place in range(1000)]
        ),
        "unknown_dependency",
    ),
    "a handler with a long name": (
        lambda: document(*[node(f"n{place}", handler="http_reques" * 900) for place in range(1000)]),
        "unknown_handler",
    ),
    "values that no enumeration holds": (
        lambda: document(
            *[node(f"n{place}", config={"input": 1, "transform_type": "x" * 9000}) for place in range(1000)]
        ),
        "invalid_config",
    ),
    "short templates by the hundred thousand": (
        lambda: document(
            *[
                reading(f"n{place}", [f"{{{{a{place * 250 + item}}}}}" for item in range(250)])
                for place in range(1000)
            ]
        ),
        "unknown_node_reference",
    ),
    "long templates by the thousand": (
        lambda: document(
            *[
                reading(f"n{place}", ["{{" + "a~" * 230 + f"{place * 20 + item}}}}}" for item in range(20)])
                for place in range(1000)
            ]
        ),
        "unknown_node_reference",
    ),
    "long templates of nothing but reads": (
        lambda: document(
            *[
                reading(f"n{place}", ["{{a}}" * 95 + str(place * 20 + item) for item in range(20)])
                for place in range(1000)
            ]
        ),
        "unknown_node_reference",
    ),
    "a ring of a thousand nodes that each read many": (
        lambda: reading_much(1, lambda place: (place + 1) % 1000),
        "cycle",
    ),
    "one template by the ten thousand": (lambda: reading_much(18), "not_an_ancestor"),
    "short wrong templates by the hundred thousand": (
        lambda: document(*[reading(f"n{place}", ["{{zz}}"] * 290) for place in range(1000)]),
        "unknown_node_reference",
    ),
    "long templates where no text fits": (
        lambda: document(
            *[
                node(f"n{place}", config={"input": 1, "transform_type": f"{{{{[{names},{place}]}}}}"})
                for place in range(1000)
                for names in [",".join(map("".join, islice(product(ascii_letters, repeat=3), 2200)))]
            ]
        ),
        "template_too_long",
    ),
    "templates where no text fits, after too many": (
        lambda: document(
            *[
                node(
                    f"n{place}",
                    handler="llm_service",
                    config={
                        "messages": ["{{" + "a~" * 230 + f"{place * 20 + item}}}}}" for item in range(18)]
                    },
                )
                for place in range(1000)
            ]
        ),
        "unknown_node_reference",
    ),
    "names close to a refused id of 1 MB": (
        lambda: document(
            node("x" * 64 + "y" * 1_000_000),
            node("b", *["x" * 64 + f"z{place}" for place in range(200)]),
        ),
        "invalid_id",
    ),
    "reads of the first part of a refused id of 1 MB": (
        lambda: document(node("a-" + "y" * 1_000_000), reading("b", ["{{ a }}"] * 300)),
        "invalid_id",
    ),
    "a cycle of ids of 1 MB": (
        lambda: document(node("a" * 1_000_000, "b" * 1_000_000), node("b" * 1_000_000, "a" * 1_000_000)),
        "invalid_id",
    ),
    "names that are like each other": (like_each_other, "unknown_dependency"),
    "a description of 11 MB, and problems after it": (
        lambda: after_much_text("a" * 11_900_000),
        "invalid_description",
    ),
    "lines by the million, and problems after them": (
        lambda: b"\n" * 11_900_000 + after_much_text(""),
        "wrong_type",
    ),
    "11 MB that an emoji makes four times as large": (
        lambda: after_much_text("a" * 11_900_000 + "\U0001f600"),
        "too_much_text",
    ),
    "the same as an escape": (
        lambda: b'{"name":"' + b"a" * 11_900_000 + b'\\ud83d\\ude00"}',
        "too_much_text",
    ),
    "the same in parts": (
        lambda: document(*[reading(f"n{place}", "a" * 10_000 + "\U0001f600") for place in range(1000)]),
        "too_much_text",
    ),
    "the same, and no JSON": (
        lambda: b'["' + b"a" * 11_900_000 + "\U0001f600".encode() + b'",}',
        "too_much_text",
    ),
    "configs with 11 MB of two bytes a character": (
        lambda: document(*[reading(f"n{place}", "a" * 11_000 + "\u0100") for place in range(1000)]),
        "config_too_large",
    ),
    "wrong items by the hundred thousand": (
        lambda: calling("llm_service", 58, {"messages": [1] * 4900}),
        "invalid_config",
    ),
    "wrong items in objects by the hundred thousand": (
        lambda: calling("http_request", 150, {"url": "http://x/", "accept_status": [None] * 1900}),
        "invalid_config",
    ),
    "one wrong item among thousands, a hundred times": (
        lambda: calling("http_request", 100, {"url": "http://x/", "accept_status": [*[200] * 2400, None]}),
        "invalid_config",
    ),
}

CASES = [("yaml", name, *case) for name, case in YAML.items()] + [
    ("json", name, *case) for name, case in JSON.items()
]


@pytest.mark.proves("hostile-document")
@pytest.mark.parametrize(
    ("form", "make", "code"),
    [(form, make, code) for form, _, make, code in CASES],
    ids=[f"{form}: {name}" for form, name, _, _ in CASES],
)
def test_each_hostile_document_is_refused_cheaply(form: Form, make: Make, code: str) -> None:
    """A problem's code is as listed; time, memory and the size of the answer are bounded."""
    body = make()
    result = bounded(lambda: check(body, form, catalog(), Limits()))
    assert {problem.code for problem in result.problems} & set(code.split(" or "))
    assert result.plan is None
    assert len(result.problems) <= 201
    assert all(len(problem.message) < 4000 for problem in result.problems)


@pytest.mark.parametrize("shape", ["chain", "wide", "dense"])
def test_the_largest_right_documents_are_accepted_cheaply(shape: str) -> None:
    """A thousand nodes, templates in each, in the shapes people have."""
    shapes: dict[str, Callable[[int], list[str]]] = {
        "chain": lambda place: [f"n{place - 1}"] if place else [],
        "wide": lambda place: ["n0"] if place else [],
        "dense": lambda place: [f"n{other}" for other in range(max(0, place - 200), place)],
    }
    parents = shapes[shape]
    nodes = [
        reading(f"n{place}", "{{ n0.result }}" if place else 1, *parents(place)) for place in range(1000)
    ]
    result = bounded(lambda: check(document(*nodes), "json", catalog(), Limits()))
    assert result.problems == ()
    assert result.plan is not None
    assert len(result.plan.nodes) == 1000


RIGHT_CONFIGS: dict[str, tuple[str, JsonObject]] = {
    "one short template": ("transform", {"input": ["{{a}}"] * 280, "transform_type": "length"}),
    "a template among numbers": (
        "http_request",
        {"url": "http://x/", "params": {"a": ["{{a}}", *[1] * 280]}},
    ),
    "a text with a template for each name": (
        "http_request",
        {"url": "http://x/", "headers": {f"h{place}": "x{{a}}" for place in range(120)}},
    ),
    "two bytes a character": ("transform", {"input": "a" * 10_000 + "\u0100", "transform_type": "length"}),
}


@pytest.mark.parametrize("case", RIGHT_CONFIGS)
def test_the_fullest_right_configs_are_accepted_cheaply(case: str) -> None:
    """A thousand nodes whose configs are as full as the limits allow."""
    handler, config = RIGHT_CONFIGS[case]
    nodes = [node("a"), *[node(f"n{place}", "a", handler=handler, config=config) for place in range(999)]]
    body = json.dumps({"name": "x", "nodes": nodes}, ensure_ascii=False).encode()
    result = bounded(lambda: check(body, "json", catalog(), Limits()))
    assert result.problems == ()


def test_names_and_ids_full_of_markup_are_data() -> None:
    """A name with path, template and markup characters is allowed, and means nothing."""
    body = json.dumps(workflow(node("a"), name="../../{{ secrets.X }} <script> %00 \\ '\"")).encode()
    result = check(body, "json", catalog(), Limits())
    assert result.plan is not None
    assert result.plan.name == "../../{{ secrets.X }} <script> %00 \\ '\""
