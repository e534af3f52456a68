"""Prompts as the model sees them: rendered by the server, gone on with by us, counted in tokens.

Whether the template opens the thought is read from the rendered prompt, not known from the family of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from ..domain import Call, Json
from ..errors import BackendRejected
from .dialects import Dialect, merged
from .facts import Facts
from .foreign import readable
from .markers import Begin, closing, opening
from .switching import switch
from .templates import Own
from .transport import Transport

Prompt: TypeAlias = str | tuple[int, ...]

_TAIL = 16  # tokens of a prompt that are enough to see how it ends


@dataclass(frozen=True, slots=True)
class Opened:
    """A prompt to go on from, and where in the reply that is."""

    prompt: Prompt
    begin: Begin


class Prompts:
    """Rendering and tokenising, at one server or here (own). Raises BackendRejected where neither can do it."""

    def __init__(self, dialect: Dialect, transport: Transport, own: Own | None = None) -> None:
        self._dialect, self._transport, self._own = dialect, transport, own

    @property
    def renders(self) -> bool:
        """Whether a prompt can be rendered at no great cost."""
        return self._dialect.render is not None or (self._own is not None and self._own.renders)

    async def rendered(self, facts: Facts, messages: Sequence[Json], *, thinking: bool) -> Prompt:
        """The prompt of these messages with the generation prompt: text on llama.cpp, ids on vLLM and SGLang."""
        if self._own is not None and self._own.renders:
            return self._own.render(messages, facts.family, thinking=thinking)
        service = self._dialect.render
        if service is None:
            raise self._cannot("render a prompt: give the model's `template`")
        fields = switch(self._dialect, facts.family, thinking=thinking)
        body = merged(service.send, fields, {"model": facts.model, "messages": list(messages)})
        reply = await self._transport.post(service.path, body)
        with readable(self._transport.target.backend):
            found = cast("Json", reply)[service.reply]
            return found if isinstance(found, str) else tuple(cast("list[int]", found))

    async def text(self, facts: Facts, messages: Sequence[Json], *, thinking: bool) -> str:
        """The prompt as text."""
        prompt = await self.rendered(facts, messages, thinking=thinking)
        return prompt if isinstance(prompt, str) else await self.detokenised(facts.model, prompt)

    async def tokens(self, model: str, text: str, *, special: bool | None = None) -> tuple[int, ...]:
        """The token ids of a text. special: whether control tokens written in it count as such (llama.cpp)."""
        if self._own is not None and self._own.counts:
            return self._own.tokens(text, special=special is not False)
        service = self._dialect.tokenize
        if service is None or service.takes is None:
            raise self._cannot("count tokens: give the model's `tokenizer`")
        body = {**service.send, "model": model, service.takes: text}
        if special is not None:
            body["parse_special"] = special
        reply = cast("Json", await self._transport.post(service.path, body))
        with readable(self._transport.target.backend):
            return tuple(cast("list[int]", reply[service.reply]))

    async def detokenised(self, model: str, ids: Sequence[int]) -> str:
        """The text of token ids, control tokens included."""
        if self._own is not None and self._own.counts:
            return self._own.text(ids)
        service = self._dialect.detokenize
        if service is None or service.takes is None:
            raise self._cannot("turn tokens into text")
        reply = cast("Json", await self._transport.post(service.path, {"model": model, service.takes: list(ids)}))
        with readable(self._transport.target.backend):
            return str(reply[service.reply])

    async def opened(self, facts: Facts, call: Call) -> Opened:
        """The prompt from which this call goes on: `rendered` or the messages, then its prefixes, the thought closed
        where the call says so."""
        if call.rendered is not None:
            base: Prompt = call.rendered
        else:
            off = call.thinking_budget == 0 or bool(call.answer_prefix)
            base = await self.rendered(facts, call.messages, thinking=bool(call.thought_prefix) or not off)
        tail = base if isinstance(base, str) else await self.detokenised(facts.model, base[-_TAIL:])
        suffix, begin = _suffix(call, tail, facts)
        if not suffix or isinstance(base, str):
            return Opened(base + suffix if isinstance(base, str) else base, begin)
        return Opened((*base, *await self.tokens(facts.model, suffix)), begin)

    def _cannot(self, what: str) -> BackendRejected:
        return BackendRejected(f"{self._dialect.title} cannot {what}", backend=self._transport.target.backend)


def _suffix(call: Call, tail: str, facts: Facts) -> tuple[str, Begin]:
    """What to add to a prompt that ends in `tail`, and where in the reply the model's text then begins."""
    markers = facts.markers
    is_open = not opening(tail, markers)
    thought = call.thought_prefix
    if call.answer_prefix or call.thinking_budget == 0:
        suffix = ""
        if thought or (is_open and facts.thinks is not False):
            suffix = opening(tail, markers) + thought + closing(tail, markers)
        elif facts.closes and not tail.rstrip().endswith(markers.end):
            suffix = facts.family.empty or "" if facts.family else ""
        begin = Begin.ANSWER if call.answer_prefix else (Begin.CLOSED if suffix else Begin.UNKNOWN)
        return suffix + call.answer_prefix, begin
    if thought:
        return opening(tail, markers) + thought, Begin.THOUGHT
    return "", Begin.THOUGHT if is_open else Begin.UNKNOWN
