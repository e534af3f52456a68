"""A run's events in OpenAI's forms: the whole completion, and the chunks of a stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ..backends import Text, Thought, TokenLogprob, ToolCallDelta
from ..domain import Decision, Json, Usage
from ..router.live import Answered, LiveEvent
from ..router.router import tool_calls
from .headers import facts

LOWEST_LOGPROB = -9999.0
"""OpenAI's stand-in for minus infinity, which JSON has not."""


class Completion:
    """The answer to one request under way. reasoning_field: the name(s) that thought is sent under.

    Its id holds the decision's: `chatcmpl-` and the digits after `dec_`; `model` is the configured name of the model
    whose route answers."""

    def __init__(self, decision: Decision, reasoning_field: Literal["reasoning_content", "reasoning", "both"]) -> None:
        self.id = f"chatcmpl-{decision.id.removeprefix('dec_')}"
        self.created = int(time.time())
        self.model = decision.route.model
        self._thought_names = ("reasoning_content", "reasoning") if reasoning_field == "both" else (reasoning_field,)

    def whole(self, events: Iterable[LiveEvent], answered: Answered) -> Json:
        """A `chat.completion` of all events of a run."""
        texts: list[str] = []
        thoughts: list[str] = []
        deltas: list[ToolCallDelta] = []
        logprobs: list[TokenLogprob] = []
        for event in events:
            if isinstance(event, Text):
                texts.append(event.text)
                logprobs.extend(event.logprobs)
            elif isinstance(event, Thought):
                thoughts.append(event.text)
            elif isinstance(event, ToolCallDelta):
                deltas.append(event)
        content = "".join(texts)
        message: Json = {"role": "assistant", "content": None if deltas and not content else content, "refusal": None}
        if thought := "".join(thoughts):
            message |= dict.fromkeys(self._thought_names, thought)
        if deltas:
            message["tool_calls"] = list(tool_calls(deltas))
        choice: Json = {
            "index": 0,
            "message": message,
            "logprobs": logprobs_body(logprobs) if logprobs else None,
            "finish_reason": answered.finish.value,
        }
        return self._object("chat.completion", [choice]) | {"usage": usage_body(answered.usage)}

    def first(self) -> Json:
        """The chunk that opens a stream."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, event: Text | Thought | ToolCallDelta) -> Json:
        """The chunk of one event."""
        if isinstance(event, Text):
            return self._chunk({"content": event.text}, logprobs_body(event.logprobs) if event.logprobs else None)
        if isinstance(event, Thought):
            return self._chunk(dict.fromkeys(self._thought_names, event.text))
        function: Json = {"arguments": event.arguments}
        call: Json = {"index": event.index, "function": function}
        if event.id is not None:
            call |= {"id": event.id, "type": "function"}
        if event.name is not None:
            function["name"] = event.name
        return self._chunk({"tool_calls": [call]})

    def last(self, answered: Answered) -> Json:
        """The chunk that says why the answer ended, and, under `pointsman`, what the headers say of one that is not
        streamed."""
        told = facts(
            answered.decision,
            attempts=len(answered.attempts),
            enforced=answered.enforced,
            warnings=answered.warnings,
        )
        late = {name.replace("-", "_"): value for name, value in told.items()}
        return self._chunk({}, finish=answered.finish.value) | {"pointsman": late}

    def usage(self, answered: Answered) -> Json:
        """The chunk after the last, for clients that asked for the usage."""
        return self._object("chat.completion.chunk", []) | {"usage": usage_body(answered.usage)}

    def _chunk(self, delta: Json, logprobs: Json | None = None, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._object("chat.completion.chunk", [choice])

    def _object(self, kind: str, choices: list[Json]) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}


def usage_body(usage: Usage) -> Json:
    """Tokens in OpenAI's form: thought is part of the completion's, cached ones are part of the prompt's."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.thought},
    }


def logprobs_body(tokens: Sequence[TokenLogprob]) -> Json:
    """Log-probabilities of the answer's tokens in OpenAI's form."""
    return {
        "content": [{**_token(t.token, t.logprob), "top_logprobs": [_token(*one) for one in t.top]} for t in tokens]
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": max(logprob, LOWEST_LOGPROB),
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }
