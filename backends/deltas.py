"""Chunks of a streamed reply, chat or raw, as events: thought, text, tool calls, with their tokens counted.

A chunk may hold no token (a role, a held-back character) or several (speculative decoding, a marker that the server
cut out), so counting chunks is the last resort: llama.cpp tells cumulative counts in `timings`, vLLM and SGLang in
`usage`, log-probabilities name every token.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ..domain import Finish, Json, Usage
from ..errors import BackendError, BackendRejected, BackendUnavailable
from .dialects import Dialect
from .engine import Event, Text, Thought, TokenLogprob, ToolCallDelta
from .markers import USUAL, Begin, Markers, MarkerSplitter, Part
from .transport import error_message

_PASSING = (408, 425, 429)
"""Statuses of refusals that another try may not meet."""
_FINISHES = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.CONTENT_FILTER,
}


class Reader:
    """Reads one reply's chunks. begin: where in the reply its plain text starts (markers.py); thinking: the model may
    think; cut: its thought may be cut by the engine; markers: of its thoughts; marker: tokens
    of the one that ends them, None where unknown."""

    def __init__(
        self,
        dialect: Dialect,
        backend: str,
        begin: Begin = Begin.UNKNOWN,
        *,
        thinking: bool = False,
        cut: bool = False,
        markers: Markers = USUAL,
        marker: int | None = None,
    ) -> None:
        self._dialect, self._backend, self._thinking, self._marker = dialect, backend, thinking, marker
        self._begin, self._cut, self._markers = begin, cut, markers
        self._splitter = MarkerSplitter(markers, begin, cut=cut)
        self.parsed = False
        """The thought came in a field of its own."""
        self._told = 0  # tokens that the server says it has made
        self._pending = 0  # tokens made whose text has not come yet
        self._logprobs: list[TokenLogprob] = []
        self._thought = self._answer = 0
        self._thoughts: list[str] = []
        self._calls: dict[str, int] = {}
        self._last_call = 0
        self._reported: Json = {}
        self._timings: Json = {}
        self.finish: Finish | None = None
        self.model: str | None = None
        self.answer_seen = False

    @property
    def stray_ends(self) -> int:
        """End markers in an answer without a thought. One is what a server shows that passes a thought on unparsed
        which the template opened."""
        return 0 if self.thought_seen else self._splitter.stray_ends

    @property
    def marked(self) -> bool:
        """Whether the end of the thought was marked in the text."""
        return self._splitter.ended

    @property
    def thought_seen(self) -> bool:
        """Whether any thought came."""
        return bool(self._thoughts)

    @property
    def thought(self) -> str:
        """The thought so far."""
        return "".join(self._thoughts)

    @property
    def ended(self) -> bool:
        """Whether the thought, if there was one, is over."""
        return self.answer_seen or self._splitter.ended

    @property
    def told(self) -> bool:
        """Whether the server told by itself how many of the tokens are thought, or what each piece has."""
        return self._told > 0 or bool(_reasoning_tokens(self._reported))

    @property
    def prompt_ms(self) -> float | None:
        """The engine's own time for reading the prompt, where it tells it."""
        return self._timings.get("prompt_ms")

    def read(self, chunk: Json) -> list[Event]:
        """The events of one chunk. Raises BackendRejected or BackendUnavailable where the chunk is an error."""
        if chunk.get("error"):
            raise self._reported_error(chunk)
        self.model = chunk.get("model") or self.model
        self._timings = chunk.get("timings") or self._timings
        self._reported = chunk.get("usage") or self._reported
        choices = cast("list[Json]", chunk.get("choices") or [])
        choice: Json = choices[0] if choices else {}
        if reason := choice.get("finish_reason"):
            self.finish = _FINISHES.get(reason, Finish.STOP)
        if "text" in choice:
            pieces, brought = self._plain(choice["text"] or ""), bool(choice["text"])
        else:
            delta = cast("Json", choice.get("delta") or choice.get("message") or {})
            pieces, brought = list(self._delta(delta)), bool(delta.get("content"))
        self._count(choice, brought or bool(pieces))
        return self._dealt(pieces)

    def _reported_error(self, chunk: Json) -> BackendError:
        """What an error in the stream means; vLLM refuses a call there, after a status of 200."""
        message, error = error_message(chunk) or "the server reported an error", chunk["error"]
        code = cast("Json", error).get("code") if isinstance(error, dict) else None
        if isinstance(code, int) and 400 <= code < 500 and code not in _PASSING:
            return BackendRejected(message, backend=self._backend, status=code)
        return BackendUnavailable(f"{message} (in the stream)", backend=self._backend)

    def flush(self, *, cut: bool = False) -> list[Event]:
        """The events of what was held back; cut: the reply ended at a limit."""
        return self._dealt([_event(part, text) for part, text in self._splitter.flush(cut=cut)])

    def as_answer(self) -> Text:
        """All of the thought, which turned out to be the answer."""
        text, tokens = self.thought, self._thought
        self._thoughts, self._thought, self.answer_seen = [], 0, True
        self._answer += tokens
        return Text(text, tokens)

    def usage(self) -> Usage:
        """What the call used, by the server's word where it gives it, else as counted from the chunks."""
        said, timings = self._reported, self._timings
        prompt = said.get("prompt_tokens")
        details: Json = said.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens")
        if prompt is None:
            prompt = timings.get("cache_n", 0) + timings.get("prompt_n", 0)
        if cached is None:
            cached = timings.get("cache_n", 0)
        total = said.get("completion_tokens")
        thought, answer = self._thought, self._answer + self._pending
        if self.thought_seen and not self.answer_seen:
            thought, answer = thought + answer, 0
        if total is None:
            return Usage(prompt, cached, thought, answer)
        reported = _reasoning_tokens(said)
        if reported:
            thought = min(reported, total)
        elif thought + answer != total:  # counted by the chunk: share the server's total out in proportion
            thought = round(total * thought / max(1, thought + answer))
        return Usage(prompt, cached, thought, total - thought)

    def _delta(self, delta: Json) -> Iterator[Event]:
        for name in self._dialect.reasoning:
            # blanks before a thought's first letter are the template's: some servers tell those of an empty thought
            if isinstance(thought := delta.get(name), str) and (thought.strip() or (thought and self._thoughts)):
                if self._begin in (Begin.THOUGHT, Begin.EITHER) and not self.parsed:  # then the text is none
                    self._splitter = MarkerSplitter(self._markers, cut=self._cut)
                self.parsed = True
                yield Thought(thought)
                break
        content = delta.get("content")
        if isinstance(content, list):  # Mistral: a list of thinking and text parts
            yield from _parts(cast("list[Json]", content))
        elif content:
            yield from self._plain(content)
        for call in cast("list[Json]", delta.get("tool_calls") or ()):
            function: Json = call.get("function") or {}
            name, arguments = function.get("name"), function.get("arguments") or ""
            yield ToolCallDelta(self._call(call, name), call.get("id"), name, arguments)

    def _call(self, call: Json, name: str | None) -> int:
        """Which of the reply's tool calls a piece belongs to. Some servers send no index: there a new id, or a name
        without one, begins another call, and a piece with neither goes on with the last."""
        index, identity, known = call.get("index"), call.get("id"), self._calls
        if index is None and identity in known:
            index = known[identity]
        elif index is None:
            index = max(known.values(), default=-1) + 1 if identity or name else self._last_call
        self._last_call = max(0, int(index))
        known[identity or f"#{self._last_call}"] = self._last_call
        return self._last_call

    def _plain(self, text: str) -> list[Event]:
        return [_event(part, piece) for part, piece in self._splitter.feed(text)]

    def _count(self, choice: Json, some: bool) -> None:
        """Add this chunk's tokens, and their log-probabilities, to what waits for its text."""
        found = _logprobs(choice.get("logprobs"))
        self._logprobs += found
        told: int | None = None
        if self._dialect.counts == "timings":
            told = self._timings.get("predicted_n")
        elif self._dialect.counts == "usage":
            told = self._reported.get("completion_tokens")
        if told is not None:
            self._pending += max(0, told - self._told)
            self._told = max(told, self._told)
        else:
            self._pending += len(found) or int(some)

    def _dealt(self, events: list[Event]) -> list[Event]:
        """Give the waiting tokens to the events. What waited when the answer of a thinking model begins is the
        closing marker, which is thought."""
        dealt: list[Event] = []
        for place, event in enumerate(events):
            last = place == len(events) - 1
            count = self._pending if last else max(0, self._pending - 1)
            if isinstance(event, Thought):
                self._thoughts.append(event.text)
                self._thought += count
                dealt.append(Thought(event.text, count, self._named(event.text, last)))
            elif isinstance(event, Text):
                if self._thinking and not self.answer_seen and count > 1:
                    closing = count - 1 if self._marker is None else min(count - 1, self._marker)
                    self._thought += closing
                    self._pending -= closing
                    count -= closing
                self.answer_seen = True
                self._answer += count
                dealt.append(Text(event.text, count, self._named(event.text, last)))
            else:
                self.answer_seen = True
                self._answer += count
                dealt.append(event)
            self._pending -= count
        return dealt

    def _named(self, text: str, last: bool) -> tuple[TokenLogprob, ...]:
        """The log-probabilities that belong to this text: those whose tokens end it; markers are left out."""
        if not self._logprobs:
            return ()
        have = self._logprobs if last else self._logprobs[:-1]
        self._logprobs = [] if last else self._logprobs[-1:]
        start = len(have)
        while start and len("".join(one.token for one in have[start:])) < len(text):
            start -= 1
        return tuple(have[start:])


