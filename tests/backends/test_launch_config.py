"""What may stand under `launch:`, alone and as a part of a model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pointsman.backends import ModelConfig
from pointsman.backends.launch_config import LaunchConfig

SERVE = ["vllm", "serve", "q", "--port", "{port}"]


@pytest.mark.parametrize(
    ("launch", "problem"),
    [
        ({}, "either a preset"),
        ({"preset": "vllm", "command": SERVE}, "either a preset"),
        ("sglang", "llama-server"),
        ({"command": "vllm serve q"}, "give a list"),
        ({"command": SERVE, "binary": "/opt/vllm"}, "binary is for a preset"),
        ({"command": SERVE, "arguments": ["--x"]}, "arguments is for a preset"),
        ({"command": ["serve", "{prot}"]}, r"nothing stands for \{prot\}"),
        ({"command": ["serve"]}, "not told its port"),
        ({"command": SERVE, "url": "http://127.0.0.1/v1"}, "with a port"),
        ({"command": SERVE, "url": "127.0.0.1:8000"}, "with a port"),
        ({"command": SERVE, "url": "http://127.0.0.1:99999/v1"}, "with a port"),
        ({"command": SERVE, "url": "http://127.0.0.1:{port}/{key}"}, r"nothing stands for \{key\}"),
        ({"command": SERVE, "ready": "health"}, "begins with /"),
        ({"command": SERVE, "ready_s": 0}, "ready_s"),
    ],
)
def test_what_cannot_be_started_is_refused(launch: object, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LaunchConfig.model_validate(launch)


def test_a_preset_is_its_name_and_yaml_numbers_are_words() -> None:
    assert LaunchConfig.model_validate("vllm") == LaunchConfig(preset="vllm")
    made = LaunchConfig.model_validate(
        {"command": ["serve", 8000], "url": "http://127.0.0.1:8000/v1/", "env": {"N": 4, "HF_TOKEN": None}}
    )
    assert (made.command, made.url, made.env) == (
        ("serve", "8000"),
        "http://127.0.0.1:8000/v1",
        {"N": "4", "HF_TOKEN": None},
    )
    assert (made.port, made.root, made.keyed) == (8000, "http://127.0.0.1:8000", False)
    assert LaunchConfig.model_validate({"command": SERVE, "env": ["HF_TOKEN"]}).env == {"HF_TOKEN": None}


def test_json_in_a_command_is_no_placeholder() -> None:
    words = ["--reasoning-config", '{"reasoning_start_str":"<think>"}', "--template", "{{ messages }}"]
    assert LaunchConfig.model_validate({"command": [*SERVE, *words]}).command[-3:] == tuple(words[1:])


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ({"launch": {"command": SERVE}, "url": "http://127.0.0.1:1/v1"}, "address in `launch`"),
        ({"launch": {"command": SERVE}, "path": "/m.gguf"}, "the command names its model"),
        ({"launch": "llama-server"}, "needs the path of a GGUF"),
        ({"launch": "llama-server", "path": "/m.gguf", "engine": "openai"}, "no other engine"),
        ({"launch": "llama-server", "path": "/m.gguf", "api_key_env": "K"}, "api_key_env does nothing"),
        ({"launch": "vllm"}, "needs `model"),
        ({"launch": "vllm", "model": "a/b", "dialect": "sglang"}, "own dialect"),
        ({"launch": "vllm", "model": "a/b", "slots": 2}, "slots does nothing"),
        ({"launch": "vllm", "path": "/a", "embedded": "digits"}, "one of them"),
        ({"launch": {"command": SERVE}, "engine": "transformers"}, "no server that is started"),
        ({"launch": {"command": SERVE}, "threads": 2}, "threads does nothing"),
    ],
)
def test_a_model_that_is_started_has_nothing_that_is_not_heeded(model: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ModelConfig.model_validate(model)


@pytest.mark.parametrize(
    ("model", "engine", "dialect"),
    [
        ({"launch": "llama-server", "path": "/m.gguf"}, "llamacpp", None),
        ({"launch": "llama-server", "embedded": "digits"}, "llamacpp", None),
        ({"launch": "vllm", "model": "Qwen/Qwen3-8B"}, "openai", "vllm"),
        ({"launch": "vllm", "path": "/models/Qwen3-8B"}, "openai", "vllm"),
        ({"launch": {"preset": "vllm"}, "embedded": "digits"}, "openai", "vllm"),
        ({"launch": {"command": SERVE}, "dialect": "vllm", "api_key_env": "K"}, "openai", "vllm"),
    ],
)
def test_its_engine_follows_from_how_it_is_started(model: dict[str, Any], engine: str, dialect: str | None) -> None:
    made = ModelConfig.model_validate(model)
    assert (made.engine, made.dialect, made.launched, made.folder) == (engine, dialect, True, None)
