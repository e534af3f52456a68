"""A model on an Ollama server, spoken to by Ollama's own API: the OpenAI engine with another wire.

Ollama keeps no thinking budget. It renders a prompt on demand (`_debug_render_only`, in its code at 0.33, in no
document), so a thought is cut by two passes, the second on the raw prompt; a server that does not do that, and has no
`template:` in the configuration, can only be asked to think less.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import orjson

from ..domain import Call, Json
from ..errors import BackendError, BackendRejected, BackendUnavailable
from .config import EnginesConfig, ModelConfig
from .dialects import Dialect
from .engine import ModelInfo
from .evidence import Evidence, as_object, as_objects, models_of
from .facts import Facts
from .families import family_of, markers_of, parameters, thinking_of
from .family_rows import Family
from .foreign import readable
from .ndjson import Lines
from .ollama_bodies import Chunks, least, level, native_request
from .openai import OpenAIEngine
from .prompts import Prompt, Prompts
from .templates import Own
from .transport import Target, Transport

_LEVELS = ("low", "medium", "high")
"""Of gpt-oss, on servers that do not list a model's own (before 0.33)."""


@dataclass(slots=True)
class Settings:
    """What goes with every request of a model. num_ctx: its context, in tokens; keep_alive: how long it stays in memory
    afterwards; None leaves it to the server. takes_think: whether the server lets its thinking be switched; levels: the
    words for how much it thinks."""

    num_ctx: int | None
    keep_alive: str | int | None
    takes_think: bool = True
    levels: tuple[str, ...] = ()

    def on(self, body: Json) -> Json:
        """The body with the time that the model stays in memory, where it says none itself; with an effort in the
        model's own words, or without one where it has none, as another is an error; and without a switch that the
        server refuses."""
        told = {} if self.keep_alive is None else {"keep_alive": self.keep_alive}
        told |= {key: value for key, value in body.items() if key != "reasoning_effort"}
        if (effort := level(str(body.get("reasoning_effort")), self.levels)) is not None:
            told["reasoning_effort"] = effort
        if not self.takes_think:
            told.pop("think", None)
        return told


class OllamaWire:
    """Chunks of a reply by /api/chat and /api/generate. Implements Wire. settings: see Settings."""

    def __init__(self, dialect: Dialect, transport: Transport, *, settings: Settings) -> None:
        self._transport, self._settings = transport, settings

    async def chunks(self, path: str, body: Json, deadline_ms: float | None) -> AsyncGenerator[Json, None]:
        """See Wire.chunks."""
        backend, chunks = self._transport.target.backend, Chunks()
        where, request = native_request(path, self._settings.on(body), self._settings.num_ctx, backend)
        async with aclosing(self._transport.stream(where, request, deadline_ms, Lines)) as lines:
            async for line in lines:
                try:
                    told = orjson.loads(line.data)
                except orjson.JSONDecodeError as error:
                    raise BackendUnavailable("sent a line that is not JSON", backend=backend) from error
                with readable(backend):
                    yield chunks.read(cast("Json", told))

    async def aclose(self) -> None:
        """Nothing: the connections are the transport's."""


class OllamaPrompts(Prompts):
    """Prompts as Ollama renders them itself."""

    def __init__(self, dialect: Dialect, transport: Transport, own: Own, settings: Settings) -> None:
        super().__init__(dialect, transport, own)
        self._settings = settings

    async def rendered(self, facts: Facts, messages: Sequence[Json], *, thinking: bool) -> Prompt:
        """See Prompts.rendered. Loads the model, as a call would; BackendRejected also where the server is too old."""
        backend = self._transport.target.backend
        asked: Json = {"model": facts.model, "messages": list(messages), "think": thinking, "max_tokens": 1}
        path, body = native_request("chat/completions", self._settings.on(asked), self._settings.num_ctx, backend)
        # a server that does not know the field generates: not more than a token
        reply = as_object(await self._transport.post(path, {**body, "stream": False, "_debug_render_only": True}))
        text = as_object(reply.get("_debug_info")).get("rendered_template")
        if not isinstance(text, str):
            raise BackendRejected("does not tell how it renders a prompt: set `template`", backend=backend)
        return text


