"""`flowengine import`: what becomes of workflows of other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.cli.importing.foreign_text import UnreadableError, documents
from flowengine.cli.importing.formats import FORMATS
from flowengine.cli.importing.translated import NOT_TRANSLATED, seconds
from flowengine.cli.importing.written import written
from flowengine.cli.tool import tool
from flowengine.jsonvalue import JsonValue
from tests.property.examples import share_of_examples
from tests.support.documents import checked_text

SAMPLES = Path(__file__).parent / "samples"


def imported(*arguments: str, given: str | None = None, code: int = 0) -> Result:
    """The command in this process; it must end with this exit code."""
    result = CliRunner().invoke(tool, ["import", *arguments], input=given)
    assert result.exit_code == code, result.output
    return result


def sample(name: str) -> tuple[str, dict[str, Any]]:
    """The text that a sample becomes, and the document, which must be valid."""
    text = imported(str(SAMPLES / name)).stdout
    checked = checked_text(text)
    assert checked.problems == ()
    return text, yaml.safe_load(text)


def by_id(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes, those of hooks too."""
    lists = (document.get(name, []) for name in ("nodes", "on_failure", "finally"))
    return {node["id"]: node for nodes in lists for node in nodes}


def missing(nodes: dict[str, dict[str, Any]]) -> set[str]:
    """Those in the place of steps that have no counterpart."""
    return {name for name, node in nodes.items() if node["config"].get("code") == NOT_TRANSLATED}


def test_graph_of_argo() -> None:
    """Tasks, dependencies, parameters of templates, loops, retries, conditions, steps, and the exit hook."""
    _, document = sample("argo.yaml")
    nodes = by_id(document)
    assert document["inputs"]["base_url"] == {"type": "string", "default": "https://shop.example.com"}
    assert nodes["list"]["config"]["url"] == "{{ inputs.base_url }}{{ '/orders?day=' ~ inputs.day }}"
    assert nodes["list"]["retry"] == {
        "max_attempts": 4, "delay_seconds": 5, "multiplier": 2, "max_delay_seconds": 60
    }  # fmt: skip
    assert nodes["each"]["map"] == {"items": "{{ list.result }}"}
    assert nodes["wait"]["config"] == {"seconds": 30}
    assert nodes["script"]["dependencies"] == ["each", "wait"]
    assert nodes["script"]["when"] == "{{ list.result != 'none' }}"
    assert [nodes[name]["dependencies"] for name in ("report_second", "report_third")] == [
        ["report_first"]
    ] * 2
    assert nodes["report_first"]["config"] == {
        "url": "https://x.example.com/p",
        "method": "POST",
        "body": {"a": 1},
    }
    assert [node["id"] for node in document["finally"]] == ["tell"]
    assert missing(nodes) == {"script", "tell"}


def test_steps_of_dagu() -> None:
    """Calls, commands that are calls, outputs, preconditions, retries, and handlers of ends."""
    text, document = sample("dagu.yaml")
    nodes = by_id(document)
    assert nodes["fetch"]["config"]["url"] == "https://api.example.com/days/{{ inputs.DAY }}"
    assert nodes["post_it"]["config"]["body"] == "limit={{ inputs.LIMIT }}"
    assert nodes["post_it"]["when"] == "{{ fetch.result == 'ready' }}"
    assert (nodes["post_it"]["on_error"], nodes["post_it"]["timeout_seconds"]) == ("continue", 30)
    assert missing(nodes) == {"crunch", "on_exit"}
    assert "# - schedule: 0 2 * * *" in text
    assert '#   command: "python crunch.py $1 | tee out"' in text


def test_flow_of_kestra() -> None:
    """Inputs with types, secrets, parallel tasks, both branches of a condition, a loop, and errors."""
    text, document = sample("kestra.yaml")
    nodes = by_id(document)
    assert document["inputs"]["day"]["format"] == "date"
    assert nodes["fetch"]["config"]["headers"] == {"Authorization": "Bearer {{ secrets.API }}"}
    assert nodes["rest"]["dependencies"] == nodes["log"]["dependencies"] == ["fetch"]
    assert nodes["large"]["when"] == "{{ (inputs.limit > 2) }}"
    assert nodes["small"]["when"] == "{{ not ((inputs.limit > 2)) }}"
    assert nodes["check_done"]["trigger_rule"] == "none_failed"
    assert nodes["call"]["map"] == {"items": [1, 2], "max_concurrent": 2}
    assert [node["id"] for node in document["on_failure"]] == ["tell"]
    assert missing(nodes) == {"crunch"}
    assert "the trigger nightly" in text


