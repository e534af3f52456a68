"""The backends' sections of the configuration, the dialects, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pointsman import backends
from pointsman.backends import EMBEDDED, EnginesConfig, ModelConfig, create, dialect
from pointsman.backends.cores import most_threads, usable_cores
from pointsman.backends.dialects import at_path, dialects, merged
from pointsman.backends.llamacpp import LlamaCppEngine
from pointsman.backends.openai import OpenAIEngine
from pointsman.errors import ConfigError

URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("given", "engine", "launched"),
    [
        ({"embedded": "digits"}, "llamacpp", True),
        ({"path": "model.gguf"}, "llamacpp", True),
        ({"path": "folder"}, "transformers", False),
        ({"url": URL}, "openai", False),
        ({"url": URL, "engine": "llamacpp"}, "llamacpp", False),
    ],
)
def test_the_engine_follows_from_where_the_model_is(given: dict[str, str], engine: str, launched: bool) -> None:
    """Only files for llama.cpp are launched."""
    config = ModelConfig.model_validate(given)
    assert (config.engine, config.launched) == (engine, launched)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "exactly one"),
        ({"url": URL, "embedded": "digits"}, "embedded and url"),
        ({"url": "localhost:8000"}, "no http"),
        ({"url": URL, "dialect": "vllama"}, "known: llamacpp"),
        ({"embedded": "digits", "engine": "openai"}, "needs a url"),
        ({"url": URL, "engine": "transformers"}, "needs a path"),
        ({"embedded": "smollm2", "engine": "transformers"}, "needs a path, or embedded: digits"),
        ({"url": URL, "slots": 8}, "slots does nothing for a model with a url"),
        ({"url": URL, "engine": "llamacpp", "threads": 2}, "threads does nothing"),
        ({"url": URL, "chat_template": "a.jinja"}, "chat_template does nothing"),
        ({"url": URL, "device": "cuda"}, "device does nothing"),
        ({"path": "folder", "dialect": "vllm"}, "dialect does nothing for a model in this process"),
        ({"path": "folder", "thinks": False}, "thinks does nothing"),
        ({"path": "folder", "budget": "prompt"}, "budget does nothing"),
        ({"path": "folder", "extra": {"a": 1}}, "extra does nothing"),
        ({"path": "folder", "timeouts": {"total": 5}}, "timeouts does nothing"),
        ({"embedded": "digits", "engine": "transformers", "slots": 2}, "slots does nothing"),
        ({"path": "a.gguf", "api_key_env": "KEY"}, "api_key_env does nothing for a model that we launch"),
        ({"path": "a.gguf", "dtype": "bfloat16"}, "dtype does nothing"),
        ({"url": URL, "slots": 0}, "greater than or equal to 1"),
        ({"url": URL, "contxt": 3}, "contxt"),
        ({"embedded": "gpt"}, "digits"),
        (["digits"], "dictionary"),
    ],
)
def test_what_is_wrong_is_said(given: object, said: str) -> None:
    """Each message names the field or the choices."""
    with pytest.raises(ValidationError, match=said):
        ModelConfig.model_validate(given)


def test_an_embedded_model_brings_its_own_figures_and_the_owners_win() -> None:
    """Parameters for the price, context, and the system text that SmolLM2 needs."""
    config = ModelConfig(embedded="smollm2", context=512)
    assert config.parameters == EMBEDDED["smollm2"].parameters
    assert config.system == EMBEDDED["smollm2"].system
    assert config.context == 512


def test_a_configuration_can_be_written_out_and_read_again() -> None:
    """What `pointsman config` prints is a configuration."""
    for config in (
        ModelConfig(embedded="smollm2"),
        ModelConfig(embedded="digits", engine="transformers"),
        ModelConfig(path=Path("a.gguf")),
        ModelConfig(path=Path("folder"), device="cuda", dtype="bfloat16", system="Be brief."),
        ModelConfig(url=URL),
    ):
        assert ModelConfig.model_validate(config.model_dump(mode="json")) == config
    assert EnginesConfig().reserve == 256


def test_create_picks_the_engine_and_reads_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is told before anything is asked of the server."""
    assert type(create("a", ModelConfig(url=URL))) is OpenAIEngine
    assert type(create("a", ModelConfig(url=URL, dialect="llamacpp"))) is LlamaCppEngine
    assert type(create("a", ModelConfig(embedded="digits"), url=URL, api_key="k")) is LlamaCppEngine
    with pytest.raises(ConfigError, match="not running"):
        create("a", ModelConfig(embedded="digits"))
    secret = ModelConfig(url=URL, api_key_env="SOME_KEY")
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigError, match="SOME_KEY"):
        create("a", secret)
    monkeypatch.setenv("SOME_KEY", "k")
    assert create("a", secret).name == "a"


