"""What servers say of themselves and their models, engine by engine, from the answers that `discover` collected.

Sources: the engines' own code and documents for `/v1/models`, llama.cpp's `/props`, Ollama's `/api/show` and `/api/ps`,
LM Studio's `/api/v1/models`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..domain import Capabilities, Json
from .engine import ModelInfo
from .families import Thinking, family_of, parameters, parameters_from_name, thinking_of

PATHS = {
    "props": "/props",
    "version": "/version",
    "ollama": "/api/version",
    "loaded": "/api/ps",
    "sglang": "/server_info",
    "sglang_before": "/get_server_info",
    "lmstudio": "/api/v1/models",
    "openapi": "/openapi.json",
}
"""Where to ask, from the server's root, by the name of the answer. Each is there on some engines only."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a server answered. rows: its list of models; answers: JSON objects by the names of PATHS, those that there
    were; shown: Ollama's details by model id."""

    rows: tuple[Json, ...]
    answers: Mapping[str, Json]
    shown: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def answer(self, name: str) -> Json:
        """The answer of this name, empty where there was none."""
        return self.answers.get(name, {})

    def owned_by(self, owner: str) -> bool:
        """Whether the list of models names this owner."""
        return any(row.get("owned_by") == owner for row in self.rows)


@dataclass(frozen=True, slots=True)
class Model:
    """All that is known of one model: the names it goes by (id first), its template, and figures."""

    id: str
    names: tuple[str, ...]
    owner: str | None = None
    context: int | None = None
    counted: float | None = None
    template: str | None = None
    thinking: Thinking | None = None
    tools: bool | None = None
    images: bool | None = None

    def info(self) -> ModelInfo:
        """What the list of models shows of it."""
        return ModelInfo(self.id, self.context, parameters(self.names, self.counted), self.owner)

    def family(self) -> str | None:
        """The family that its names tell."""
        row = family_of(self.names)
        return None if row is None else row.name

    def capabilities(self) -> Capabilities:
        """What it can do. What the server says goes before what its template and its names say."""
        known = thinking_of(self.names, self.template)
        told = self.thinking or known
        switchable = known.switchable if told.switchable is None else told.switchable
        return Capabilities(
            context=self.context,
            tools=self.tools,
            images=self.images,
            thinks=told.thinks,
            switchable=switchable if told.thinks else None,
        )


def identified(evidence: Evidence) -> tuple[str, str]:
    """The dialect and the server's version ("" where it tells none), by what only that engine says; "openai" where
    nothing tells more."""
    props = evidence.answer("props")
    sglang = evidence.answer("sglang") or evidence.answer("sglang_before")
    version = _text(evidence.answer("version").get("version"))
    if evidence.owned_by("llama-swap"):
        return "llamaswap", version
    if evidence.owned_by("llamacpp") or "default_generation_settings" in props:
        return "llamacpp", _text(props.get("build_info"))
    if evidence.owned_by("sglang") or ("tokenizer_path" in sglang and "version" in sglang):
        return "sglang", _text(sglang.get("version"))
    if evidence.owned_by("vllm"):
        return "vllm", version
    if evidence.owned_by("tensorrt_llm"):
        return "tensorrt", version
    if isinstance(evidence.answer("ollama").get("version"), str):
        return "ollama", _text(evidence.answer("ollama")["version"])
    if evidence.owned_by("organization_owner") or any("max_context_length" in row for row in _lmstudio_rows(evidence)):
        return "lmstudio", ""
    if {"/load_model", "/v1/chat/completions"} <= as_object(evidence.answer("openapi").get("paths")).keys():
        return "transformers_serve", ""
    if version and any("max_model_len" in row for row in evidence.rows):
        return "vllm", version  # behind a proxy that writes its own owner
    return "openai", ""


def models_of(dialect: str, evidence: Evidence) -> tuple[Model, ...]:
    """The models that generate text, as this engine tells of them."""
    readers = {"llamacpp": _llamacpp_model, "lmstudio": _lmstudio_model, "ollama": _ollama_model}
    reader = readers.get(dialect, _plain_model)
    return tuple(model for row in evidence.rows if (model := reader(row, evidence)) is not None)


