"""The tests of the examples notice it if a condition, a retry, a rule, a map or a config of their workflow is
another."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from flowengine.cli.workflow_files import find_case_files
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Settings
from flowengine.testing.case_files import load, run_loaded
from flowengine.workflow import check_document
from flowengine.workflow.reading.json_parser import parse_json
from flowengine.workflow.reading.yaml_parser import parse_yaml
from tests.support.documents import EXAMPLES, JsonObject, catalog

WHOLE: Final = re.compile(r"\s*\{\{(.*)\}\}\s*", re.DOTALL)
NOT_TESTED: Final = ("defaults", "schedules")
"""What other tests look at: a file of tests starts its workflow by itself."""
CONDITIONS: Final = ("when", "that", "until")


def negated(template: JsonValue) -> str:
    """The opposite."""
    found = WHOLE.fullmatch(template) if isinstance(template, str) else None
    assert found is not None, template
    return f"{{{{ not ({found[1].strip()}) }}}}"


def shortened(template: JsonValue) -> str:
    """A list without its last item."""
    found = WHOLE.fullmatch(template) if isinstance(template, str) else None
    assert found is not None, template
    return f"{{{{ ({found[1].strip()})[:-1] }}}}"


def changes(owner: JsonValue, place: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each way to break something in this value: its place, and what does it."""
    if isinstance(owner, list):
        for at, value in enumerate(owner):
            yield from changes(value, f"{place}/{at}")
    if not isinstance(owner, dict):
        return
    for field, value in owner.items():
        here = f"{place}/{field}"
        if field in CONDITIONS and isinstance(value, str):
            yield f"{here} negated", partial(owner.update, {field: negated(value)})
        elif field == "retry" and isinstance(value, dict) and "/nodes/" in place:
            yield f"{here} without tries", partial(value.update, {"max_attempts": 1})
        elif field == "trigger_rule":
            yield f"{here} left out", partial(owner.pop, field)
        elif field == "map" and isinstance(value, dict):
            yield f"{here} cut", partial(value.update, {"items": shortened(value["items"])})
        elif field == "config" and isinstance(value, dict):
            for name, said in value.items():
                if name not in CONDITIONS and isinstance(said, str) and "{{" in said:
                    yield f"{here}/{name} emptied", partial(value.update, {name: ""})
        yield from changes(value, here) if field not in NOT_TESTED else ()


def document_of(path: Path) -> JsonObject:
    """What the file says."""
    value, _ = parse_json(path.read_bytes()) if path.suffix == ".json" else parse_yaml(path.read_bytes())
    assert isinstance(value, dict)
    return value


def mutants(path: Path) -> Iterator[tuple[str, JsonObject]]:
    """The document, broken in one place."""
    for at, (place, _) in enumerate(changes(document_of(path), "")):
        document = copy.deepcopy(document_of(path))
        _, break_it = list(changes(document, ""))[at]
        break_it()
        yield place, document


@pytest.mark.parametrize("workflow", EXAMPLES, ids=lambda path: path.name)
def test_a_broken_example_fails_its_tests(workflow: Path) -> None:
    """Or is refused before a test runs."""
    (path,) = find_case_files([workflow], lambda link: None)
    loaded = load(path, catalog(), Settings())
    unnoticed = []
    for place, document in mutants(workflow):
        checked = check_document(document, catalog(), Settings().limits)
        if checked.plan is None:
            continue
        broken = replace(loaded, plan=checked.plan)
        if all(outcome.passed for outcome in run_loaded(broken, catalog(), Settings(), {})):
            unnoticed.append(place)
    assert unnoticed == []


def test_there_is_much_to_break() -> None:
    """So that the test above says something."""
    found = [place for path in EXAMPLES for place, _ in mutants(path)]
    assert {place.split()[-1] for place in found} == {"negated", "tries", "out", "cut", "emptied"}
    assert len(found) > 100
