"""Makes Settings of the environment and `.env`, or one message that names every wrong setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from flowengine.errors import SettingsError
from flowengine.nearest_name import nearest_name
from flowengine.settings.dotenv import environment
from flowengine.settings.model import Limits, Settings
from flowengine.settings.parsing import RefusedError, Value
from flowengine.settings.table import BY_NAME, READ_ELSEWHERE, SETTINGS, Setting

_OURS = "FLOWENGINE_"
_SECRETS = "FLOWENGINE_SECRET_"


def load_settings(
    environ: Mapping[str, str], dotenv: Path | None, *, wanted: Callable[[Setting], bool] = lambda _: True
) -> Settings:
    """The settings of this process. The environment wins over `.env`.

    `wanted`: which settings are read. The others keep their defaults, whatever stands there.

    An empty value counts as not set, and so does one of spaces only. But a secret of spaces only is
    wrong: something has failed to fill it in.

    Names that look like ours and are not known are in `Settings.unknown`, each with the nearest known
    name, for the caller to log. Raises SettingsError with every wrong setting and what it allows. The
    wrong value itself is not repeated: it may be a secret.
    """
    chosen = [setting for setting in SETTINGS if wanted(setting)]
    variables = environment(environ, dotenv, files_of=[setting.name for setting in chosen])
    values: dict[str, Value] = {}
    wrong: list[str] = []
    for setting in chosen:
        given = variables.get(setting.name, "")
        text = given.strip()
        if not text:
            if given and setting.from_file:
                wrong.append(f"{setting.name} is set to spaces only: unset it, or give it a value")
            continue
        try:
            values[setting.field] = setting.parser.parse(text)
        except RefusedError as error:
            wrong.append(f"{setting.name} must be {setting.parser.allowed}; {error}")
        except ValueError:
            wrong.append(f"{setting.name} must be {setting.parser.allowed}")
    if wrong:
        raise SettingsError("\n".join(wrong))
    return _build(values, tuple(unknown_names(variables)))


def _build(values: Mapping[str, Value], unknown: tuple[str, ...]) -> Settings:
    limits = {
        path.removeprefix("limits."): value for path, value in values.items() if path.startswith("limits.")
    }
    fields = {path: value for path, value in values.items() if not path.startswith("limits.")}
    return Settings(**fields, limits=Limits(**limits), unknown=unknown)  # type: ignore[arg-type]  # the table's parsers give each field's type; a test checks it


def unknown_names(variables: Mapping[str, str]) -> Iterator[str]:
    """Names that look like ours and are not known, each with the nearest known one."""
    names = set(BY_NAME) | {f"{setting.name}_FILE" for setting in SETTINGS if setting.from_file}
    known = sorted(name.removeprefix(_OURS) for name in names if name.startswith(_OURS))
    for name in sorted(variables):
        if name.startswith(_OURS) and not name.startswith(_SECRETS) and name not in READ_ELSEWHERE | names:
            nearest = nearest_name(name.removeprefix(_OURS), known)
            yield name if nearest is None else f"{name} (did you mean {_OURS}{nearest}?)"