def _plain_model(row: Json, _evidence: Evidence) -> Model:
    """A row of vLLM, SGLang or a hosted server. `root` is the model's folder or repository where `id` is an alias."""
    context = _number(row, "max_model_len", "context_length", "max_context_length", "context_window")
    return Model(row["id"], _names(row["id"], row.get("root")), row.get("owned_by"), context)


def _llamacpp_model(row: Json, evidence: Evidence) -> Model:
    """llama.cpp tells of the model that it serves in /props; its context is that of one slot."""
    props = evidence.answer("props") if len(evidence.rows) == 1 else {}
    meta = as_object(row.get("meta"))
    count = _number(meta, "n_params")
    settings = as_object(props.get("default_generation_settings"))
    caps, modalities = as_object(props.get("chat_template_caps")), as_object(props.get("modalities"))
    return Model(
        id=row["id"],
        names=_names(row["id"], props.get("model_path")),
        owner=row.get("owned_by"),
        context=_number(settings, "n_ctx") or _number(meta, "n_ctx"),
        counted=count / 1e9 if count else None,
        template=str(props.get("chat_template") or "") or None,
        tools=_flag(caps, "supports_tools"),
        images=_flag(modalities, "vision"),
    )


def _ollama_model(row: Json, evidence: Evidence) -> Model | None:
    """Ollama's /api/show; the context is that of the loaded model, otherwise the most that the model could take."""
    shown = evidence.shown.get(row["id"], {})
    able = [one for one in cast("list[Any]", shown.get("capabilities") or []) if isinstance(one, str)]
    if able and "completion" not in able:
        return None
    info = as_object(shown.get("model_info"))
    count = _number(info, "general.parameter_count")
    most = next((info[key] for key in info if key.endswith(".context_length") and isinstance(info[key], int)), None)
    loaded = (one for one in as_objects(evidence.answer("loaded").get("models")) if one.get("name") == row["id"])
    thinking = None
    if able:
        values = as_object(shown.get("thinking")).get("values")
        switchable = False in cast("list[Any]", values) if isinstance(values, list) else None
        thinking = Thinking("thinking" in able, switchable if "thinking" in able else None)
    return Model(
        id=row["id"],
        names=(row["id"],),
        owner=row.get("owned_by"),
        context=next((_number(one, "context_length") for one in loaded), None) or most,
        counted=count / 1e9 if count else None,
        thinking=thinking,
        tools="tools" in able if able else None,
        images="vision" in able if able else None,
    )


def _lmstudio_rows(evidence: Evidence) -> list[Json]:
    return as_objects(evidence.answer("lmstudio").get("models"))


def _lmstudio_model(row: Json, evidence: Evidence) -> Model | None:
    """LM Studio's own list; the context is that of the loaded instance, otherwise the most the model could take."""
    entry: Json = {}
    for one in _lmstudio_rows(evidence):
        instances = as_objects(one.get("loaded_instances"))
        if any(name == row["id"] for name in (one.get("key"), *(loaded.get("id") for loaded in instances))):
            entry = one
    if entry.get("type") == "embedding":
        return None
    able = as_object(entry.get("capabilities"))
    loaded = [as_object(one.get("config")) for one in as_objects(entry.get("loaded_instances"))]
    contexts = [found for one in loaded if (found := _number(one, "context_length"))]
    return Model(
        id=row["id"],
        names=_names(row["id"], entry.get("key")),
        owner=row.get("owned_by"),
        context=min(contexts, default=None) or _number(entry, "max_context_length"),
        counted=parameters_from_name(_text(entry.get("params_string"))),
        tools=_flag(able, "trained_for_tool_use"),
        images=_flag(able, "vision"),
    )


def as_object(value: Any) -> Json:
    """The value if it is a JSON object, otherwise an empty one."""
    return cast("Json", value) if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[Json]:
    """The objects of a list, anything else left out."""
    found = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Json", one) for one in found if isinstance(one, dict)]


def _names(*names: Any) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(name, str))


def _text(value: Any) -> str:
    return re.sub(r"\s+", " ", value).strip() if isinstance(value, str) else ""


def _number(values: Json, *keys: str) -> int | None:
    """The first of these fields that is a positive whole number."""
    found = (values.get(key) for key in keys)
    return next((one for one in found if isinstance(one, int) and not isinstance(one, bool) and one > 0), None)


def _flag(values: Json, key: str) -> bool | None:
    value = values.get(key)
    return value if isinstance(value, bool) else None
