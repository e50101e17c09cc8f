"""The files of `flowengine/monitoring`, parsed: the metrics, labels, services and files in them exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from flowengine.observability.metrics import counted, gauges
from flowengine.observability.metrics.exposition import Exposition

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "flowengine" / "monitoring"
STACK: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
NAME = re.compile(r"flowengine_[a-z_]+")
FROM_PROMETHEUS = {"job", "instance", "le"}


def parsed(name: str) -> Any:
    """A file of the folder."""
    return yaml.safe_load((FOLDER / name).read_text())


RULES: list[dict[str, Any]] = parsed("alerts.yaml")["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = msgspec.json.decode((FOLDER / "dashboard.json").read_bytes())
COMPOSE: dict[str, Any] = parsed("compose.yaml")


def expressions() -> Iterator[str]:
    """Every expression of rules and panels."""
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])


def known() -> dict[str, set[str]]:
    """The series that there are, and their labels."""
    families = (*counted.COUNTERS, *gauges.OF_PROCESSES, *gauges.OF_THE_API)
    found = {family.name: {*family.labels} for family in families}
    for family in counted.HISTOGRAMS:
        found |= {f"{family.name}_{part}": {*family.labels} for part in ("bucket", "sum", "count")}
    text, _ = Exposition("api", lambda: ()).text("")
    own = re.findall(r"^(flowengine_process_[a-z_]+) ", text.decode(), re.MULTILINE)
    return found | {name: set[str]() for name in own}


@pytest.mark.parametrize("expression", list(expressions()))
def test_metrics_and_labels_that_are_asked_for_exist(expression: str) -> None:
    """A panel of a metric that was renamed stays empty, and an alert of it silent."""
    series = known()
    named = NAME.findall(re.sub(r'"[^"]*"', "", expression))
    assert [name for name in named if name not in series] == []
    labels = set().union(*(series[name] for name in named)) | FROM_PROMETHEUS
    grouped = [label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")]
    selected = re.findall(r"(\w+)=\"", expression)
    assert {*grouped, *selected} <= labels


def test_expressions_are_balanced() -> None:
    """As much as can be said without Prometheus."""
    for expression in expressions():
        bare = re.sub(r'"[^"]*"', "", expression)
        assert all(bare.count(left) == bare.count(right) for left, right in ("()", "{}", "[]")), expression


def test_values_of_labels_that_are_selected_exist() -> None:
    """Statuses, outcomes and jobs."""
    values = {value for text in expressions() for value in re.findall(r'(\w+="[^"]*")', text)}
    jobs = {f'job="{job["job_name"]}"' for job in parsed("prometheus.yaml")["scrape_configs"]}
    assert values <= jobs | {'status="running"', 'status="failed"', 'outcome="failed"'}


def test_every_alert_says_what_it_is_and_the_reference_what_to_do() -> None:
    """A summary, a description, a severity, and a row in the page on operating."""
    page = (ROOT / "flowengine/reference/operating.md").read_text()
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert f"`{rule['alert']}`" in page
    assert set(re.findall(r"`(FlowEngine\w+)`", page)) == {rule["alert"] for rule in RULES}


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Panels have ids, places that do not overlap, a source that is provisioned, and a sentence each."""
    (source,) = parsed("grafana-datasource.yaml")["datasources"]
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: list[tuple[int, int]] = []
    for panel in panels:
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells += [(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])]
    assert len(set(cells)) == len(cells)


def test_prometheus_looks_where_the_stack_serves() -> None:
    """At services of compose.yaml, under a name that the API answers to; its rules are in the folder."""
    config = parsed("prometheus.yaml")
    assert [name for name in config["rule_files"] if not (FOLDER / name).exists()] == []
    targets = [target for job in config["scrape_configs"] for target in job["static_configs"][0]["targets"]]
    assert {target.partition(":")[0] for target in targets} == {"api", "orchestrator", "worker"}
    assert STACK["services"]["api"]["environment"]["FLOWENGINE_SERVED_HOSTS"].endswith(",api}")
    assert "api:8000" in targets
    network = COMPOSE["networks"]["flowengine"]
    assert network == {"external": True, "name": f"{STACK['name']}_state"}


def test_the_containers_are_as_hardened_as_those_of_the_stack() -> None:
    """Files from the folder, ports on loopback, no capabilities; images by plain names with a version."""
    for service in COMPOSE["services"].values():
        assert service["read_only"] is True
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"])
        mounted = [volume.partition(":")[0] for volume in service["volumes"]]
        assert [name for name in mounted if name.startswith(".") and not (FOLDER / name).exists()] == []