def test_every_dialect_is_whole() -> None:
    """All rows load; what goes on raw can render, tokenise and turn back; a native budget has a field."""
    assert set(dialects()) >= {"llamacpp", "vllm", "sglang", "ollama", "lmstudio", "openai"}
    for one in dialects().values():
        assert one.title
        assert one.always["stream_options"]["include_usage"] is True
        assert one.limit in ("max_tokens", "max_completion_tokens")
        if one.continues == "raw" and one.name != "ollama":  # its own API renders (ollama.py)
            assert one.render
            assert one.tokenize
            assert one.detokenize
        if one.continues == "chat":
            assert one.continue_thought
            assert one.continue_answer
    assert not dialect("llamacpp").reuse_after_stream
    with pytest.raises(ConfigError, match="known: llamacpp"):
        dialect("nothing")


def test_bodies_are_merged_in_depth_and_the_last_wins() -> None:
    """Objects keep both sides' fields."""
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"d": 4}) == {"a": {"b": 3, "c": 2}, "d": 4}
    assert at_path("a.b", 1) == {"a": {"b": 1}}


def test_threads_leave_a_core_free() -> None:
    """At least one, and one less than the cores."""
    assert most_threads() == max(1, usable_cores() - 1)


def test_every_public_name_is_there_and_is_what_it_says() -> None:
    """`__all__` and the table of lazy names do not drift apart."""
    for name in backends.__all__:
        assert getattr(backends, name) is not None
    with pytest.raises(AttributeError):
        _ = backends.nothing


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "http://x/v1", "dialect": "vllm", "template": "a.jinja"}, "template does nothing for a model on vLLM"),
        ({"url": "http://x/v1", "dialect": "sglang", "tokenizer": "t"}, "tokenizer does nothing for a model on SGLang"),
        ({"url": "http://x/v1", "dialect": "lmstudio", "keep_alive": "5m"}, "keep_alive does nothing"),
        ({"path": "m.gguf", "template": "a.jinja"}, "template does nothing for a model that we launch"),
        ({"path": "folder", "keep_alive": 5}, "keep_alive does nothing for a model in this process"),
    ],
)
def test_what_a_server_does_by_itself_is_not_to_be_set(settings: dict[str, object], said: str) -> None:
    """Template and tokenizer are for servers that neither render nor count, keep_alive is Ollama's."""
    with pytest.raises(ValidationError, match=said):
        ModelConfig.model_validate(settings)


@pytest.mark.parametrize("dialect", ["ollama", "lmstudio", "transformers_serve", "openai"])
def test_servers_that_do_not_render_take_a_template(dialect: str) -> None:
    given = {"url": "http://x", "dialect": dialect, "template": "a.jinja", "tokenizer": "t.json"}
    config = ModelConfig.model_validate(given)
    assert (str(config.template), str(config.tokenizer)) == ("a.jinja", "t.json")


@pytest.mark.parametrize(
    ("given", "kept"), [("30m", "30m"), ("1h30m", "1h30m"), ("-1", -1), ("0", 0), (60, 60), ("1.5h", "1.5h")]
)
def test_a_time_to_stay_in_memory_is_one_that_ollama_reads(given: str | int, kept: str | int) -> None:
    """A bare number in text would be an error there."""
    config = ModelConfig.model_validate({"url": "http://x", "dialect": "ollama", "keep_alive": given})
    assert config.keep_alive == kept


@pytest.mark.parametrize("wrong", ["ever", "30 minutes", "m", ""])
def test_another_time_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="is no time: write it as 30m"):
        ModelConfig.model_validate({"url": "http://x", "dialect": "ollama", "keep_alive": wrong})
