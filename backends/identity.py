"""Which engine a model runs on, and by what to tell later that it is still the same one, without running the model.

What `pointsman check` finds holds for one dialect, server version, list of models and template. Their hash is the
fingerprint: once it changes, a finding is not believed any more. Only reading is done here: no engine loads a model
because of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson

from ..domain import Json
from ..errors import BackendError
from .config import ModelConfig, Timeouts
from .dialects import dialects
from .evidence import PATHS, Evidence, as_object, as_objects, identified
from .foreign import readable
from .transport import Target, Transport

_LIMIT_MS = 2_000
"""The longest wait for one answer, ms. There are two rounds of parallel requests, on Ollama three."""

_RUNNING = "/running"
"""Where llama-swap says which of its models are loaded."""

_ELSEWHERE = frozenset(
    (
        *("url", "api_key_env", "timeouts", "slots", "threads", "parameters", "context", "device", "keep_alive"),
        *("load_s", "second_price"),
    )
)
"""Settings of a model that do not change how it is spoken to."""


@dataclass(frozen=True, slots=True)
class Identity:
    """engine: its title for people; version: as the server tells it, "" where it does not; fingerprint: changes when
    what was found of the model need not hold any more; loaded: whether the model is in memory, on engines that swap
    models in and out (None: the engine does not swap, or does not say)."""

    engine: str
    version: str
    fingerprint: str
    loaded: bool | None = None


async def identify(name: str, config: ModelConfig, url: str | None = None, api_key: str | None = None) -> Identity:
    """What answers for this model. url, api_key: of its server; None where the model has none that could be asked (in
    this process, or at a provider). Raises BackendError where its server does not answer."""
    own = config.model_dump(mode="json", exclude=set(_ELSEWHERE), exclude_defaults=True)
    if config.folder is not None:
        told: Json = {"files": await asyncio.to_thread(_files, config.folder)}
        return Identity("transformers", installed("transformers"), _hashed("transformers", own, told))
    provider = str(config.engine) == "hosted" and config.dialect is None
    if url is None or provider:  # a provider's own server is asked nothing that it does not know
        kind = str(config.engine)
        return Identity(kind, installed("litellm") if kind == "hosted" else "", _hashed(kind, own, {}))
    async with aclosing(Transport(Target(name, url, api_key), _LIMITS)) as transport:
        reply = as_object(await transport.get("models"))
        rows = tuple(row for row in as_objects(reply.get("data")) if isinstance(row.get("id"), str))
        paths = {**PATHS, "running": _RUNNING}
        answers = await asyncio.gather(*(_asked(transport, path) for path in paths.values()))
        evidence = Evidence(rows, {key: found for key, found in zip(paths, answers, strict=True) if found})
        found, number = identified(evidence)
        model = config.model or (rows[0]["id"] if rows else "")
        if found == "ollama":
            shown = await _asked(transport, "/api/show", {"model": model})
            evidence = Evidence(rows, evidence.answers, {model: shown})
    with readable(name):
        return _at_server(config, own, evidence, (found, number), model)


def _at_server(config: ModelConfig, own: Json, evidence: Evidence, found: tuple[str, str], model: str) -> Identity:
    """What a server is. found: its dialect and version, by what it says of itself."""
    told_of_itself, number = found
    spoken = config.dialect or (config.engine if config.engine in dialects() else "openai")
    kind = told_of_itself if told_of_itself != "openai" else spoken  # what it says goes before what it is set up as
    told = {"dialect": spoken, "found": told_of_itself, "version": number, **_told(evidence, model)}
    fingerprint = _hashed(kind, own, told)
    return Identity(dialects()[kind].title, number, fingerprint, _loaded(told_of_itself, evidence, model))


def installed(package: str) -> str:
    """The version of an installed package, "" where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


_LIMITS = Timeouts(connect=_LIMIT_MS, first_byte=_LIMIT_MS, total=_LIMIT_MS)


async def _asked(transport: Transport, path: str, body: Json | None = None) -> Json:
    """The JSON object at a path; empty where there is none: servers lack most of these paths."""
    try:
        return as_object(await (transport.get(path) if body is None else transport.post(path, body)))
    except BackendError:
        return {}


def _told(evidence: Evidence, model: str) -> Json:
    """What the server says that bears on how the model answers: its models and their files, templates."""
    props, shown = evidence.answer("props"), evidence.shown.get(model, {})
    return {
        "models": sorted([str(row["id"]), str(row.get("root") or ""), _size(row)] for row in evidence.rows),
        "templates": [props.get("chat_template"), shown.get("template")],
        "model": [props.get("model_path"), shown.get("details"), shown.get("capabilities"), shown.get("parameters")],
    }


def _size(row: Json) -> str:
    """A model's figures on llama.cpp, where a name may stay while the file behind it changes."""
    meta = as_object(row.get("meta"))
    return f"{meta.get('n_params', '')} {meta.get('size', '')}".strip()


def _loaded(dialect: str, evidence: Evidence, model: str) -> bool | None:
    """Whether the model is in memory, where the engine swaps models and says which are."""
    if dialect == "ollama":
        names = {str(one.get(key)) for one in as_objects(evidence.answer("loaded").get("models")) for key in _NAMES}
        return bool(names & {model, f"{model}:latest"})
    if dialect == "lmstudio":
        for row in as_objects(evidence.answer("lmstudio").get("models")):
            instances = as_objects(row.get("loaded_instances"))
            if model == row.get("key") or any(model == one.get("id") for one in instances):
                return bool(instances)
        return None
    running = evidence.answer("running").get("running")
    if isinstance(running, list):  # llama-swap
        ready = [row for row in as_objects(running) if row.get("state", "ready") == "ready"]
        return any(row.get("model") == model for row in ready)
    return None


_NAMES = ("name", "model")


def _files(folder: Path) -> Mapping[str, str]:
    """The model's files: small ones by their content, weights by their size."""
    found: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".jinja", ".txt", ".model"):
            found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        elif file.suffix in (".safetensors", ".bin"):
            found[file.name] = str(file.stat().st_size)
    return found


def _hashed(*parts: object) -> str:
    """Sixteen hexadecimal digits that stand for these values."""
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:16]
