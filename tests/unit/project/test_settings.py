"""Settings: what is read, what wins, what is refused, and that the documentation says so."""

from __future__ import annotations

import os
import re
import typing
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from flowengine.errors import SettingsError
from flowengine.settings import Limits, Settings, environment, load_settings
from flowengine.settings.reference import env_example, markdown
from flowengine.settings.table import SETTINGS

ROOT = Path(__file__).parents[3]
ENTRY = "ops." + sha256(b"key").hexdigest()


def write(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_set_gives_the_defaults() -> None:
    """An empty environment and no file are a complete configuration."""
    assert load_settings({}, None) == Settings()


def test_a_missing_dotenv_is_no_error(tmp_path: Path) -> None:
    """Nobody needs a .env file."""
    assert load_settings({}, tmp_path / ".env") == Settings()


def test_the_environment_wins_over_dotenv(tmp_path: Path) -> None:
    """A variable set in both is taken from the environment; the rest comes from the file."""
    dotenv = write(tmp_path, "REDIS_URL=redis://file:1\nFLOWENGINE_MAX_NODES=7\n")
    settings = load_settings({"REDIS_URL": "redis://environment:2"}, dotenv)
    assert (settings.redis_url, settings.limits.max_nodes) == ("redis://environment:2", 7)


def test_an_empty_value_counts_as_not_set() -> None:
    """`NAME=` in a compose file leaves the default."""
    environ = {"FLOWENGINE_LOG_LEVEL": " ", "FLOWENGINE_API_KEYS": "", "FLOWENGINE_API_KEYS_FILE": ""}
    assert load_settings(environ, None) == Settings()


@pytest.mark.parametrize("blank", [" ", "\n", "\t \n"])
@pytest.mark.parametrize("name", ["FLOWENGINE_API_KEYS", "REDIS_URL", "LLM_API_KEY"])
def test_a_secret_that_is_there_but_blank_stops_the_start(tmp_path: Path, name: str, blank: str) -> None:
    """A secret that was not mounted or filled in is an error. It does not mean "no secret"."""
    file = tmp_path / "secret"
    file.write_text(blank)
    with pytest.raises(SettingsError, match=f"^{name} is set to spaces only"):
        load_settings({name: blank}, None)
    with pytest.raises(SettingsError, match=f"^{name}_FILE: .* holds nothing"):
        load_settings({name: "", f"{name}_FILE": str(file)}, None)


def test_the_containers_without_keys_start_as_before() -> None:
    """compose.yaml passes what is not set as an empty text, which stays "not set"."""
    passed = re.findall(r"(\w+): \$\{\w+:-\}", (ROOT / "compose.yaml").read_text())
    assert "FLOWENGINE_API_KEYS" in passed
    assert load_settings(dict.fromkeys(passed, ""), None) == Settings()


def test_every_wrong_setting_is_named_at_once_and_no_value_is_shown() -> None:
    """One message lists all of them with what is allowed, without repeating what may be a secret."""
    wrong = {"REDIS_URL": "s3cret", "FLOWENGINE_PORT": "70000", "FLOWENGINE_API_KEYS": "s3cret"}
    with pytest.raises(SettingsError) as caught:
        load_settings(wrong, None)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["REDIS_URL", "FLOWENGINE_PORT", "FLOWENGINE_API_KEYS"]
    assert "from 0 to 65535" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FLOWENGINE_LEASE_SECONDS", "nan"),
        ("FLOWENGINE_LEASE_SECONDS", "inf"),
        ("FLOWENGINE_LEASE_SECONDS", "0"),
        ("FLOWENGINE_MAX_NODES", "1e3"),
        ("FLOWENGINE_MAX_NODES", "٣"),
        ("FLOWENGINE_MAX_NODES", "9" * 5000),
        ("FLOWENGINE_EGRESS", "everywhere"),
        ("FLOWENGINE_INSECURE", "maybe"),
        ("FLOWENGINE_HANDLERS", "my handlers.py, ../x"),
        ("LLM_BASE_URL", "ftp://host"),
        ("LLM_BASE_URL", "http://host:port"),
        ("LLM_API_KEY", "a\tb"),
        ("REDIS_URL", "http://host"),
    ],
)
def test_a_wrong_value_is_refused(name: str, text: str) -> None:
    """The start stops with the setting's name."""
    with pytest.raises(SettingsError, match=f"^{name} must be"):
        load_settings({name: text}, None)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://me:hun#ter2@h/v1", "write / as %2F, ? as %3F, # as %23"),
        ("http://me:hun/ter2@h/v1", "write / as %2F, ? as %3F, # as %23"),
        ("http://[hun", "its host or port cannot be read"),
        ("http://h/v\n1", "a line break"),
        ("https://h /v1", "a space"),
        ("https:///v1", "it names no host"),
    ],
)
def test_a_wrong_address_of_a_model_says_why_and_shows_nothing_of_it(url: str, reason: str) -> None:
    """Its password may have a character that splits it."""
    with pytest.raises(SettingsError, match=r"^LLM_BASE_URL must be a URL that starts with http") as caught:
        load_settings({"LLM_BASE_URL": url}, None)
    assert reason in str(caught.value)
    assert not [piece for piece in ("hun", "ter2") if piece in str(caught.value)]


