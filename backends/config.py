"""The sections of the configuration that the backends own: one `ModelConfig` per entry of `models:`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .dialects import dialects
from .embedded import EMBEDDED, embedded_folder
from .launch_config import LaunchConfig

_OF_SERVERS = ("template", "tokenizer", "keep_alive", "load_s", "second_price")
_IDLE: dict[str, tuple[str, ...]] = {
    "that we launch": ("api_key_env", "device", "dtype", *_OF_SERVERS),
    "on llama-server": ("api_key_env", "device", "dtype", *_OF_SERVERS),
    "on a vLLM of ours": ("api_key_env", "slots", "threads", "device", "dtype"),
    "of a command": ("slots", "threads", "chat_template", "device", "dtype"),
    "in this process": (
        *("dialect", "api_key_env", "slots", "thinks", "budget", *_OF_SERVERS),
        *("chat_template", "extra", "timeouts"),
    ),
    "with a url": ("slots", "threads", "chat_template", "device", "dtype"),
    "at a provider": ("slots", "threads", "chat_template", "device", "dtype", "budget", *_OF_SERVERS),
}
"""Settings of a model that mean nothing, by where it is."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Timeouts(_Section):
    """How long a server may take, in milliseconds."""

    connect: float = Field(default=5_000, gt=0, description="until the connection stands, ms")
    first_byte: float = Field(
        default=120_000, gt=0, description="from the request to the first piece of its answer, ms"
    )
    total: float = Field(default=600_000, gt=0, description="a whole call, ms")


