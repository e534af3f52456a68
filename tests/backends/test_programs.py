"""The command lines that we make, and what is said where there is none to be had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.backends import ModelConfig, embedded_path
from pointsman.backends.cores import most_threads
from pointsman.backends.programs import Program, made_of, program_of
from pointsman.errors import ConfigError, LaunchError


@pytest.fixture(autouse=True)
def _programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of these names on PATH, nothing else."""
    for name in ("vllm", "llama-server", "mine"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def program(name: str, **settings: Any) -> Program:
    return program_of(name, ModelConfig.model_validate(settings))


def after(made: Program, flag: str) -> str:
    """The word after a flag."""
    return made.command[made.command.index(flag) + 1]


def test_llama_server_is_set_up_as_the_one_of_this_package(tmp_path: Path) -> None:
    file = tmp_path / "Qwen3-8B-Q4_K_M.gguf"
    file.write_bytes(b"GGUF")
    template = tmp_path / "own.jinja"
    made = program(
        "qwen",
        path=file,
        launch={"preset": "llama-server", "arguments": ["--n-gpu-layers", 99]},
        context=8192,
        slots=3,
        threads=1,
        chat_template=template,
    )
    assert made.command[0] == str(tmp_path / "bin" / "llama-server")
    told = {flag: after(made, flag) for flag in made.command if flag.startswith("--") and flag in made.command[:-1]}
    assert told["--model"] == str(file)
    assert (told["--alias"], told["--host"], told["--port"]) == ("qwen", "127.0.0.1", "{port}")
    assert (told["--ctx-size"], told["--parallel"], told["--threads"]) == (str(3 * 8192), "3", "1")
    assert told["--chat-template-file"] == str(template)
    assert {"--jinja", "--metrics", "--no-webui", "--no-prefill-assistant"} < set(made.command)
    assert made.command[-2:] == ("--n-gpu-layers", "99")
    assert made.env == {"LLAMA_API_KEY": "{key}"}
    assert (made.ready, made.url) == ("http://127.0.0.1:{port}/health", "http://127.0.0.1:{port}/v1")
    many = program("digits", embedded="digits", launch="llama-server", threads=512)
    assert after(many, "--threads") == str(most_threads())
    assert after(many, "--model") == str(embedded_path("digits"))


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("Qwen/Qwen3-8B", ["--reasoning-parser", "qwen3", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]),
        ("deepseek-ai/DeepSeek-V3.1", ["--reasoning-parser", "deepseek_v3"]),
        ("google/gemma-3-4b-it", []),
    ],
)
def test_vllm_is_started_with_the_flags_of_its_family(model: str, flags: list[str]) -> None:
    made = program("m", launch="vllm", model=model, context=4096)
    assert made.command[1:9] == ("serve", model, "--host", "127.0.0.1", "--port", "{port}", "--max-model-len", "4096")
    assert list(made.command[9 : 9 + len(flags)]) == flags
    assert made.command[-1] == "--enable-prompt-tokens-details"
    assert ("--reasoning-parser" in made.command) == bool(flags)
    assert made.env == {"VLLM_API_KEY": "{key}"}


def test_markers_that_a_parser_lacks_are_one_argument() -> None:
    made = program("m", launch="vllm", model="deepseek-ai/DeepSeek-V3.1")
    assert json.loads(after(made, "--reasoning-config")) == {
        "reasoning_start_str": "<think>",
        "reasoning_end_str": "</think>",
    }


def test_a_folder_is_served_by_vllm_under_the_models_name(tmp_path: Path) -> None:
    made = program("mine", path=tmp_path, launch={"preset": "vllm", "binary": str(tmp_path / "bin" / "mine")})
    assert made.command[:5] == (
        str(tmp_path / "bin" / "mine"),
        "serve",
        str(tmp_path),
        "--served-model-name",
        "mine",
    )
    with pytest.raises(LaunchError, match="there is no folder"):
        program("mine", path=tmp_path / "gone", launch="vllm")


def test_placeholders_are_filled_everywhere(tmp_path: Path) -> None:
    made = program(
        "m",
        launch={
            "command": ["mine", "--port={port}", "{key}"],
            "url": "http://127.0.0.1:{port}/api/v1",
            "env": {"K": "a{key}"},
            "ready": "/up",
        },
    ).at(8123, "sk")
    assert made.command == (str(tmp_path / "bin" / "mine"), "--port=8123", "sk")
    assert (made.url, made.ready, made.env) == (
        "http://127.0.0.1:8123/api/v1",
        "http://127.0.0.1:8123/up",
        {"K": "ask"},
    )
    hidden = program("m", launch={"command": ["mine", "{port}"], "env": {"K": "{key}"}}).at(8123, "secret")
    assert "secret" not in repr(hidden)


def test_where_it_is_ready_is_told_by_the_dialect() -> None:
    def ready(**more: Any) -> str:
        return program("m", launch={"command": ["mine"], "url": "http://127.0.0.1:80/v1"}, **more).ready

    assert ready() == "http://127.0.0.1:80/v1/models"
    assert ready(dialect="vllm") == "http://127.0.0.1:80/health"


def test_its_key_is_made_named_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed: dict[str, Any] = {"command": ["mine"], "url": "http://127.0.0.1:80/v1"}
    assert program("m", launch=fixed).key == ""
    assert program("m", launch={**fixed, "env": {"K": "{key}"}}).key is None
    with pytest.raises(ConfigError, match="api_key_env"):
        program("m", launch=fixed, api_key_env="NO_SUCH_KEY")
    monkeypatch.setenv("A_KEY", "sk")
    assert program("m", launch=fixed, api_key_env="A_KEY").key == "sk"


def test_what_is_missing_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"models\.m\.launch: .*'nope' on PATH: install it, or give its full path"):
        program("m", launch={"command": ["nope", "{port}"]})
    with pytest.raises(LaunchError, match=r"'/no/vllm' there: install it, or give its path as `binary`"):
        program("m", launch={"preset": "vllm", "binary": "/no/vllm"}, model="a/b")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(LaunchError, match=r"models\.m\.launch\.env: the variable HF_TOKEN is not set"):
        program("m", launch={"preset": "vllm", "env": ["HF_TOKEN"]}, model="a/b")
    monkeypatch.setenv("HF_TOKEN", "hf")
    assert program("m", launch={"preset": "vllm", "env": ["HF_TOKEN"]}, model="a/b").env["HF_TOKEN"] == "hf"
    with pytest.raises(LaunchError, match=r"there is no model file .*gone\.gguf"):
        program("m", path=tmp_path / "gone.gguf", launch="llama-server")


def test_what_answers_otherwise_is_not_shared() -> None:
    """The command and its variables count, slots, threads and patience do not; no secret stands in it."""
    base: dict[str, Any] = {"embedded": "digits", "launch": {"preset": "llama-server", "env": {"TOKEN": "hush"}}}

    def made(**changes: Any) -> object:
        launch = {**base["launch"], **changes.pop("launch", {})}
        return made_of("m", ModelConfig.model_validate({**base, **changes, "launch": launch}))

    assert made(slots=3, threads=1, launch={"ready_s": 5, "stop_s": 1}) == made()
    others = [{"context": 512}, {"launch": {"arguments": ["-x"]}}, {"launch": {"env": {"TOKEN": "other"}}}]
    assert all(made(**other) != made() for other in others)
    assert made_of("n", ModelConfig.model_validate(base)) != made()
    assert "hush" not in str(made())
