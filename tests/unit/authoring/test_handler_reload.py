"""Handler modules: which files are watched, and when what loads them is started again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flowengine.cli.authoring.handler_files import handler_files
from flowengine.cli.authoring.handler_reload import HandlerReload
from tests.support.waiting import wait_until

HANDLERS = """
from flowengine.plugin import Context, handler
import msgspec
class Config(msgspec.Struct):
    name: str
@handler("greet_{word}")
def greet(config: Config, context: Context) -> dict:
    return {{"result": "{word}"}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module of handlers."""
    monkeypatch.chdir(tmp_path)
    Path("own_greetings.py").write_text(HANDLERS.format(word="hello"))
    return tmp_path


class Reloading:
    """What was told, and how often it was restarted."""

    def __init__(self, *modules: str) -> None:
        self.told: list[str] = []
        self.restarts = 0
        self.reload = HandlerReload(
            modules, {**os.environ, "FLOWENGINE_HANDLERS": ",".join(modules)}, self._restart, self.told.append
        )

    def _restart(self) -> None:
        self.restarts += 1

    def look_until(self, condition: Callable[[], object]) -> None:
        """Look until it is true."""

        def looked() -> object:
            self.reload.look()
            return condition()

        wait_until(looked, within_s=60)


def test_module_in_the_folder_brings_all_its_python_files(project: Path) -> None:
    """It may import each; what others have put there, and tests, are left out."""
    for name in ("lib/part.py", "tests/test_it.py", ".venv/x.py", "env/pyvenv.cfg", "env/y.py", "notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert handler_files(["own_greetings"]) == [project / "own_greetings.py", project / "lib" / "part.py"]


def test_module_elsewhere_brings_its_package_alone(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that it stands in is none of ours."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far_package").mkdir()
    for name in ("far_package/__init__.py", "far_package/inner.py", "beside.py", "far_module.py"):
        (elsewhere / name).touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(elsewhere)])
    found = handler_files(["far_package.inner", "far_module", "not_there_at_all"])
    assert [path.relative_to(elsewhere).as_posix() for path in found] == [
        "far_package/__init__.py",
        "far_package/inner.py",
        "far_module.py",
    ]


def test_change_that_loads_restarts_and_one_that_does_not_is_told(project: Path) -> None:
    """The services stay as they are until the module is right again; an import that was missing may come."""
    rig = Reloading("own_greetings")
    with rig.reload:
        Path("own_greetings.py").write_text("import lent_words\n" + HANDLERS.format(word="bye"))
        rig.look_until(lambda: rig.told)
        assert "No module named 'lent_words'" in rig.told[0]
        assert rig.told[0].startswith(
            "handlers not reloaded: FLOWENGINE_HANDLERS names module 'own_greetings'"
        )
        assert rig.restarts == 0
        Path("lent_words.py").write_text("WORD = 1\n")
        rig.look_until(lambda: rig.restarts)
        assert rig.told[-1] == "handlers reloaded: lent_words.py, own_greetings.py changed"
        assert rig.restarts == 1


def test_new_file_that_nothing_imports_restarts_nothing(project: Path) -> None:
    """A change of one that was there does."""
    rig = Reloading("own_greetings")
    with rig.reload:
        Path("scratch.py").write_text("x = 1\n")
        for _ in range(3):
            rig.reload.look()
        Path("own_greetings.py").write_text(HANDLERS.format(word="good_morning"))
        rig.look_until(lambda: rig.told)
        assert rig.told == ["handlers reloaded: own_greetings.py changed"]