def test_definition_of_conductor() -> None:
    """Calls, forks and joins, switches, waits, and tasks of workers, which need a handler."""
    _, document = sample("conductor.json")
    nodes = by_id(document)
    assert document["inputs"] == {"day": {}, "kind": {"default": "small"}}
    assert nodes["fetch"]["config"]["body"] == {"kind": "{{ inputs.kind }}"}
    assert nodes["fetch"]["retry"]["max_attempts"] == 4
    assert nodes["a"]["config"] == {"seconds": 120}
    assert nodes["l"]["when"] == "{{ fetch.result.kind == 'large' }}"
    assert nodes["l"]["dependencies"] == nodes["h"]["dependencies"] == ["a", "score"]
    assert nodes["end"]["config"]["url"] == "https://x.example.com/end/{{ fetch.status_code }}"
    assert missing(nodes) == {"score"}


def test_jobs_of_github_actions() -> None:
    """Needs, a matrix, inputs, conditions, secrets; scripts and actions have no counterpart."""
    text, document = sample("github.yaml")
    nodes = by_id(document)
    assert document["inputs"]["target"] == {"type": "string", "enum": ["test", "live"], "default": "test"}
    assert nodes["check_3_11_step_3"]["timeout_seconds"] == 120
    assert nodes["deploy_post"]["dependencies"] == ["check_3_11_step_3", "check_3_12_step_3"]
    assert nodes["deploy_post"]["when"] == "{{ inputs.target == 'live' and not inputs.dry_run }}"
    assert nodes["deploy_post"]["config"]["headers"] == {"Authorization": "Bearer {{ secrets.TOKEN }}"}
    assert nodes["tell_step_1"]["trigger_rule"] == "all_done"
    assert "what starts it: push" in text
    assert "if: github.ref == 'refs/heads/main'" in text


def test_step_whose_condition_means_nothing_here_fails_when_it_runs() -> None:
    """It must not run always instead. What it was is shown above it."""
    flow = {
        "jobs": {"a": {"steps": [{"if": "hashFiles('x') != ''", "run": "curl https://x.example.com/delete"}]}}
    }
    text = imported("-", given=json.dumps(flow)).stdout
    (node,) = yaml.safe_load(text)["nodes"]
    assert node["handler"] == "assert"
    assert "# NOT TRANSLATED: if: hashFiles('x') != ''." in text
    assert "https://x.example.com/delete" in text


def step(run: str, **fields: JsonValue) -> tuple[str, dict[str, Any]]:
    """What a step with this command becomes: the whole text, and its node."""
    flow = {"jobs": {"a": {"steps": [{"run": run, **fields}]}}}
    text = imported("-", given=json.dumps(flow)).stdout
    (node,) = yaml.safe_load(text)["nodes"]
    return text, node


@pytest.mark.parametrize(
    "run",
    [
        'curl -X DELETE "https://x.example.com/items/$ID"',
        "curl https://x.example.com/${ID}",
        "curl https://x.example.com/$(id)",
        "curl https://x.example.com/`id`",
        "curl https://x.example.com -H 'X-Token: $TOKEN'",
        "curl https://x.example.com/\x010\x01",
        "curl https://x.example.com/\x017\x01",
    ],
)
def test_call_with_what_a_shell_puts_in_is_no_call(run: str) -> None:
    """A variable would be called by its name."""
    assert step(run)[1]["config"]["code"] == NOT_TRANSLATED


def test_call_of_a_container_with_a_variable_is_no_call() -> None:
    """Its words are a list, in which placeholders are no variables."""
    for url, handler in (("https://x.example.com/$(ID)", "assert"), ("{{workflow.uid}}", "http_request")):
        container: JsonValue = {"command": ["curl"], "args": [url]}
        document = argo({"name": "main", "container": container})
        (node,) = yaml.safe_load(imported("-", given=document).stdout)["nodes"]
        assert node["handler"] == handler


def test_placeholders_in_a_call_are_no_variables() -> None:
    """They are translated as anywhere else."""
    _, node = step("curl https://x.example.com/${{ github.run_id }}?key=${{ secrets.KEY }}")
    assert node["config"] == {"url": "https://x.example.com/{{ execution.id }}?key={{ secrets.KEY }}"}


def test_options_of_a_call_without_a_counterpart_are_told() -> None:
    """Above the node, which calls."""
    text, node = step("curl -k -o out.json https://x.example.com/")
    assert node["config"] == {"url": "https://x.example.com/"}
    assert "# NOT TRANSLATED: -k of curl. The certificate is checked here." in text
    assert "# NOT TRANSLATED: -o out.json of curl. The answer is the node's result, and in no file." in text
    assert "NOT TRANSLATED" not in step("curl -s -o /dev/null https://x.example.com/")[0]


