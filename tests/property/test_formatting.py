"""Any workflow in YAML, in any order and style, with comments: its layout is one, and says the same."""

from __future__ import annotations

import re
from collections import Counter

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.cli.authoring.formatting.formatted import formatted
from flowengine.cli.authoring.formatting.moved_lines import comments
from flowengine.jsonvalue import JsonValue
from tests.property.examples import share_of_examples
from tests.property.graphs import graphs
from tests.support.documents import checked_text

WORDS = ("plain", "two words", "yes", "null", "12", "0o7", "2026-01-01", "# no comment", "a: b", "- x", "")
ODD = ("ü", "{{ execution.name }}", "one\ntwo\n", "  led", "it's", 'say "x"', "ends with #", "x " * 60)
TEXTS = st.sampled_from((*WORDS, *ODD))
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**53) | st.floats(-1e9, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("zyxab"), inner, max_size=3),
    max_leaves=6,
)

OPTIONAL = ("timeout_seconds", "description")
BEGINS_A_FIELD = re.compile(r" *(- )*[a-z_]+:( |$)")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, JsonValue]:
    """Workflows whose fields stand in any order."""
    nodes: list[JsonValue] = []
    for node, parents in draw(graphs(most=4)).items():
        fields: dict[str, JsonValue] = {
            "id": node,
            "handler": "set",
            "config": {"value": draw(VALUES)},
            "dependencies": list(parents),
            "timeout_seconds": 5,
            "description": draw(TEXTS),
        }
        kept = [name for name in fields if name not in OPTIONAL or draw(st.booleans())]
        nodes.append({name: fields[name] for name in draw(st.permutations(kept))})
    document: dict[str, JsonValue] = {"name": "x", "nodes": nodes, "vars": {"one": draw(VALUES)}}
    return {name: document[name] for name in draw(st.permutations(list(document)))}


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Their texts, in block style, in braces or in both, with comments above fields, and blank lines."""
    in_braces = draw(st.sampled_from((None, True, False)))
    text: str = yaml.safe_dump(
        draw(documents()),
        sort_keys=False,
        default_flow_style=in_braces,
        indent=draw(st.sampled_from((2, 3, 4))),
        allow_unicode=True,
        width=1_000_000,
    )
    lines = []
    for line in text.splitlines():
        if BEGINS_A_FIELD.match(line) and draw(st.integers(0, 3)) == 0:
            indent = " " * (len(line) - len(line.lstrip()))
            lines.append(draw(st.sampled_from(("# far left", "    # further in", "", f"{indent}# above"))))
        lines.append(line)
    # Behind a document that is in braces as a whole there is no place for a comment: that is refused.
    ends = ("", "\n", "\n\n", *(() if in_braces else ("\n# the end\n",)))
    end: str = draw(st.sampled_from(ends))
    return "\n".join(lines) + end


@settings(max_examples=share_of_examples(20), deadline=None)
@given(texts())
def test_layout_says_the_same_and_settles(text: str) -> None:
    """The plan is the one that it was, no comment goes, and a second time changes nothing."""
    before = checked_text(text)
    found = formatted(text.encode())
    after = checked_text(found)
    assert after.plan == before.plan
    assert [each.code for each in after.problems] == [each.code for each in before.problems]
    assert formatted(found.encode()) == found
    assert Counter(comments(found)) == Counter(comments(text))