class OllamaEngine(OpenAIEngine):
    """One model on an Ollama server. Implements Engine (engine.py)."""

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        dialect: Dialect,
        target: Target,
        limits: EnginesConfig | None = None,
        families: Sequence[Family] | None = None,
    ) -> None:
        self._settings = Settings(config.context, config.keep_alive)
        self._shown = config.template is not None
        """Whether it is known that prompts can be rendered."""
        wire = partial(OllamaWire, settings=self._settings)
        super().__init__(name, config, dialect, target, limits, families, wire)

    async def render(self, messages: Sequence[Json], *, thinking: bool = True) -> str:
        """See Engine.render."""
        return await super().render(messages, thinking=thinking and (await self.facts()).thinks is not False)

    async def models(self) -> tuple[ModelInfo, ...]:
        """See Engine.models. Their context is that of the server, which the list does not tell."""
        reply = as_object(await self._transport.get("/api/tags"))
        with readable(self._name):
            return tuple(self._info(row) for row in as_objects(reply.get("models")))

    async def loaded(self) -> tuple[str, ...]:
        """See Swapping.loaded (memory.py)."""
        return tuple(str(row.get("name")) for row in await self._running())

    async def among(self, loaded: Collection[str]) -> bool | None:
        """See Swapping.among."""
        model = (await self.facts()).model
        return model in loaded or f"{model}:latest" in loaded

    def _prompts_of(self, dialect: Dialect) -> Prompts:
        if self._own.renders:
            return super()._prompts_of(dialect)
        return OllamaPrompts(dialect, self._transport, self._own, self._settings)

    def _completed(self, call: Call) -> Call:
        """Where the least thought is asked for, with the lowest of the levels that the server lists."""
        call, effort = super()._completed(call), least(self._settings.levels)
        return replace(call, extra={**call.extra, "reasoning_effort": effort}) if call.least and effort else call

    async def _known(self, call: Call) -> Facts:
        """Also whether the server shows how it renders, before a call whose thought may have to be cut."""
        facts = await super()._known(call)
        thinks = facts.thinks is not False and call.thinking_budget != 0 and not call.answer_prefix
        goes_on = bool(call.thought_prefix or call.answer_prefix) or (facts.closes and call.thinking_budget == 0)
        if self._shown or facts.continues is None or not (thinks or goes_on):
            return facts
        try:
            await self._prompts.rendered(facts, ({"role": "user", "content": "?"},), thinking=thinks)
        except BackendRejected as error:
            if self._refuses_thinking(error):
                return await self._known(call)
            self._facts = replace(facts, continues=None)
        except BackendError:  # for now; should the server be gone, the call itself will tell
            return replace(facts, continues=None)
        self._shown = True
        return await self.facts()

    def _learns(self, error: BackendRejected, plan: Any) -> bool:
        return self._refuses_thinking(error) or super()._learns(error, plan)

    def _refuses_thinking(self, error: BackendRejected) -> bool:
        """Whether the server says that the model does not think. Then it does not, or, where the owner knows better,
        writes its thoughts into its text and cannot be told not to."""
        facts, settings = self._facts, self._settings
        if facts is None or not settings.takes_think or "does not support thinking" not in error.problem:
            return False
        settings.takes_think = False
        knows_better = self._config.thinks is True
        self._facts = replace(facts, thinks=knows_better, switchable=False if knows_better else None)
        return True

    async def _learnt(self) -> Facts:
        config = self._config
        model = config.model or next((info.id for info in await self.models()), None)
        if model is None:
            raise BackendUnavailable("lists no model: set `model`", backend=self._name)
        shown = as_object(await self._transport.post("/api/show", {"model": model}))
        found = models_of("ollama", Evidence(({"id": model},), {}, {model: shown}))
        if not found:
            raise BackendRejected(f"{model} writes no text: set another `model`", backend=self._name)
        told, family = found[0], family_of((model,), self._families)
        thinking = told.thinking or thinking_of((model,), table=self._families)
        named = thinking_of((model,), table=self._families)
        thinks = thinking.thinks if config.thinks is None else config.thinks
        self._settings.levels = _levels(shown) if thinks else ()
        # a thought whose end is not known cannot be closed
        closable = family is None or family.open is None or family.close is not None
        return Facts(
            model,
            config.context or await self._context(model, shown),
            thinks,
            named.switchable if thinking.switchable is None else thinking.switchable,
            tools=told.tools,
            images=told.images,
            family=family,
            markers=markers_of(family, table=self._families),
            continues=self._continues_by if closable else None,
        )

    async def _context(self, model: str, shown: Json) -> int | None:
        """The context that the server gives the model: of the loaded one, or as its file sets it; None where it will
        decide when it loads it. What the model could take says nothing of that."""
        for row in await self._running():
            if row.get("name") in (model, f"{model}:latest"):
                return row.get("context_length")
        lines = (line.split() for line in str(shown.get("parameters") or "").splitlines())
        return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == "num_ctx"), None)

    async def _running(self) -> list[Json]:
        return as_objects(as_object(await self._transport.get("/api/ps")).get("models"))

    def _info(self, row: Json) -> ModelInfo:
        names = (str(row["name"]), str(as_object(row.get("details")).get("parameter_size") or ""))
        return ModelInfo(names[0], None, parameters(names, table=self._families))


def _levels(shown: Json) -> tuple[str, ...]:
    """The words for how much the model thinks."""
    values = as_object(shown.get("thinking")).get("values")
    if isinstance(values, list):
        return tuple(value for value in cast("list[Any]", values) if isinstance(value, str))
    return _LEVELS if as_object(shown.get("details")).get("family") in ("gptoss", "gpt-oss") else ()