def test_right_values_of_every_kind_are_taken() -> None:
    """Words in any case, lists by comma or space, sockets as Redis URLs."""
    settings = load_settings(
        {
            "REDIS_URL": "unix:///run/redis.sock",
            "FLOWENGINE_EGRESS": "ANY",
            "FLOWENGINE_INSECURE": "Yes",
            "FLOWENGINE_HANDLERS": "a.b, c",
            "FLOWENGINE_API_KEYS": f"{ENTRY}\n{ENTRY},",
            "FLOWENGINE_LEASE_SECONDS": "2.5",
        },
        None,
    )
    assert settings == Settings(
        redis_url="unix:///run/redis.sock",
        egress="any",
        insecure=True,
        handlers=("a.b", "c"),
        api_keys=(ENTRY,),
        lease_s=2.5,
    )


def test_a_misspelled_name_is_kept_with_its_nearest_neighbour() -> None:
    """Unknown FLOWENGINE_ names are collected for a warning, secrets are not."""
    environ = {
        "FLOWENGINE_LOGLEVEL": "debug",
        "FLOWENGINE_SECRET_TOKEN": "x",
        "FLOWENGINE_WORKER_PROCESSES": "2",
        "FLOWENGINE_QQ": "1",
        "HOME": "/",
    }
    assert load_settings(environ, None).unknown == (
        "FLOWENGINE_LOGLEVEL (did you mean FLOWENGINE_LOG_LEVEL?)",
        "FLOWENGINE_QQ",
    )


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """NAME_FILE is read when NAME is not set, for the settings and for what handlers read."""
    file = tmp_path / "key"
    file.write_text("abc\n")
    environ = {"LLM_API_KEY_FILE": str(file)}
    assert load_settings(environ, None).llm_api_key == "abc"
    assert environment(environ, None)["LLM_API_KEY"] == "abc"


def test_an_unreadable_secret_file_is_named(tmp_path: Path) -> None:
    """A missing file stops the start with the variable's name."""
    with pytest.raises(SettingsError, match="FLOWENGINE_API_KEYS_FILE"):
        load_settings({"FLOWENGINE_API_KEYS_FILE": str(tmp_path / "none")}, None)


def test_dotenv_knows_comments_quotes_and_export(tmp_path: Path) -> None:
    """The usual forms of a line, and nothing is expanded."""
    dotenv = write(
        tmp_path,
        "\ufeff# comment\n\nexport A=1\nB = two words  # why\nC='it # is $A'\n"
        'D="a\\nb \\"q\\" \\\\n" # c\nE=\nF=a#b\nG=#none\nH="" \n',
    )
    assert environment({}, dotenv) == {
        "A": "1",
        "B": "two words",
        "C": "it # is $A",
        "D": 'a\nb "q" \\n',
        "E": "",
        "F": "a#b",
        "G": "#none",
        "H": "",
    }


def test_dotenv_knows_values_over_several_lines(tmp_path: Path) -> None:
    """A key in PEM, in either kind of quotes; what follows is read."""
    dotenv = write(tmp_path, "A='one\ntwo\nthree'\nB=\"four\n\nfive\"\nC=6\n")
    assert environment({}, dotenv) == {"A": "one\ntwo\nthree", "B": "four\n\nfive", "C": "6"}


@pytest.mark.parametrize(
    "line",
    ["FOO", "foo.bar=1", "my-key=1", "Q='it'\"'\"'s'", "A='open", 'A="x" y', "1A=2", "=x", "%%%", "no value"],
)
def test_lines_of_other_tools_are_ignored(tmp_path: Path, line: str) -> None:
    """A `.env` is shared: what sets nothing of ours is read if it can be, and never stops the start."""
    dotenv = write(tmp_path, f"FLOWENGINE_PORT=1\n{line}\nFLOWENGINE_MAX_NODES=7\n")
    settings = load_settings({}, dotenv)
    assert (settings.api_port, settings.limits.max_nodes) == (1, 7)


@pytest.mark.parametrize(
    "line",
    [
        "FLOWENGINE_INSECURE",
        "LLM_API_KEY='it'\"'\"'s'",
        "REDIS_URL='open",
        'export FLOWENGINE_SECRET_A="x" y',
        "set LLM_MODEL=m",
        "$env:LLM_API_KEY = 'it'",
        "LLM_MODEL: m",
    ],
)
def test_line_of_ours_that_cannot_be_read_is_named(tmp_path: Path, line: str) -> None:
    """A mistyped secret is not "no secret". The message says which line, and not what is in it."""
    with pytest.raises(SettingsError, match=r"\.env:4: expected [A-Z_]+=value") as caught:
        environment({}, write(tmp_path, f"A=1\nfoo\n\n{line}\n"))
    assert "it'" not in str(caught.value)


