"""What is promised of the wheel, compose.yaml, the Dockerfile, the justfile and CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowengine.api.routes.service.documentation_pages import FOLDER
from flowengine.cli.commands.help import TOPICS
from flowengine.settings.table import SETTINGS

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
RECIPES = {"up", "down", "logs", "dev", "run", "test", "check", "fmt", "bench", "validate"}


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv, which builds it, is not installed here")
def test_wheel_holds_the_package_and_its_reference(tmp_path: Path) -> None:
    """Every topic of the reference is in it, and nothing but the package and what describes it."""
    command = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, timeout=100, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0].removesuffix(".dist-info").partition("-")[0] for name in names}
    assert folders == {"flowengine"}
    shipped = {name for name in names if name.startswith("flowengine/") and not name.endswith(".py")}
    swagger_ui = {path.relative_to(ROOT).as_posix() for path in FOLDER.iterdir()}
    topics = {f"flowengine/reference/{topic}.md" for topic in TOPICS}
    assert shipped == {"flowengine/py.typed", *topics, *swagger_ui}


def test_image_is_built_from_all_that_the_wheel_needs() -> None:
    """What Docker may see includes the package as a whole, README and the license."""
    admitted = (ROOT / ".dockerignore").read_text().split()
    assert {"!flowengine", "!pyproject.toml", "!README.md", "!LICENSE"} <= set(admitted)
    assert not [pattern for pattern in admitted if pattern.endswith(".md") and pattern[0] != "!"]


def test_only_the_api_is_published_and_on_loopback_only() -> None:
    """No other machine reaches the stack."""
    published = {name: service.get("ports") for name, service in COMPOSE["services"].items()}
    assert published.pop("api") == ["127.0.0.1:${FLOWENGINE_PORT:-8000}:8000"]
    assert set(published.values()) == {None}


def test_every_setting_may_stand_in_the_env_file_of_the_containers() -> None:
    """Each is passed on to a service that reads it, empty where it is not set; the rest is named."""
    header = (ROOT / "compose.yaml").read_text().partition("name: flowengine")[0]
    passed = set()
    for service in ("api", "orchestrator", "worker"):
        for name, value in _environment(service).items():
            passed |= {name} if value.startswith(f"${{{name}:-") and value.endswith("}") else set()
    rest = {setting.name for setting in SETTINGS} - passed
    assert rest == {
        "REDIS_URL",
        "FLOWENGINE_HOST",
        "FLOWENGINE_PORT",
        "FLOWENGINE_INSECURE",
        "FLOWENGINE_GRACE_SECONDS",
    }
    assert [name for name in rest if name not in header] == []


def test_each_credential_reaches_only_the_service_that_needs_it() -> None:
    """The API's keys and the language model's key are no business of the others."""
    holders = {
        name: [key for key in ("api", "orchestrator", "worker") if name in _environment(key)]
        for name in ("FLOWENGINE_API_KEYS", "LLM_API_KEY")
    }
    assert holders == {"FLOWENGINE_API_KEYS": ["api"], "LLM_API_KEY": ["worker"]}


def _environment(service: str) -> dict[str, str]:
    found: dict[str, str] = COMPOSE["services"][service]["environment"]
    return found


def test_redis_keeps_what_it_is_told() -> None:
    """Append-only file on, nothing evicted."""
    command = " ".join(COMPOSE["services"]["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_every_service_has_a_health_check_and_stops_within_ten_seconds() -> None:
    """Commands are lists, so that signals reach the program and not a shell."""
    for service in COMPOSE["services"].values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["stop_grace_period"] == "10s"
        assert isinstance(service["command"], list)


def test_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    """Non-root, exec-form entry point, two stages, packages from the default index."""
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER (?!0\b|root)", text, re.MULTILINE)
    assert 'ENTRYPOINT ["flowengine"]' in text
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert "index-url" not in text


def test_just_lists_the_recipes() -> None:
    """`just` with no argument lists them, each with what it does."""
    just = _just()
    listed = subprocess.run([just], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    described = {line.split()[0] for line in listed.splitlines()[1:] if "#" in line}
    assert described >= RECIPES


def test_up_without_a_container_engine_names_the_way_without(tmp_path: Path) -> None:
    """Where no engine is found, `just up` says so and names `just dev`."""
    just = _just()
    for tool in ("bash", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    environment = {**os.environ, "PATH": str(tmp_path)}
    up = subprocess.run([just, "up"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert up.returncode == 1
    assert "No container engine" in up.stderr
    assert "just dev" in up.stderr


def _just() -> str:
    found = shutil.which("just", path=sysconfig.get_path("scripts"))
    assert found is not None, "just is in the development group: uv sync"
    return found


def test_check_is_what_ci_runs() -> None:
    """`just check` is the CI script and nothing else; the script runs lint, format, types and tests."""
    recipe = re.search(r"^check:\n((?:    .*\n)+)", (ROOT / "justfile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe[1].split() == [".ci/run"]
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("ruff check", "ruff format --check", "mypy", "pytest"):
        assert command in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
