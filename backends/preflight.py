"""What an engine needs of this machine before it can be made: its key, its folder, its libraries."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigError, MissingExtra
from .config import ModelConfig
from .templates import Own


def check_model(name: str, config: ModelConfig) -> None:
    """Raises ConfigError naming the field, or MissingExtra, where `create` would. A model that we launch is checked
    when it is launched."""
    if config.engine == "hosted":
        check_litellm()
    if config.folder is not None:
        check_folder(name, config.folder)
    elif not config.launched:
        key_of(name, config)
        Own(name, config)


def key_of(name: str, config: ModelConfig) -> str | None:
    """The key of the model's server, from its environment variable; None where none is named. Raises ConfigError."""
    if config.api_key_env is None:
        return None
    key = os.environ.get(config.api_key_env)
    if not key:
        field = f"models.{name}.api_key_env"
        raise ConfigError("the environment variable is not set", field=field, where=config.api_key_env)
    return key


def check_litellm() -> None:
    """Raises MissingExtra without LiteLLM."""
    if find_spec("litellm") is None:
        raise MissingExtra("A hosted model", "hosted")


def check_folder(name: str, folder: Path) -> None:
    """Raises MissingExtra without torch and transformers, ConfigError where the folder holds no model."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingExtra("Running a model in this process", "transformers")
    if not (folder / "config.json").is_file():
        problem = f"no model in {folder}: it needs config.json, weights and a tokenizer"
        raise ConfigError(problem, field=f"models.{name}.path")
