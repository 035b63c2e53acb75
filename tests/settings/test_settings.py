"""Settings: taken in any form that editors send, refused one by one, and never a place for keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from goalmap.core.problems import SEVERITIES
from goalmap.generation import model_settings
from goalmap.settings import DEFAULTS, StoredKey, read_settings

EXTENSION = Path(__file__).parents[2] / "vscode-client" / "package.json"
DOCS = Path(__file__).parents[2] / "docs" / "editors.md"


@pytest.mark.parametrize(
    "values",
    [
        {"model": {"name": "m"}, "diagnostics": {"component": {"missing": "hint"}}},
        {"model.name": "m", "diagnostics.component.missing": "hint"},
        {"goalmap": {"model": {"name": "m"}, "diagnostics": {"component.missing": "hint"}}},
        {"goalmap.model.name": "m", "goalmap.diagnostics.component": {"missing": "hint"}},
    ],
)
def test_any_nesting(values: dict[str, Any]) -> None:
    settings, problems = read_settings(values)
    assert problems == ()
    assert settings.model.name == "m"
    assert settings.severities["component.missing"] == "hint"
    assert settings.severities["component.empty"] == "warning"


@pytest.mark.parametrize("values", [None, {}, [], "text", 3, {"goalmap": None}, {"model": {"name": None}}])
def test_what_sets_nothing_leaves_the_defaults(values: Any) -> None:
    assert read_settings(values) == (DEFAULTS, ())


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("model.timeoutSeconds", 0, "greater than 0, not 0"),
        ("model.timeoutSeconds", "60", "not '60'"),
        ("model.timeoutSeconds", float("nan"), "not nan"),
        ("model.maxOutputTokens", -1, "greater than or equal to 1"),
        ("model.maxOutputTokens", 1.5, "not 1.5"),
        ("model.maxOutputTokens", True, "not True"),
        ("model.baseUrl", "ftp://x", "should be an address such as"),
        ("model.baseUrl", "http://[", ""),
        ("model.baseUrl", "api.openai.com", "should be an address such as"),
        ("generation.naming", "mine", "'autogen' or 'referenced', not 'mine'"),
        ("generation.review", "yes", "not 'yes'"),
        ("prompt.maxTokens", -1, "not -1"),
        ("diagnostics.map.syntax", "fatal", "'error', 'warning', 'information', 'hint' or 'off', not 'fatal'"),
        ("model.nmae", "x", "did you mean goalmap.model.name?"),
        ("diagnostics.component.mising", "off", "did you mean goalmap.diagnostics.component.missing?"),
    ],
)
def test_a_bad_value_is_named_and_spoils_no_other(name: str, value: Any, says: str) -> None:
    settings, problems = read_settings({name: value, "prompt": {"maxTokens": 7} if "prompt" not in name else {}})
    (problem,) = problems
    assert problem.startswith(f"goalmap.{name} ")
    assert says in problem
    assert settings.prompt.max_tokens == (7 if "prompt" not in name else 0)
    assert settings.model == DEFAULTS.model


@pytest.mark.parametrize("name", ["model.apiKey", "apiKey", "model.api_key"])
def test_keys_are_not_read_from_settings(name: str) -> None:
    settings, (problem,) = read_settings({name: "sk-canary"})
    assert "GOALMAP_API_KEY" in problem
    assert "sk-canary" not in problem + repr(settings)


def test_a_password_in_an_address_is_not_repeated() -> None:
    settings, (problem,) = read_settings({"model.baseUrl": "https://ada:sk-canary@example.org/v1"})
    assert "sk-canary" not in problem + repr(settings)


def test_settings_of_editors_are_none_of_ours() -> None:
    values = {"server": {"command": ["goalmap"], "extras": []}, "trace": {"server": "verbose"}}
    assert read_settings(values) == (DEFAULTS, ())


# -- the model -------------------------------------------------------------------------------------------------------
def test_settings_come_before_the_environment() -> None:
    environ = {"GOALMAP_MODEL_BASE_URL": "http://one/v1", "GOALMAP_MODEL_NAME": "one", "GOALMAP_API_KEY": "k"}
    assert DEFAULTS.model_settings(environ).base_url == "http://one/v1"
    settings = read_settings({"model": {"baseUrl": "http://two/v1", "timeoutSeconds": 5}}).settings
    found = settings.model_settings(environ)
    assert (found.base_url, found.name, found.timeout_s) == ("http://two/v1", "one", 5.0)


def test_an_address_from_settings_does_not_get_the_environments_key() -> None:
    settings = read_settings({"model": {"baseUrl": "https://elsewhere.example/v1"}}).settings
    assert not settings.model_settings({"OPENAI_API_KEY": "sk"}).sends_key
    assert not settings.model_settings({"GOALMAP_API_KEY": "sk", "OPENAI_BASE_URL": "https://mine/v1"}).sends_key
    assert DEFAULTS.model_settings({"GOALMAP_API_KEY": "sk", "OPENAI_BASE_URL": "https://mine/v1"}).sends_key


def test_a_stored_key_is_sent_to_its_own_origin_alone() -> None:
    settings = read_settings({"model": {"baseUrl": "https://elsewhere.example/v1"}}).settings
    mine, foreign = StoredKey("sk", "https://elsewhere.example:443"), StoredKey("sk", "https://mine.example:443")
    found = settings.model_settings({"OPENAI_API_KEY": "other"}, stored_key=mine)
    assert (found.api_key, found.sends_key) == ("sk", True)
    for nowhere in (foreign, StoredKey("sk")):
        assert not settings.model_settings({}, stored_key=nowhere).sends_key
        assert not settings.model_settings({"OPENAI_API_KEY": "other"}, stored_key=nowhere).sends_key
        here = {"GOALMAP_MODEL_BASE_URL": "https://elsewhere.example/v1", "GOALMAP_API_KEY": "other"}
        found = settings.model_settings(here, stored_key=nowhere)
        assert (found.api_key, found.sends_key) == ("other", True)


def test_a_stored_key_that_belongs_elsewhere_is_no_reason_to_ask_openai() -> None:
    assert not DEFAULTS.model_settings({}, stored_key=StoredKey("sk", "https://mine.example:443")).is_configured
    assert "sk" not in repr(StoredKey("sk"))


def test_without_anything_no_endpoint_is_configured() -> None:
    assert not DEFAULTS.model_settings({}).is_configured


# -- said in several places ------------------------------------------------------------------------------------------
def test_defaults_are_those_of_the_layer_below() -> None:
    assert DEFAULTS.model.timeout_s == model_settings.DEFAULT_TIMEOUT_S
    assert DEFAULTS.model.max_output_tokens == model_settings.DEFAULT_MAX_OUTPUT_TOKENS


def test_every_code_has_its_severity() -> None:
    assert dict(DEFAULTS.severities) == SEVERITIES


def test_the_extension_declares_the_same_names_and_defaults() -> None:
    sections = json.loads(EXTENSION.read_text())["contributes"]["configuration"]
    declared = {name: value["default"] for section in sections for name, value in section["properties"].items()}
    ours = {name: value for name, value in declared.items() if not name.startswith("goalmap.server.")}
    assert read_settings(ours) == (DEFAULTS, ())
    codes = {name.removeprefix("goalmap.diagnostics.") for name in ours if name.startswith("goalmap.diagnostics.")}
    assert codes == set(SEVERITIES)


def test_the_docs_list_every_setting_with_its_default() -> None:
    sections = json.loads(EXTENSION.read_text())["contributes"]["configuration"]
    declared = {name: value["default"] for section in sections for name, value in section["properties"].items()}
    rows = [line.split("|")[1:3] for line in DOCS.read_text().splitlines() if line.startswith("| `goalmap.")]
    listed = {name.strip().strip("`"): default.strip().strip("`") for name, default in rows}
    for name, default in declared.items():
        if name.startswith("goalmap.diagnostics."):
            assert "goalmap.diagnostics.<code>" in listed
        elif not name.startswith("goalmap.server."):
            assert listed[name] == ("empty" if default == "" else json.dumps(default).strip('"')), name