class ModelConfig(_Section):
    """One model: where it is and how its server is spoken to. Exactly one of embedded, path and url is given, or
    `launch`, alone or with embedded or path."""

    engine: Literal["llamacpp", "openai", "transformers", "hosted"] = Field(
        default="openai",
        description="llamacpp: a llama.cpp server, ours or by url; openai: any OpenAI-compatible server by url; "
        "transformers: in this process; hosted: a provider, through LiteLLM. Left out: llamacpp for embedded models "
        "and .gguf files, transformers for folders, openai for urls",
    )
    embedded: Literal["digits", "smollm2"] | None = Field(default=None, description="a model that comes with Pointsman")
    path: Path | None = Field(
        default=None, description="a GGUF file (llamacpp) or a Hugging Face folder (transformers)"
    )
    url: str | None = Field(default=None, description="the server's OpenAI address, usually ending in /v1")
    launch: LaunchConfig | None = Field(
        default=None, description="a server of yours that Pointsman starts, keeps and stops: below"
    )
    model: str | None = Field(
        default=None,
        description="the name to ask the server for; left out: the first that it lists. Of hosted: LiteLLM's name",
    )
    dialect: str | None = Field(default=None, description="how the server spells things; left out: the engine's own")
    api_key_env: str | None = Field(
        default=None, description="name of the environment variable that holds the server's key"
    )
    parameters: float | None = Field(
        default=None, gt=0, description="active parameters in billions, for the default price"
    )
    context: int | None = Field(
        default=None, ge=64, description="tokens that one query may have, prompt and reply together"
    )
    slots: int = Field(default=4, ge=1, le=256, description="queries that a launched server works on at once")
    threads: int | None = Field(
        default=None, ge=1, description="threads of a launched server, at most one less than cores, or of transformers"
    )
    device: str | None = Field(default=None, description="torch device of transformers; left out: cpu")
    dtype: str | None = Field(
        default=None, description="torch type of its numbers (bfloat16); left out: float32 on the CPU, else as stored"
    )
    system: str | None = Field(default=None, description="system text for queries that bring none")
    thinks: bool | None = Field(default=None, description="whether the model thinks, where its server does not say")
    budget: Literal["auto", "two-pass", "prompt"] = Field(
        default="auto",
        description="how budgets are kept: the server's own way first, or only by two passes, or by asking",
    )
    guard: bool = Field(
        default=True,
        description="break up control tokens and words that switch the model where a query's text spells them; they "
        "are restored in what comes back",
    )
    chat_template: Path | None = Field(
        default=None, description="Jinja file in place of a launched model's own template"
    )
    template: Path | None = Field(
        default=None,
        description="the model's chat template, where its server does not render prompts for us: a Jinja file, or the "
        "model's Hugging Face folder. It lets a thought be cut by two passes",
    )
    tokenizer: Path | None = Field(
        default=None,
        description="the model's tokenizer.json, or its folder, where its server does not count tokens for us",
    )
    keep_alive: str | int | None = Field(
        default=None,
        description="how long Ollama keeps the model in memory after a query: 30m, seconds, -1 for ever; left out: "
        "the server's own",
    )
    load_s: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="seconds that the server takes to load the model, on a server that swaps models; left out: "
        "measured, before that guessed by the model's size",
    )
    second_price: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="what a second of a server that swaps models is worth, in the currency of the prices; left out: "
        "what the loaded model writes in a second",
    )
    extra: dict[str, Any] = Field(default_factory=dict, description="further fields of every request to the server")
    timeouts: Timeouts = Field(default_factory=lambda: Timeouts())

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        """What follows from the kind of model: the engine, and an embedded model's own figures."""
        if not isinstance(values, dict):
            return values
        given = {str(key): value for key, value in cast("dict[Any, Any]", values).items()}
        embedded, path = given.get("embedded"), given.get("path")
        if embedded in EMBEDDED:
            brought = EMBEDDED[embedded].settings()
            if given.get("engine") == "transformers":
                brought.pop("slots", None)  # it has none
            if _preset(given) == "vllm":
                brought = {key: value for key, value in brought.items() if key not in ("slots", "threads")}
            given = {**brought, **{k: v for k, v in given.items() if v is not None}}
        if given.get("launch") is not None:
            if _preset(given) == "vllm":
                given["dialect"] = given.get("dialect") or "vllm"
            given["engine"] = given.get("engine") or ("llamacpp" if _preset(given) == "llama-server" else "openai")
        elif given.get("engine") is None:
            local = "llamacpp" if embedded or str(path).endswith(".gguf") else "transformers"
            given["engine"] = "openai" if path is None and not embedded else local
        return given

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http or https address")
        return url.rstrip("/")

    @field_validator("keep_alive")
    @classmethod
    def _time(cls, value: str | int | None) -> str | int | None:
        if not isinstance(value, str):
            return value
        if re.fullmatch(r"-?\d+", value):  # as an environment variable has it
            return int(value)
        if not re.fullmatch(r"-?(\d+(\.\d+)?(ms|s|m|h))+", value):
            raise ValueError(f"{value!r} is no time: write it as 30m, 1h30m, in seconds, or -1 for ever")
        return value

    @field_validator("dialect")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in dialects():
            raise ValueError(f"unknown dialect {name!r}; known: {', '.join(dialects())}")
        return name

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("embedded", "path", "url") if getattr(self, name) is not None]
        if self.launch is not None:
            return self._started(self.launch, given)
        if self.engine == "hosted":
            return self._at_provider(given)
        if len(given) != 1:
            told = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of embedded, path and url; there is {told}")
        if self.engine == "openai" and self.url is None:
            raise ValueError("engine openai needs a url")
        if self.engine == "transformers" and self.folder is None:
            raise ValueError("engine transformers needs a path, or embedded: digits")
        return self

    def _started(self, launch: LaunchConfig, given: list[str]) -> Self:
        """Raises ValueError where what is to be started has not what it needs."""
        if "url" in given:
            raise ValueError("a server that Pointsman starts has its address in `launch`, as its url")
        if len(given) > 1 or (given and launch.preset is None):
            taken = "neither embedded nor path: the command names its model" if launch.preset is None else "one of them"
            raise ValueError(f"{' and '.join(given)} is given: `launch` takes {taken}")
        if launch.preset == "llama-server" and (not given or self.engine != "llamacpp"):
            raise ValueError("launch: llama-server needs the path of a GGUF file, and no other engine than llamacpp")
        if launch.preset == "vllm" and (not (given or self.model) or self.dialect != "vllm" or self.engine != "openai"):
            raise ValueError("launch: vllm needs `model: owner/name` or the path of a folder, and its own dialect")
        if self.engine not in ("openai", "llamacpp"):
            raise ValueError(f"engine {self.engine} is no server that is started: leave `engine` or `launch` out")
        return self

    def _at_provider(self, given: list[str]) -> Self:
        """Raises ValueError where a hosted model is not named as LiteLLM does, or is placed here."""
        if self.model is None or "/" not in self.model:
            raise ValueError("engine hosted needs `model: provider/model`, as LiteLLM names it")
        if given not in ([], ["url"]):
            raise ValueError(f"engine hosted takes a url at most; there is {' and '.join(given)}")
        if self.dialect is not None and self.url is None:
            raise ValueError("a dialect is for a server of your own behind LiteLLM: give its url")
        return self

    @model_validator(mode="after")
    def _heeded(self) -> Self:
        """Refuse settings that this kind of model would take without a word and not obey."""
        place = "that we launch" if self.launched else "in this process" if self.folder else "with a url"
        place = "at a provider" if self.hosted else place
        if self.launch is not None:
            place = {"llama-server": "on llama-server", "vllm": "on a vLLM of ours"}.get(
                self.launch.preset or "", "of a command"
            )
        for name in _IDLE[place]:
            if getattr(self, name) != ModelConfig.model_fields[name].get_default(call_default_factory=True):
                raise ValueError(f"{name} does nothing for a model {place}: leave it out")
        return self

    @model_validator(mode="after")
    def _of_server(self) -> Self:
        """Refuse what this kind of server does by itself, or knows nothing of."""
        spoken = dialects().get(self.dialect or self.engine)
        needed = {
            "template": spoken is not None and spoken.render is None,
            "tokenizer": spoken is not None and spoken.tokenize is None,
            "keep_alive": spoken is not None and spoken.name == "ollama",
            "load_s": self.swaps,
            "second_price": self.swaps,
        }
        for name, of_use in needed.items():
            if getattr(self, name) is not None and not of_use:
                server = spoken.title if spoken is not None else self.engine
                raise ValueError(f"{name} does nothing for a model on {server}: leave it out")
        return self

    @property
    def hosted(self) -> bool:
        """Whether a provider answers, in its own spelling; not a server of the owner's behind LiteLLM."""
        return self.engine == "hosted" and self.dialect is None

    @property
    def swaps(self) -> bool:
        """Whether its server loads the model that is asked for, and may drop another one for it."""
        spoken = dialects().get(self.dialect or self.engine)
        return self.engine == "openai" and spoken is not None and spoken.swaps

    @property
    def folder(self) -> Path | None:
        """The Hugging Face folder of a model in this process."""
        if self.engine != "transformers":
            return None
        return embedded_folder(self.embedded) if self.embedded is not None else self.path

    @property
    def launched(self) -> bool:
        """Whether its server is a child of ours."""
        return self.launch is not None or (self.engine == "llamacpp" and self.url is None)


def _preset(given: dict[str, Any]) -> object:
    """The preset that a model's `launch` names, short or long, before it is validated."""
    launch = given.get("launch")
    if isinstance(launch, LaunchConfig):
        return launch.preset
    return cast("dict[str, Any]", launch).get("preset") if isinstance(launch, dict) else launch


class EnginesConfig(_Section):
    """Limits on thinking that hold for every engine."""

    reserve: int = Field(default=256, ge=1, description="tokens of a limit kept for the answer, at most half the limit")
    max_tokens: int = Field(
        default=32_768,
        ge=1,
        description="thought and answer together, where the caller sets no limit and the engine needs one",
    )
