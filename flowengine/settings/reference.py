"""The documentation of the settings, made from their table: the reference's page and `.env.example`."""

from __future__ import annotations

from flowengine.settings.table import SETTINGS, Setting

_HEADER = """\
# Copy to .env and change what you need. Variables of the environment win over this file.
# Every line is the default, commented out. More about them: flowengine help settings
"""


def markdown() -> str:
    """The table in the reference's page on settings."""
    rows = [
        f"| `{setting.name}`{' (or `_FILE`)' if setting.from_file else ''} | {_code(setting)} | "
        f"{setting.summary} | {setting.parser.allowed} |"
        for setting in SETTINGS
    ]
    return (
        "\n".join(["| setting | default | what it does | allowed |", "| --- | --- | --- | --- |", *rows])
        + "\n"
    )


def env_example() -> str:
    """The text of `.env.example`."""
    return _HEADER + "".join(
        f"\n# {_comment(setting)}\n# {setting.name}={_show(setting)}\n" for setting in SETTINGS
    )


def _comment(setting: Setting) -> str:
    file = f" {setting.name}_FILE may name a file that holds it." if setting.from_file else ""
    return f"{setting.summary} Allowed: {setting.parser.allowed}.{file}"


def _code(setting: Setting) -> str:
    return f"`{shown}`" if (shown := _show(setting)) else ""


def _show(setting: Setting) -> str:
    value = setting.default()
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