def test_how_long_and_how_often_a_call_is_tried_is_the_nodes() -> None:
    """`--retry` counts what comes after the first try; without `--retry-delay` curl doubles a second."""
    _, node = step("curl -sS -m 20 --retry 4 https://x.example.com/")
    assert node["timeout_seconds"] == 20
    assert node["retry"] == {
        "max_attempts": 5, "delay_seconds": 1, "multiplier": 2, "max_delay_seconds": 600,
    }  # fmt: skip
    _, node = step("curl --retry 2 --retry-delay 7 --max-time 2.4 https://x.example.com/")
    assert node["timeout_seconds"] == 2
    assert node["retry"] == {"max_attempts": 3, "delay_seconds": 7, "multiplier": 1}


def test_the_shorter_of_two_timeouts_holds() -> None:
    """Of the step and of the call in it."""
    fields: dict[str, JsonValue] = {"timeout-minutes": 1}
    assert step("curl -m 20 https://x.example.com/", **fields)[1]["timeout_seconds"] == 20
    assert step("curl -m 300 https://x.example.com/", **fields)[1]["timeout_seconds"] == 60


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("--connect-timeout 5", "--connect-timeout 5 of curl. timeout_seconds is for the whole call."),
        ("--retry-max-time 60", "--retry-max-time 60 of curl. retry.max_seconds bounds the tries of a node."),
        ("-w '%{http_code}'", "-w %{http_code} of curl. The answer's status is the node's status_code."),
        (
            "--retry-all-errors",
            "--retry-all-errors of curl. retry.when says after what a node is tried again.",
        ),
        ("--max-time soon", "--max-time soon of curl. It is no number."),
    ],
)
def test_options_of_curl_about_time_are_told_where_they_mean_nothing(said: str, told: str) -> None:
    """The node calls; what it lacks stands above it."""
    text, node = step(f"curl {said} https://x.example.com/")
    assert node["config"] == {"url": "https://x.example.com/"}
    assert f"# NOT TRANSLATED: {told}" in text


def test_parameters_in_parameters_grow_to_a_bound() -> None:
    """Each step down may repeat what it is given: a small file would become gigabytes."""

    def calling(inner: str, value: str) -> JsonValue:
        parameter: JsonValue = {"name": "p", "value": value}
        return [[{"name": "s", "template": inner, "arguments": {"parameters": [parameter]}}]]

    names = [f"t{depth}" for depth in range(8)]
    repeated = "{{inputs.parameters.p}}" * 30
    templates: list[dict[str, JsonValue]] = [
        {"name": name, "steps": calling(inner, repeated)}
        for name, inner in zip(names, [*names[1:], "leaf"], strict=True)
    ]
    url: JsonValue = {"url": "https://x.example.com/{{inputs.parameters.p}}"}
    templates.append({"name": "leaf", "http": url})
    result = imported("-", given=argo({"name": "main", "steps": calling("t0", "abc")}, *templates), code=2)
    assert "a text has more than 100,000 characters: import its parts" in result.output


def test_variables_of_a_step_and_of_a_job_are_told() -> None:
    """A value of the workflow's does not stand in for them."""
    call = {"run": "curl https://x.example.com/${{ env.DAY }}"}
    flow = {
        "env": {"DAY": "monday"},
        "jobs": {
            "outer": {"steps": [call]},
            "job": {"env": {"DAY": "today"}, "steps": [call]},
            "step": {"steps": [{**call, "env": {"DAY": "today"}}]},
        },
    }
    text = imported("-", given=json.dumps(flow)).stdout
    nodes = by_id(yaml.safe_load(text))
    assert nodes["outer_step_1"]["config"] == {"url": "https://x.example.com/{{ vars.DAY }}"}
    assert missing(nodes) == {"job_step_1", "step_step_1"}
    assert "# - jobs.job.env" in text
    assert "# NOT TRANSLATED: its env." in text


