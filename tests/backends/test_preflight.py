"""What is missing on this machine, found without making an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.backends import ModelConfig, check_model, create, preflight
from pointsman.errors import ConfigError, MissingExtra

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": URL, "api_key_env": "NO_SUCH_KEY"}, "api_key_env"),
        ({"path": "/no/such/folder"}, "path"),
        ({"url": URL, "template": "/no/such.jinja"}, "template"),
        ({"url": URL, "tokenizer": "/no/such/folder"}, "tokenizer"),
    ],
)
def test_what_is_missing_is_named(config: dict[str, str], field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The field of the model that is at fault."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        check_model("q", ModelConfig.model_validate(config))
    assert caught.value.field == f"models.q.{field}"


def test_what_is_there_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is set, a folder with a model, a model that we launch, which has a key of its own."""
    monkeypatch.setenv("A_KEY", "k")
    (tmp_path / "config.json").write_text("{}")
    for config in ({"url": URL}, {"url": URL, "api_key_env": "A_KEY"}, {"path": tmp_path}, {"embedded": "digits"}):
        check_model("q", ModelConfig.model_validate(config))


def test_a_hosted_model_needs_litellm_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModelConfig(engine="hosted", model="openai/gpt-5.1", api_key_env="NOT_SET_ANYWHERE")
    with pytest.raises(ConfigError, match="not set"):
        check_model("m", config)
    monkeypatch.setattr(preflight, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pointsman\[hosted\]"):
        check_model("m", config)
    with pytest.raises(MissingExtra, match=r"pointsman\[hosted\]"):
        create("m", config)
