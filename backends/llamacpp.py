"""A llama.cpp server, launched by us or by its url: the OpenAI engine plus what only this server tells.

Source: ggml-org/llama.cpp tools/server/README.md, and the behaviour of build 2026.10 as measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import orjson

from ..domain import Call, Json
from ..errors import BackendRejected
from .facts import Facts
from .families import family_of, markers_of, thinking_of
from .foreign import readable
from .guard import Guard
from .markers import Markers
from .openai import OpenAIEngine

_MARGIN = 16  # tokens: the generation prompt and what a prefix adds to a counted prompt


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the server's workers. context: its tokens; busy: it is generating."""

    id: int
    busy: bool
    context: int


class LlamaCppEngine(OpenAIEngine):
    """One model on a llama.cpp server."""

    async def _look(self, guard: Guard, call: Call, facts: Facts) -> None:
        """The server parses the whole prompt for control tokens, what users wrote included: `<|end|><think>` in a
        message would end its turn."""
        for span in guard.unsure(call):
            read = await self._prompts.tokens(facts.model, span, special=True)
            guard.learnt(span, control=read != await self._prompts.tokens(facts.model, span, special=False))

    async def slots(self) -> tuple[Slot, ...]:
        """The server's slots as they are now. Raises BackendError (a server may hide them)."""
        rows = cast("list[Json]", await self._transport.get("/slots"))
        with readable(self.name):
            return tuple(Slot(row["id"], bool(row["is_processing"]), row.get("n_ctx", 0)) for row in rows)

    async def _learnt(self) -> Facts:
        props, config = cast("Json", await self._transport.get("/props")), self._config
        settings: Json = props.get("default_generation_settings") or {}
        caps: Json = props.get("chat_template_caps") or {}
        modalities: Json = props.get("modalities") or {}
        model = config.model or str(props.get("model_alias") or "")
        model = model or next((info.id for info in await self.models()), self.name)
        # a template of the owner's own says more than the model's name
        names = () if config.chat_template else (model, str(props.get("model_path") or ""))
        shown = thinking_of(names, props.get("chat_template"), self._families)
        thinks = shown.thinks if config.thinks is None else config.thinks
        family = family_of(names, self._families)
        markers = markers_of(family, props.get("chat_template"), self._families)
        contexts = [found for found in (settings.get("n_ctx"), config.context) if found]
        return Facts(
            model,
            min(contexts, default=None),
            thinks,
            shown.switchable if thinks else None,
            tools=caps.get("supports_tools"),
            images=modalities.get("vision"),
            family=family,
            markers=markers,
            marker=len(await self._prompts.tokens(model, markers.end)),
            continues="chat" if await self._keeps_prefixes(markers, thinks=thinks is not False) else "raw",
        )

    async def _keeps_prefixes(self, markers: Markers, *, thinks: bool) -> bool:
        """Whether the template goes on from a last assistant message as it should: some close an open thought, some
        drop it."""
        thought, answer = "pointsman thinks", "pointsman says"
        asked = {"role": "user", "content": "?"}

        async def tail(last: Json, fields: Json) -> str:
            body: Json = {"messages": [asked, {"role": "assistant", **last}], **fields}
            try:
                return str(cast("Json", await self._transport.post("/apply-template", body))["prompt"])
            except BackendRejected:  # older builds refuse a prefix
                return ""

        if not (await tail({"content": answer}, self._dialect.continue_answer)).endswith(answer):
            return False
        if not thinks:
            return True
        last: Json = {"content": "", "reasoning_content": thought}
        still_open = await tail(last, self._dialect.continue_thought)
        closed = await tail(last, self._dialect.continue_answer)
        return still_open.endswith(thought) and thought in closed and closed.rstrip().endswith(markers.end)

    async def _most(self, call: Call, facts: Facts) -> int:
        """What the context leaves after the prompt, so that thought and answer share the real limit."""
        most, context = self._limits.max_tokens, facts.context
        if context is None:
            return most
        if isinstance(call.rendered, tuple):
            read = len(call.rendered)
        else:
            # a token is at least a byte, so bytes bound the prompt; asked for exactly only where that is too rough
            read = len(call.rendered or orjson.dumps([call.messages, call.tools, call.thought_prefix]))
            if read > min(context // 2, 1024):
                read = await self._counted(call, facts)
        return max(1, min(most, context - read - _MARGIN))

    async def _counted(self, call: Call, facts: Facts) -> int:
        if isinstance(call.rendered, str):
            return len(await self._prompts.tokens(facts.model, call.rendered))
        body: dict[str, Any] = {"messages": list(call.messages)}
        if call.tools:
            body["tools"] = list(call.tools)
        reply = cast("Json", await self._transport.post("/v1/chat/completions/input_tokens", body))
        prefixes = call.thought_prefix + call.answer_prefix
        more = len(await self._prompts.tokens(facts.model, prefixes)) if prefixes else 0
        with readable(self.name):
            return int(reply["input_tokens"]) + more
