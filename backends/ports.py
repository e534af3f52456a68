"""Which servers run: the usual local ports and given addresses are asked, all at the same time.

A key goes to the addresses that were given, never to whatever listens on a local port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import BackendError
from .discover import KEY_HINT, NOTHING, Discovered, discover
from .server_flags import Started
from .started import started


@dataclass(frozen=True, slots=True)
class Port:
    """A local port, and the engines that listen on it unless told otherwise."""

    number: int
    engines: str


PORTS = (
    Port(8000, "vLLM, transformers serve, TensorRT-LLM"),
    Port(8080, "llama.cpp, llama-swap"),
    Port(9931, "llama.cpp, newer builds"),
    Port(9292, "llama-swap, in a container"),
    Port(30000, "SGLang"),
    Port(11434, "Ollama"),
    Port(1234, "LM Studio"),
)
"""Each engine's own default: the engines' documentation, ggml-org/llama.cpp tools/server/README.md (9931; 8080 before),
mostlygeek/llama-swap README.md (9292 outside a container)."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answered. started: the flags that it was started with, as far as it tells; key_env: the variable
    that holds its key, None where none was sent."""

    found: Discovered
    started: Started = field(default_factory=dict[str, "str | None"])
    key_env: str | None = None


@dataclass(frozen=True, slots=True)
class Silent:
    """An address where there was nothing to use. given: somebody named it; engines: who would be there by default;
    problem: one sentence."""

    url: str
    given: bool
    engines: str
    problem: str

    @property
    def answered(self) -> bool:
        """Whether something is there all the same, which may be what is looked for."""
        return not self.problem.startswith(NOTHING)


@dataclass(frozen=True, slots=True)
class Survey:
    """What was asked: given addresses first, then ports, each in order."""

    servers: tuple[Server, ...]
    silent: tuple[Silent, ...]


async def survey(
    urls: Sequence[str] = (),
    ports: Iterable[Port] = PORTS,
    *,
    api_key: str | None = None,
    key_env: str | None = None,
) -> Survey:
    """Ask the addresses in `urls` (with the key) and the local `ports` (without); takes at most about eight seconds.

    key_env: the name of the variable that holds the key. An address that is also a local port is asked once."""
    hint = "name the variable that holds it with --key-env" if key_env is None else KEY_HINT
    named: dict[object, str] = {}
    for url in urls:
        named.setdefault(_place(url), url)
    asked = [_asked(url, "", api_key, key_env, hint) for url in named.values()]
    for port in ports:
        url = f"http://127.0.0.1:{port.number}"
        if _place(url) not in named:
            asked.append(_asked(url, port.engines, None, None, f"give {url} and --key-env"))
    answers = await asyncio.gather(*asked)
    return Survey(
        tuple(one for one in answers if isinstance(one, Server)),
        tuple(one for one in answers if isinstance(one, Silent)),
    )


async def _asked(url: str, engines: str, api_key: str | None, key_env: str | None, hint: str) -> Server | Silent:
    try:
        found = await discover(url, api_key, key_hint=hint)
    except BackendError as error:
        return Silent(url, not engines, engines, error.problem)
    return Server(found, await started(found, api_key), key_env)


def _place(url: str) -> object:
    """What makes two addresses the same one; an address that is none stands for itself."""
    try:
        parts = urlsplit(url.rstrip("/").removesuffix("/v1"))
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        return host, parts.port or {"http": 80, "https": 443}.get(parts.scheme), parts.path.rstrip("/")
    except ValueError:
        return url