def argo(*templates: JsonValue) -> str:
    """A workflow that begins with the first of these templates."""
    main = templates[0]
    assert isinstance(main, dict)
    spec = {"entrypoint": main["name"], "templates": list(templates)}
    return json.dumps({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": spec})


def test_matrix_is_not_multiplied_out() -> None:
    """Ten axes of ten values are ten to the power of ten jobs: the first are taken."""
    matrix = {f"axis_{number}": list(range(10)) for number in range(10)}
    job = {"strategy": {"matrix": matrix}, "steps": [{"run": "make"}]}
    text = imported("-", given=json.dumps({"jobs": {"a": job}})).stdout
    assert len(yaml.safe_load(text)["nodes"]) == 20
    assert "jobs.a.strategy.matrix: only the first 20 combinations" in text


@pytest.mark.parametrize("last", [{"suspend": {"duration": "1s"}}, {"steps": []}])
def test_templates_that_call_each_other_are_not_written_out_without_end(last: dict[str, JsonValue]) -> None:
    """Seven templates that call the next ten times each: they end with a refusal, with and without nodes."""
    templates: list[JsonValue] = [
        {
            "name": f"t{level}",
            "dag": {"tasks": [{"name": f"x{number}", "template": f"t{level + 1}"} for number in range(10)]},
        }
        for level in range(7)
    ]
    refused = imported("-", given=argo(*templates, {"name": "t7", **last}), code=2)
    assert "import its parts" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize(
    ("count", "items"),
    [
        ("3", [0, 1, 2]),
        (3, [0, 1, 2]),
        ("9999999999", None),
        ("\u00b2", None),
        ("9" * 5000, None),
        ("1001", None),
    ],
)
def test_count_of_a_sequence_is_a_small_number(count: JsonValue, items: list[int] | None) -> None:
    """One that is none, or too large to be written out, is not translated."""
    task: JsonValue = {"name": "each", "template": "call", "withSequence": {"count": count}}
    document = argo(
        {"name": "main", "dag": {"tasks": [task]}},
        {"name": "call", "http": {"url": "https://x.example.com/{{item}}"}},
    )
    (node,) = yaml.safe_load(imported("-", given=document).stdout)["nodes"]
    assert node.get("map") == (None if items is None else {"items": items})
    assert (node["config"].get("code") == NOT_TRANSLATED) == (items is None)


def test_more_steps_than_a_workflow_may_have_are_refused() -> None:
    """One after the other, or in many jobs, each of which waits for the next."""
    flow = {"jobs": {"a": {"steps": [{"run": "make"}] * 1001}}}
    assert "more than 1000 steps" in imported("-", given=json.dumps(flow), code=2).stderr
    jobs = {f"j{at}": {"needs": f"j{at + 1}", "steps": [{"run": "make"}]} for at in range(5000)}
    assert "more than 1000 steps" in imported("-", given=json.dumps({"jobs": jobs}), code=2).stderr


def test_what_is_of_no_known_format_is_refused() -> None:
    """With the names of those that are known, and exit code 2."""
    for given_text, words in (
        ("a: 1", "none of Argo Workflows"),
        ("a: [", "no YAML in line 1"),
        ("\t", "no YAML"),
    ):
        refused = imported("-", given=given_text, code=2)
        assert words in refused.stderr
        assert refused.stdout == ""
    assert "it has no steps" in imported("-", "--from", "dagu", given="steps: []", code=2).stderr


def test_aliases_do_not_make_a_small_text_large() -> None:
    """They are counted as if they were written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(UnreadableError, match="more than 100000 values"):
        list(documents("\n".join(lines).encode()))


@pytest.mark.parametrize(
    ("written_so", "expected"),
    [
        *((5, 5), ("5", 5), ("1h30m", 5400), ("PT1M30S", 90), ("P1DT1S", 86401), ("500ms", 0.5)),
        *(("soon", None), ("", None), (True, None), ("PT", None)),
    ],
)
def test_durations_are_read_in_all_their_forms(written_so: JsonValue, expected: float | None) -> None:
    """In seconds; what is none is None."""
    assert seconds(written_so) == expected


NAMES = (
    *(
        "name",
        "id",
        "tasks",
        "steps",
        "jobs",
        "type",
        "spec",
        "templates",
        "dag",
        "needs",
        "if",
        "run",
        "uses",
    ),
    *(
        "when",
        "command",
        "namespace",
        "entrypoint",
        "apiVersion",
        "arguments",
        "parameters",
        "value",
        "executor",
    ),
    *(
        "taskReferenceName",
        "inputParameters",
        "http_request",
        "uri",
        "forkTasks",
        "joinOn",
        "depends",
        "with",
    ),
    *("condition", "then", "retry", "timeout", "inputs", "params", "output", "http", "url", "retryStrategy"),
)
TEXTS = st.sampled_from(
    (*NAMES, "{{ inputs.x }}", "${{ a }}", "${b}", "{% x %}", "a\nb", "# c", "\x1b[2J", "HTTP")
)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-10, 10) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=share_of_examples(100), deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), st.sampled_from(sorted(FORMATS)))
def test_any_value_is_translated_into_a_document_that_can_be_read(
    value: dict[str, JsonValue], name: str
) -> None:
    """Whatever stands where: nothing raises, and what comes out is YAML that the validator can look at."""
    text = written(FORMATS[name].translate(value), ["from a test"])
    checked = checked_text(text)
    assert not checked.malformed, (text, checked.problems)
    assert "\x1b" not in text
