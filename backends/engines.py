"""An Engine for a model of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ConfigError
from .advised import names_of
from .config import EnginesConfig, ModelConfig
from .dialects import Dialect, dialect
from .engine import Engine
from .families import family_of, markers_of
from .family_rows import Family
from .guard import Guard
from .llamacpp import LlamaCppEngine
from .llamaswap import LlamaSwapEngine
from .lmstudio import LMStudioEngine
from .ollama import OllamaEngine
from .openai import OpenAIEngine
from .preflight import check_litellm, key_of
from .transport import Target, Transport

_OWN: dict[str, type[LlamaCppEngine | LlamaSwapEngine | LMStudioEngine | OllamaEngine]] = {
    "llamacpp": LlamaCppEngine,
    "llamaswap": LlamaSwapEngine,
    "lmstudio": LMStudioEngine,
    "ollama": OllamaEngine,
}
"""Engines by dialect, where the dialect alone does not say all."""


def continues(config: ModelConfig) -> bool:
    """Whether the model's engine can go on with an answer that was cut off, as far as its dialect says."""
    if config.hosted:
        return False
    if config.engine == "transformers":
        return True
    spoken = dialect(config.dialect or config.engine)
    return spoken.continues is not None or (config.template is not None and spoken.raw_markers)


def keeps_budgets(config: ModelConfig) -> bool:
    """Whether thinking budgets are kept on the model's engine, by itself or by two passes, as far as its dialect says;
    else it can only be asked to keep them."""
    if config.engine == "transformers":
        return True
    if config.budget == "prompt" or (config.hosted and config.dialect is None):
        return False
    spoken = dialect(config.dialect or config.engine)
    return spoken.budget is not None or spoken.continues is not None or config.template is not None


def _guard(name: str, config: ModelConfig, families: Sequence[Family] | None) -> Guard | None:
    """What keeps the text of users from switching a model in this process, whose tokenizer never makes control tokens
    of it; None where the owner wants none."""
    family = family_of(names_of(name, config), families)
    return Guard(family, markers_of(family), words_only=True) if config.guard else None


def create(
    name: str,
    config: ModelConfig,
    *,
    url: str | None = None,
    api_key: str | None = None,
    limits: EnginesConfig | None = None,
    families: Sequence[Family] | None = None,
) -> Engine:
    """The engine of the model `name`. url, api_key: of its server where we launched it (launch.Endpoint); families:
    those that its names may tell of (None: the shipped). Connects to nothing yet. Raises ConfigError where a key's
    environment variable is not set or a launched server's url is missing; MissingExtra where the engine's part is not
    installed."""
    if (folder := config.folder) is not None:
        from .transformers import TransformersEngine

        return TransformersEngine(
            name,
            folder,
            device=config.device or "cpu",
            threads=config.threads or 1,
            dtype=config.dtype,
            context=config.context,
            reserve=(limits or EnginesConfig()).reserve,
            system=config.system,
            guard=_guard(name, config, families),
        )
    if config.engine == "hosted":
        return _through_litellm(name, config, limits, families)
    address = url or config.url
    if address is None:
        raise ConfigError("its server is not running", field=f"models.{name}")
    api_key = api_key or key_of(name, config)
    spoken = dialect(config.dialect or config.engine)
    target = Target(name, address, api_key, spoken.reuse_after_stream)
    kind = _OWN.get(spoken.name, OpenAIEngine)
    return kind(name, config, spoken, target, limits, families)


def _through_litellm(
    name: str, config: ModelConfig, limits: EnginesConfig | None, families: Sequence[Family] | None
) -> Engine:
    """A provider's model; or, with a dialect, that of a server of the owner's behind LiteLLM, which is then no more
    than the way there."""
    from .hosted import HostedEngine
    from .hosted_loops import Loops
    from .hosted_wire import HostedWire

    check_litellm()
    target = Target(name, config.url or "", key_of(name, config))
    if config.hosted:
        return HostedEngine(name, config, target, limits, families)
    assert config.dialect is not None
    spoken = dialect(config.dialect)
    kind = LlamaCppEngine if spoken.name == "llamacpp" else OpenAIEngine
    bare = config.model_copy(update={"model": (config.model or "").partition("/")[2]})
    target = replace(target, reuse=spoken.reuse_after_stream)

    def wire(_dialect: Dialect, _transport: Transport) -> HostedWire:
        # where the engine tells no count of its thought, LiteLLM makes one up
        return HostedWire(target, config, ours=False, loops=Loops(), counted=spoken.counts == "usage")

    return kind(name, bare, spoken, target, limits, families, wire=wire)