@pytest.mark.proves("setting-names-endless-file")
def test_files_that_do_not_end_or_wait_are_refused(tmp_path: Path) -> None:
    """A device, a pipe, a folder, a file of a gigabyte: at once, without reading them."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(1024**3)
    for path, reason in (
        (Path("/dev/zero"), "no regular file"),
        (pipe, "no regular file"),
        (tmp_path, "no regular file"),
        (large, "larger than 1048576 bytes"),
        (tmp_path / "none", "No such file"),
    ):
        for name in ("REDIS_URL", "LLM_API_KEY", "FLOWENGINE_API_KEYS"):
            with pytest.raises(SettingsError, match=f"{name}_FILE: cannot read .*{reason}"):
                load_settings({f"{name}_FILE": str(path)}, None)


def test_dotenv_is_bounded_and_a_regular_file(tmp_path: Path) -> None:
    """One of a gigabyte is refused; a pipe, a folder or a device of that name counts as none."""
    dotenv = tmp_path / ".env"
    with dotenv.open("wb") as file:
        file.truncate(1024**3)
    with pytest.raises(SettingsError, match="larger than 1048576 bytes"):
        load_settings({}, dotenv)
    dotenv.unlink()
    os.mkfifo(dotenv)
    assert load_settings({}, dotenv) == Settings()
    dotenv.unlink()
    dotenv.symlink_to("/dev/zero")
    assert load_settings({}, dotenv) == Settings()


def test_only_wanted_settings_are_read(tmp_path: Path) -> None:
    """The others keep their defaults, wrong ones too, and their files are not opened."""
    environ = {
        "REDIS_URL_FILE": str(tmp_path / "none"),
        "FLOWENGINE_PORT": "wrong",
        "FLOWENGINE_MAX_NODES": "7",
    }
    settings = load_settings(environ, None, wanted=lambda setting: setting.field.startswith("limits."))
    assert settings == Settings(limits=Limits(max_nodes=7))


def test_a_dotenv_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 give an error, not a traceback."""
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(SettingsError, match="cannot read"):
        environment({}, tmp_path / ".env")


def test_repr_shows_no_secret() -> None:
    """A settings object in a log or traceback gives nothing away."""
    settings = Settings(
        redis_url="redis://:pw-canary@h", llm_api_key="key-canary", api_keys=(ENTRY,), api_port=9
    )
    assert repr(settings) == "Settings(redis_url=***, llm_api_key=***, api_port=9, api_keys=***)"


def test_the_table_has_a_row_for_every_field_and_its_defaults_pass_their_own_parser() -> None:
    """No setting without documentation; every default is a value its parser would give."""
    fields = {
        name for name in Settings.__struct_fields__ if name not in {"limits", "unknown", "throwaway_server"}
    }
    fields |= {f"limits.{name}" for name in Limits.__struct_fields__}
    assert {setting.field for setting in SETTINGS} == fields
    for setting in SETTINGS:
        default = setting.default()
        if default not in (None, ()):
            assert setting.parser.parse(str(default)) == default, setting.name


def test_parsers_give_the_types_of_their_fields() -> None:
    """What loading passes to the constructor fits the annotations."""
    hints = typing.get_type_hints(Settings) | {
        f"limits.{name}": hint for name, hint in typing.get_type_hints(Limits).items()
    }
    samples = {"redis_url": "redis://h", "llm_base_url": "http://h", "api_keys": ENTRY}
    samples["limits.public_url"] = "https://h"
    samples["webhook_key"] = "sixteen-bytes-at-least"
    for setting in SETTINGS:
        default = setting.default()
        sample = samples.get(setting.field) or (str(default) if default not in (None, ()) else "name")
        msgspec.convert(setting.parser.parse(sample), hints[setting.field], strict=True)


@pytest.mark.parametrize("value", ["whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "sixteen-bytes-is", "ü" * 8])
def test_a_key_of_webhooks_may_be_a_text_or_base64(value: str) -> None:
    """Of sixteen bytes at least."""
    assert load_settings({"FLOWENGINE_WEBHOOK_KEY": value}, None).webhook_key == value


@pytest.mark.parametrize("value", ["canary", "canary with spaces in it", "whsec_canary?", "whsec_Y2FuYXJ5"])
def test_a_key_of_webhooks_that_is_easy_to_guess_or_no_base64_is_refused(value: str) -> None:
    """Without repeating it."""
    with pytest.raises(SettingsError, match="FLOWENGINE_WEBHOOK_KEY must be") as caught:
        load_settings({"FLOWENGINE_WEBHOOK_KEY": value}, None)
    assert value not in str(caught.value)


def test_reference_is_in_step_with_the_table() -> None:
    """The page on settings has, between its two marks, exactly what the table renders."""
    page = (ROOT / "flowengine" / "reference" / "settings.md").read_text()
    found = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", page, re.DOTALL)
    assert found is not None
    assert found[1] == markdown()


def test_env_example_is_in_step_with_the_table() -> None:
    """`.env.example` is exactly what the table renders, and reads as the defaults."""
    assert (ROOT / ".env.example").read_text() == env_example()
    assert all(setting.name in markdown() for setting in SETTINGS)
    uncommented = "\n".join(line.removeprefix("# ") for line in env_example().splitlines() if "=" in line)
    assert all(name in uncommented for name in ("REDIS_URL=", "FLOWENGINE_API_KEYS="))
