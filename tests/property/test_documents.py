"""Arbitrary documents: the validator always answers, and JSON and YAML mean the same."""

from __future__ import annotations

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.workflow import check
from flowengine.workflow.reading.json_parser import parse_json
from flowengine.workflow.reading.yaml_parser import parse_yaml
from tests.property.examples import share_of_examples
from tests.support.documents import catalog, checked

WORDS = ("name", "nodes", "id", "handler", "config", "dependencies", "timeout_seconds", "a", "b", "url")
TEXTS = st.one_of(
    st.sampled_from(
        (*WORDS, "compute", "transform", "http_request", "{{ a.result }}", "{{ b", "{% x %}", "")
    ),
    st.text(max_size=8),
)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
DEPENDENCIES: st.SearchStrategy[JsonValue] = st.lists(TEXTS, max_size=3).map(list)
NODES: st.SearchStrategy[JsonValue] = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXTS,
        "handler": TEXTS,
        "config": VALUES,
        "dependencies": DEPENDENCIES | VALUES,
        "timeout_seconds": VALUES,
    },
)
DOCUMENTS: st.SearchStrategy[JsonValue] = VALUES | st.fixed_dictionaries(
    {"name": TEXTS, "nodes": st.lists(NODES | VALUES, max_size=5)}
)


def resolves(pointer: str, document: JsonValue) -> bool:
    """Whether it names a part of the document, or a member that its owner lacks (no config: empty)."""
    tokens = pointer.split("/")[1:]
    for depth, token in enumerate(tokens):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            document = document[int(key)]
        elif isinstance(document, dict) and key in document:
            document = document[key]
        else:
            return isinstance(document, dict) and (depth == len(tokens) - 1 or token == "config")
    return True


@given(DOCUMENTS)
def test_any_value_gets_an_answer(document: JsonValue) -> None:
    """A plan or problems, never both, never an exception; problems have a code, a place and a message."""
    result = checked(document)
    assert (result.plan is None) == bool(result.problems)
    for problem in result.problems:
        assert problem.code
        assert problem.message
        assert resolves(problem.pointer, document)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_get_an_answer(body: bytes) -> None:
    """Whatever is sent, in either form."""
    for form in ("json", "yaml"):
        result = check(body, form, catalog(), Limits())
        assert result.problems
        assert result.plan is None


@given(st.text(alphabet="ab:- \n{}[]'\"#&*!|>%?,0~.<\t", max_size=60))
def test_any_punctuation_gets_an_answer(text: str) -> None:
    """YAML is made of it."""
    result = check(text.encode(), "yaml", catalog(), Limits())
    assert result.problems
    for problem in result.problems:
        assert problem.line is not None


@given(VALUES)
def test_json_is_read_as_any_decoder_reads_it(document: JsonValue) -> None:
    """The scan refuses nothing that is right, and every value has a position."""
    source = msgspec.json.encode(document)
    value, positions = parse_json(source)
    assert value == msgspec.json.decode(source)
    assert positions.locate(value, [""])[""] == (1, 1)


@given(VALUES)
def test_pretty_json_reads_the_same(document: JsonValue) -> None:
    """White space and line breaks between tokens change nothing."""
    pretty = msgspec.json.format(msgspec.json.encode(document), indent=2)
    assert parse_json(pretty)[0] == parse_json(msgspec.json.encode(document))[0]


@settings(max_examples=share_of_examples(60))
@given(VALUES)
def test_yaml_says_the_same_as_json(document: JsonValue) -> None:
    """A value that PyYAML wrote in block style, every text quoted, is read back as it was."""
    text = yaml.dump(document, Dumper=_Quoting, allow_unicode=True, sort_keys=False, width=200)
    if "\ufeff" in text or "\x85" in text:  # PyYAML writes some characters in ways YAML reads otherwise
        return
    value, _ = parse_yaml(text.encode())
    assert value == msgspec.json.decode(msgspec.json.encode(document))


class _Quoting(yaml.SafeDumper):
    """Writes every text in double quotes, and repeats what is shared."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _quoted)
