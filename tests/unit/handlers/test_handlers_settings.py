"""The settings that handlers take as structs: FlowEngine's own, and a user's from the environment."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Literal

import msgspec
import pytest

from flowengine.errors import SettingsError
from flowengine.handlers.handler_settings import HandlerSettings, load_handler_settings
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.plugin import Context, HttpSettings, LlmSettings, Registry, handler
from flowengine.plugin.registry import marked
from flowengine.settings import Settings, load_settings
from tests.support.rigs.handler_runs import running


class Nothing(msgspec.Struct):
    """A config that says nothing."""


class MailSettings(msgspec.Struct, frozen=True):
    """Settings of a user's own handler."""

    mail_host: str
    mail_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 25
    mail_tls: bool = False
    mail_mode: Literal["smtp", "lmtp"] = "smtp"

    def __post_init__(self) -> None:
        if self.mail_tls and self.mail_mode == "lmtp":
            raise ValueError("LMTP knows no TLS")


@handler("mail")
def mail(config: Nothing, context: Context, settings: MailSettings) -> dict[str, object]:
    """Says what it would connect to."""
    return {"result": [settings.mail_host, settings.mail_port, settings.mail_tls]}


@handler("ask_again")
async def ask_again(config: Nothing, context: Context, settings: LlmSettings) -> dict[str, object]:
    """Says which model it would ask."""
    return {"result": [settings.base_url, settings.model, settings.http.retry_base_s]}


def made(environment: dict[str, str], *functions: object) -> HandlerSettings:
    """What a worker with these handlers and variables hands to them."""
    registry = Registry()
    for function in functions:
        item = marked(function)
        assert item is not None
        registry.add(item)
    return load_handler_settings(registry, load_settings({}, None), environment)


def test_a_users_settings_are_read_from_the_variables_of_the_fields_names() -> None:
    """Converted to their types; what is not set, or empty, has the struct's own default."""
    environment = {"MAIL_HOST": " mail.test ", "MAIL_PORT": "2525", "MAIL_TLS": "true", "MAIL_MODE": ""}
    settings = made(environment, mail)[MailSettings]
    assert settings == MailSettings(mail_host="mail.test", mail_port=2525, mail_tls=True, mail_mode="smtp")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, r"MAIL_HOST is not set \(handler 'mail'\)"),
        ({"MAIL_HOST": " "}, "MAIL_HOST is not set"),
        ({"MAIL_HOST": "h", "MAIL_PORT": "many"}, "MAIL_PORT is wrong: Expected `int`"),
        ({"MAIL_HOST": "h", "MAIL_PORT": "70000"}, "MAIL_PORT is wrong: Expected `int` <= 65535"),
        ({"MAIL_TLS": "maybe"}, "(?s)MAIL_HOST is not set.*MAIL_TLS is wrong"),
        ({"MAIL_HOST": "h", "MAIL_TLS": "1", "MAIL_MODE": "lmtp"}, "of handler 'mail' are wrong: LMTP knows"),
    ],
)
def test_a_wrong_setting_of_a_users_handler_stops_the_start(
    environment: dict[str, str], message: str
) -> None:
    """Every one is named at once, as FlowEngine's own are."""
    with pytest.raises(SettingsError, match=message):
        made(environment, mail)


def test_a_wrong_value_is_not_repeated() -> None:
    """It may be a secret that was put into the wrong variable."""
    with pytest.raises(SettingsError, match="MAIL_MODE is wrong") as caught:
        made({"MAIL_HOST": "h", "MAIL_MODE": "canary-4711"}, mail)
    assert "canary" not in str(caught.value)


def test_flowengines_own_settings_are_those_of_the_process() -> None:
    """Parsed and checked once; no handler has a default of its own."""
    given = {"LLM_MODEL": "m", "LLM_API_KEY": "k", "FLOWENGINE_RETRY_BASE_SECONDS": "0.5"}
    settings = load_settings({**given, "FLOWENGINE_MAX_RESULT_BYTES": "77"}, None)
    http = HttpSettings(retry_base_s=0.5, max_result_bytes=77)
    found = load_handler_settings(Registry(), settings, {})
    assert found[HttpSettings] == http
    assert found[LlmSettings] == LlmSettings(base_url=None, api_key="k", model="m", http=http)


def test_the_key_is_not_in_the_repr_of_the_settings() -> None:
    """A settings object may land in a log or a traceback."""
    assert "canary" not in repr(Settings(llm_api_key="canary-key").llm)


def test_a_handler_is_called_with_its_settings() -> None:
    """As its third argument, whether it is async or not; the public clients need no others."""
    settings = made({"MAIL_HOST": "h"}, mail, ask_again)
    with running() as runs, closing(Invoker(egress="any", settings=settings)) as invoker:
        results = [
            invoker.invoke(item, {}, runs.context())
            for item in (marked(mail), marked(ask_again))
            if item is not None
        ]
    assert results == [{"result": ["h", 25, False]}, {"result": [None, None, 1.0]}]


def test_a_handler_takes_two_or_three_arguments() -> None:
    """The error names the function and what it may take."""
    with pytest.raises(
        TypeError, match=r"alone must take \(config, context\) or \(config, context, settings\)"
    ):

        @handler("alone")  # type: ignore[type-var]  # that is what is tested
        def alone(config: Nothing) -> None:
            """Takes too little."""


def test_settings_are_annotated_with_a_struct() -> None:
    """Nothing else says which variables to read."""
    with pytest.raises(TypeError, match=r"annotate 'settings' with the msgspec\.Struct"):

        @handler("untyped")
        def untyped(config: Nothing, context: Context, settings: dict[str, str]) -> None:
            """Takes what is no struct."""
