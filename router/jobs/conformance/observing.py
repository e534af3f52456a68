"""One call to an engine and all that could be seen of it: what came, when, and what it was said to cost."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace

from ....backends import Engine, Finished, Text, Thought, ToolCallDelta
from ....domain import Call, Enforcement, Finish, Json, Usage
from ....errors import BackendError, BackendRejected
from ...router import tool_calls

MARKS = ("<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>", "<seed:think>", "</seed:think>")
"""What ends or begins a thought in the families that people run, and has no business in an answer."""

_NOTHING = Usage()

COUNT_S = 10.0
"""How long a server may take to count the tokens of a text."""

_ENDS = 4
"""Tokens that are neither thought nor text: an answer's end, an empty thought's marks and lines."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a call. thought, text, tools: as streamed; arrivals: ms from the start at which pieces came;
    logprobs: tokens that came with one; thought_tokens, text_tokens: recounted with the model's own tokenizer, None
    where that cannot be had; error: the sentence of what failed, None where nothing did; refused: the server understood
    the call and would not have it."""

    call: Call
    thought: str = ""
    text: str = ""
    tools: tuple[Json, ...] = ()
    usage: Usage = _NOTHING
    finish: Finish = Finish.ERROR
    enforced: Enforcement = Enforcement.NONE
    model: str = ""
    warnings: tuple[str, ...] = ()
    arrivals: tuple[float, ...] = ()
    total_ms: float = 0.0
    logprobs: int = 0
    thought_tokens: int | None = None
    text_tokens: int | None = None
    error: str | None = None
    refused: bool = False

    @property
    def empty(self) -> bool:
        """Whether it came to an end and brought nothing for the caller."""
        return self.error is None and not self.text.strip() and not self.tools

    @property
    def thought_spent(self) -> int:
        """Tokens of thought: as told, as seen, or, where neither shows one, what was billed beyond the text. A thought
        of blanks and marks alone, which is how many templates spell that there is none, is none."""
        known = max(self.usage.thought, self.thought_tokens or 0)
        if self.thought.strip() or known > _ENDS:
            return known
        return self.hidden

    @property
    def hidden(self) -> int:
        """Tokens of the answer that were billed and cannot have been in its text; 0 where they may have been.

        Without a tokenizer only what is beyond a token a byte is certain."""
        if self.tools:
            return 0
        if self.text_tokens is None:
            beyond = self.usage.answer - len(self.text.encode("utf-8", "surrogatepass"))
        else:
            beyond = self.usage.answer - self.text_tokens - self.text_tokens // 4
        return beyond if beyond > _ENDS else 0

    @property
    def visible(self) -> int:
        """Tokens of the text that a caller sees."""
        return self.usage.answer if self.text_tokens is None else self.text_tokens

    @property
    def marked(self) -> bool:
        """Whether a mark of thought stands in the answer's text."""
        return any(mark in self.text for mark in MARKS)


async def observe(engine: Engine, call: Call) -> Observed:
    """Run a call to its end; never raises but when it is cancelled."""
    started = time.perf_counter()
    thoughts, texts, deltas = list[str](), list[str](), list[ToolCallDelta]()
    arrivals, logprobs, done = list[float](), 0, None
    failed: BackendError | None = None
    try:
        async with aclosing(engine.stream(call)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    done = event
                    break
                arrivals.append((time.perf_counter() - started) * 1e3)
                if isinstance(event, ToolCallDelta):
                    deltas.append(event)
                    continue
                (thoughts if isinstance(event, Thought) else texts).append(event.text)
                logprobs += len(event.logprobs) if isinstance(event, Text) else 0
    except BackendError as error:
        failed = error
    seen = Observed(
        call,
        "".join(thoughts),
        "".join(texts),
        tool_calls(deltas),
        arrivals=tuple(arrivals),
        total_ms=(time.perf_counter() - started) * 1e3,
        logprobs=logprobs,
    )
    if failed is not None or done is None:
        problem = str(failed) if failed is not None else "the stream had no end"
        return replace(seen, error=problem, refused=isinstance(failed, BackendRejected))
    return replace(
        seen,
        usage=done.usage,
        finish=done.finish,
        enforced=done.enforced,
        model=done.model,
        warnings=done.warnings,
    )


async def recounted(engine: Engine, seen: Observed) -> Observed:
    """The same with its texts' tokens counted by the model's own tokenizer, where that can be had."""
    if seen.error is not None:
        return seen
    return replace(seen, thought_tokens=await _count(engine, seen.thought), text_tokens=await _count(engine, seen.text))


async def _count(engine: Engine, text: str) -> int | None:
    if not text:
        return 0
    try:
        async with asyncio.timeout(COUNT_S):
            return await engine.count_tokens(text)
    except (BackendError, TimeoutError):
        return None