def _event(part: Part, text: str) -> Event:
    return Thought(text) if part is Part.THOUGHT else Text(text)


def _parts(content: list[Json]) -> Iterator[Event]:
    for part in content:
        if part.get("type") == "thinking":
            inner: Any = part.get("thinking") or ""
            text = inner if isinstance(inner, str) else "".join(str(piece.get("text") or "") for piece in inner)
            if text:
                yield Thought(text)
        elif text := part.get("text"):
            yield Text(str(text))


def _reasoning_tokens(usage: Json) -> int | None:
    """OpenAI and vLLM tell it nested, SGLang at the top level; None where nobody does."""
    details: Json = usage.get("completion_tokens_details") or {}
    return details.get("reasoning_tokens") or usage.get("reasoning_tokens")


def _logprobs(found: Any) -> list[TokenLogprob]:
    """Both shapes: chat's list of tokens, and the columns of /completions."""
    if not isinstance(found, dict):
        return []
    table = cast("Json", found)
    if "content" in table:
        return [
            TokenLogprob(
                row["token"],
                row["logprob"],
                tuple((top["token"], top["logprob"]) for top in row.get("top_logprobs") or ()),
            )
            for row in table["content"] or ()
        ]
    tokens, values = table.get("tokens") or (), table.get("token_logprobs") or ()
    tops = cast("list[Json | None]", table.get("top_logprobs") or [None] * len(tokens))
    return [
        TokenLogprob(token, value if value is not None else 0.0, tuple((top or {}).items()))
        for token, value, top in zip(tokens, values, tops, strict=False)
    ]
