"""`flowengine test`: which files it finds, what it prints, how it ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from flowengine.cli.tool import tool

WORKFLOW = """name: nightly
nodes:
  - id: fetch
    handler: http_request
    config: {url: "https://example.com/{{ 1 + 1 }}"}
  - id: total
    handler: aggregate
    config: {inputs: "{{ fetch.data }}", aggregate_type: sum}
    dependencies: [fetch]
"""
PASSES = """workflow: nightly.yaml
tests:
  - name: it adds up
    mocks: {fetch: {result: [1, 2]}}
    expect: {nodes: {total: {result: 3}}}
"""
FAILS = """
  - name: it adds up wrongly
    mocks: {fetch: {result: [1, 2]}}
    expect: {nodes: {total: {result: 4}}}
"""
UNMOCKED = """
  - name: nobody answers
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a workflow, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "nightly.yaml").write_text(WORKFLOW)
    return tmp_path


def run_tests(*arguments: str) -> Result:
    """The command in this process, its two outputs apart."""
    return CliRunner().invoke(tool, ["test", *arguments])


def test_passing_tests_say_their_number(folder: Path) -> None:
    """And nothing on standard output."""
    (folder / "nightly.test.yaml").write_text(PASSES)
    result = run_tests()
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("1 passed, in ")


def test_failure_shows_both_sides_and_the_call(folder: Path) -> None:
    """With the file and the line of the test, as editors read it."""
    (folder / "nightly.test.yaml").write_text(PASSES + FAILS)
    result = run_tests()
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "FAILED nightly.test.yaml:7: it adds up wrongly",
        "                      expected  actual",
        "  nodes.total.result  4         3",
        "  total was called with (call 1 of 1):",
        '      {"inputs":[1,2],"aggregate_type":"sum"}',
        "",
    ]
    assert result.stderr.startswith("1 passed, 1 failed, in ")


def test_what_would_call_out_fails_the_test(folder: Path) -> None:
    """Its rendered config is shown."""
    (folder / "nightly.test.yaml").write_text(PASSES + UNMOCKED)
    result = run_tests()
    assert result.exit_code == 1
    assert "not_mocked: handler 'http_request' would run, and it has no mock" in result.stdout
    assert '{"url":"https://example.com/2"}' in result.stdout


def test_wrong_file_is_told_and_the_others_run(folder: Path) -> None:
    """The exit code says that something is wrong with a file, whatever the others do."""
    (folder / "nightly.test.yaml").write_text(PASSES)
    (folder / "other.test.yaml").write_text("workflow: nothere.yaml\ntests: [{name: a}]\n")
    (folder / "third.test.yaml").write_text(PASSES.replace("mocks", "mcoks"))
    result = run_tests(".")
    assert result.exit_code == 2
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == [
        "other.test.yaml:1:1",
        "third.test.yaml:4:12",
    ]
    assert result.stderr.startswith("1 passed, 2 problems in files, in ")


def test_problems_of_the_workflow_stand_in_its_file(folder: Path) -> None:
    """The same as `validate` says."""
    (folder / "nightly.test.yaml").write_text(PASSES)
    (folder / "nightly.yaml").write_text(WORKFLOW.replace("aggregate_type", "agregate_type"))
    result = run_tests("nightly.yaml")
    assert result.exit_code == 2
    assert result.stdout.startswith("nightly.yaml:8:")


def test_only_tests_of_this_name_run(folder: Path) -> None:
    """Part of the name is enough, in any case; none is an error."""
    (folder / "nightly.test.yaml").write_text(PASSES + FAILS)
    assert run_tests("-k", "UP WRONGLY").stderr.startswith("0 passed, 1 failed")
    assert run_tests("-k", "nightly.test.yaml::it adds up w").exit_code == 1
    assert run_tests("-k", "something else").exit_code == 2


def test_workflow_without_tests_is_told(folder: Path) -> None:
    """With the name that its tests have; and a folder that has none."""
    result = run_tests("nightly.yaml")
    assert result.exit_code == 3
    assert "nightly.test.yaml" in result.output
    assert run_tests().exit_code == 3


def test_files_of_tests_are_no_workflows(folder: Path) -> None:
    """`validate` passes over them, also where a shell has named them."""
    (folder / "nightly.test.yaml").write_text(PASSES)
    for arguments in (["."], ["nightly.yaml", "nightly.test.yaml"]):
        result = CliRunner().invoke(tool, ["validate", *arguments])
        assert (result.exit_code, result.stderr) == (0, "1 file valid\n")


def test_coverage_tells_what_no_test_has_taken(folder: Path) -> None:
    """Of each workflow, in the order of its nodes."""
    (folder / "nightly.test.yaml").write_text(PASSES)
    result = run_tests("--coverage")
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        ["nightly.yaml: 2 of 3 ways taken", "  fetch: no test in which it fails"],
    )
    failing = "\n  - {name: it cannot, mocks: {fetch: {error: {code: timeout}}}, expect: {status: failed}}\n"
    (folder / "nightly.test.yaml").write_text(PASSES + failing)
    assert run_tests("--coverage").stdout == "nightly.yaml: 3 of 3 ways taken\n"


def test_junit_is_written(folder: Path) -> None:
    """With a suite for each file: what passed, what failed, and what could not run."""
    (folder / "nightly.test.yaml").write_text(PASSES + FAILS)
    (folder / "other.test.yaml").write_text("workflow: nothere.yaml\ntests: [{name: a}]\n")
    assert run_tests("--junit", "out.xml").exit_code == 2
    suites = list(ElementTree.parse(folder / "out.xml").getroot())
    counted = [[suite.get(name) for name in ("name", "tests", "failures", "errors")] for suite in suites]
    assert counted == [["nightly.test.yaml", "2", "1", "0"], ["other.test.yaml", "1", "0", "1"]]
    (failure,) = suites[0].iter("failure")
    assert "nodes.total.result  4         3" in (failure.text or "")
    result = run_tests("--junit", "nowhere/out.xml")
    assert (result.exit_code, "cannot write nowhere/out.xml" in result.stderr) == (3, True)
    assert "1 passed, 1 failed, 1 problem in files" in result.stderr


def test_junit_is_xml_whatever_a_file_is_called(folder: Path) -> None:
    """Characters that XML cannot carry, and bytes that are no UTF-8, are escaped."""
    name = os.fsdecode(b"od\xff\x1bd.test.yaml")
    (folder / name).write_text(PASSES)
    (folder / f"wrong{name}").write_text("workflow: nothere.yaml\ntests: [{name: a}]\n")
    assert run_tests("--junit", "out.xml").exit_code == 2
    suites = list(ElementTree.parse(folder / "out.xml").getroot())
    escaped = "od\\udcff\\x1bd.test.yaml"
    assert [suite.get("name") for suite in suites] == [escaped, f"wrong{escaped}"]
    cases = [case for suite in suites for case in suite.iter("testcase")]
    assert [case.get("classname") for case in cases] == [escaped, f"wrong{escaped}"]
    assert cases[0].get("file") == escaped


def test_schema_of_files_of_tests_is_printed() -> None:
    """For editors."""
    result = CliRunner().invoke(tool, ["schema", "--tests"])
    assert json.loads(result.stdout)["$defs"]["Case"]["required"] == ["name"]
