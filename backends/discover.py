"""What stands behind a URL: which engine, which models, how long a context they take, whether they think.

Every finding rests on something that the server said: the owner it writes into its list of models, or an endpoint that
only one engine has. What it does not say stays None, and a server that nothing gives away is spoken to as OpenAI's API
alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ..domain import Capabilities, Json
from ..errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable
from .config import Timeouts
from .engine import ModelInfo
from .evidence import PATHS, Evidence, as_object, as_objects, identified, models_of
from .transport import Target, Transport

_LIMIT_MS = 2_000
"""The longest wait for one answer, in milliseconds. There are two rounds of parallel requests, on Ollama three."""

KEY_HINT = "set POINTSMAN_UPSTREAM_API_KEY"
"""What to do where a server wants a key."""

NOTHING = "nothing answers"
"""How the sentence begins that says that there is no server."""

_NO_MODELS = "lists no model that generates text. Load one there, then try again."

_SHOWN = 64
"""The most models of an Ollama server that are asked about one by one."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """A server. url: its OpenAI address (`…/v1`); dialect: a name of `dialects.yaml`, "openai" where nothing says more;
    version: as the server tells it, "" where it does not; capabilities: by model id; families: names of
    `families.yaml` by model id, those that are known."""

    url: str
    dialect: str
    version: str
    models: tuple[ModelInfo, ...]
    capabilities: Mapping[str, Capabilities]
    families: Mapping[str, str] = field(default_factory=dict[str, str])


async def discover(url: str, api_key: str | None = None, *, key_hint: str = KEY_HINT) -> Discovered:
    """Ask a server what it is and which models it has; takes at most about six seconds.

    url: the server's address, with or without `/v1`; key_hint: what to do where it wants a key. Raises
    BackendUnavailable (not reachable, loading, no models), BackendTimeout, BackendRejected (wants a key, refuses it, is
    no OpenAI-compatible server, is Pointsman itself); each message says what to do."""
    base, rows = await _list_models(url, api_key, key_hint)
    async with aclosing(_transport(base, api_key)) as transport:
        answers = await asyncio.gather(*(_asked(transport, path) for path in PATHS.values()))
        evidence = Evidence(rows, {name: found for name, found in zip(PATHS, answers, strict=True) if found})
        dialect, version = identified(evidence)
        if dialect == "ollama":
            evidence = replace(evidence, shown=await _shown(transport, rows))
        models = models_of(dialect, evidence)
    if evidence.owned_by("pointsman"):
        raise BackendRejected("is Pointsman itself: give the addresses of the servers behind it", backend=base)
    if not models:
        raise BackendUnavailable(_NO_MODELS, backend=base)
    return Discovered(
        url=base,
        dialect=dialect,
        version=version,
        models=tuple(model.info() for model in models),
        capabilities={model.id: model.capabilities() for model in models},
        families={model.id: family for model in models if (family := model.family()) is not None},
    )


def _transport(base: str, api_key: str | None) -> Transport:
    limits = Timeouts(connect=_LIMIT_MS, first_byte=_LIMIT_MS, total=_LIMIT_MS)
    return Transport(Target("upstream", base, api_key), limits)


async def _list_models(url: str, api_key: str | None, key_hint: str) -> tuple[str, tuple[Json, ...]]:
    """The OpenAI address and its list of models. An address without `/v1` is tried with it and as it is."""
    given = url.rstrip("/")
    bases = (given,) if given.endswith("/v1") else (f"{given}/v1", given)
    replies = await asyncio.gather(*(_listing(base, api_key, key_hint) for base in bases))
    errors: list[BackendError] = []
    for base, reply in zip(bases, replies, strict=True):
        if not isinstance(reply, BackendError):
            return base, reply
        errors.append(reply)
    # A key that is wanted at one of the addresses says more than what is wrong with the other.
    raise next((error for error in errors if error.status in (401, 403)), errors[0])


async def _listing(base: str, api_key: str | None, key_hint: str) -> tuple[Json, ...] | BackendError:
    """The rows of GET models at one address, or a clear error why there are none."""
    async with aclosing(_transport(base, api_key)) as transport:
        try:
            reply = as_object(await transport.get("models"))
        except BackendError as error:
            return _explained(
                error, base, f"wants a key: {key_hint}" if api_key is None else "refuses the key that it was given"
            )
    rows = tuple(row for row in as_objects(reply.get("data")) if isinstance(row.get("id"), str))
    if rows:
        return rows
    if isinstance(reply.get("data"), list) or reply.get("object") == "list":  # Ollama without models: "data": null
        return BackendUnavailable(_NO_MODELS, backend=base)
    return _no_openai(base)


def _explained(error: BackendError, base: str, locked: str) -> BackendError:
    """The error with what to do about it; locked: what to say where the key is the trouble."""
    status = error.status
    if status in (401, 403):
        return BackendRejected(f"{locked} (HTTP {status})", backend=base, status=status)
    if isinstance(error, BackendTimeout):
        return BackendTimeout(f"did not answer within {_LIMIT_MS / 1e3:.0f} s", backend=base, status=status)
    if isinstance(error, BackendRejected):
        if status is None:
            return BackendRejected("is no address: give it as http://host:port/v1", backend=base)
        return (
            _no_openai(base, status) if status >= 400 else BackendRejected(error.problem, backend=base, status=status)
        )
    if status is not None:
        problem = f"is not ready (HTTP {status}: {error.problem}). Is the model still loading?"
        return BackendUnavailable(problem, backend=base, status=status, retry_after=error.retry_after)
    if isinstance(error.__cause__, ValueError):  # it answered, but not with JSON
        return _no_openai(base)
    return BackendUnavailable(f"{NOTHING} ({error.problem}). Is the server running?", backend=base)


def _no_openai(base: str, status: int | None = None) -> BackendRejected:
    told = f"HTTP {status}" if status else "something else than a list of models"
    problem = f"no OpenAI-compatible server: GET {base}/models gave {told}. Is the address complete?"
    return BackendRejected(problem, backend=base, status=status)


async def _asked(transport: Transport, path: str, body: Json | None = None) -> Json:
    """The JSON object at a path; empty where there is none: servers lack most of these paths."""
    try:
        return as_object(await (transport.get(path) if body is None else transport.post(path, body)))
    except BackendError:
        return {}


async def _shown(transport: Transport, rows: tuple[Json, ...]) -> dict[str, Json]:
    """What Ollama tells of each model, by id."""
    ids = [row["id"] for row in rows[:_SHOWN]]
    answers = await asyncio.gather(*(_asked(transport, "/api/show", {"model": one}) for one in ids))
    return dict(zip(ids, answers, strict=True))
