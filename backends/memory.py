"""Servers that load the model that is asked for and may drop another one for it (Ollama, LM Studio, llama-swap): which
models share one, and which of them are in memory now. Nothing is loaded by asking."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from .config import ModelConfig
from .foreign import readable


@runtime_checkable
class Swapping(Protocol):
    """What the engines of such servers can tell besides."""

    @property
    def name(self) -> str:
        """The model's name in the configuration."""
        ...

    async def loaded(self) -> tuple[str, ...]:
        """The names by which the models that are in memory now can be asked for. Raises BackendError."""
        ...

    async def among(self, loaded: Collection[str]) -> bool | None:
        """Whether this engine's model is one of `loaded`; None where the server goes by another name for it, so that
        this cannot be told. Raises BackendError."""
        ...


def sharing(models: Mapping[str, ModelConfig]) -> tuple[tuple[str, ...], ...]:
    """The models that are on such servers, those of one server together."""
    found: dict[object, list[str]] = {}
    for name, config in models.items():
        if config.swaps and config.url is not None:
            found.setdefault(_place(config.url), []).append(name)
    return tuple(tuple(names) for names in found.values())


async def in_memory(engines: Sequence[Swapping]) -> dict[str, bool]:
    """Whether each of these models, all on one server, is in memory, by name; those of which it cannot be told are left
    out. Raises BackendError."""
    with readable(engines[0].name):
        loaded = frozenset(await engines[0].loaded())
        told = {engine.name: await engine.among(loaded) for engine in engines}
    return {name: known for name, known in told.items() if known is not None}


def _place(url: str) -> object:
    """What makes two addresses the same server."""
    parts = urlsplit(url.rstrip("/").removesuffix("/v1"))
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    return host, parts.port or {"http": 80, "https": 443}.get(parts.scheme), parts.path.rstrip("/")
