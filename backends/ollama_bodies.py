"""Requests and replies of Ollama's own API, from and to the shapes of OpenAI's.

Its OpenAI side ignores `max_completion_tokens`, has no context length, and cuts long prompts without a word; its own
API has all of it. Source: ollama/ollama docs/api.md, docs/capabilities/thinking.mdx, api/types.go and server/routes.go
of 0.33. Counts: Ollama tells one, of thought and answer together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson

from ..domain import Json
from ..errors import BackendRejected

_OPTIONS = (
    *("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty"),
    *("seed", "stop"),
)
_TRANSLATED = frozenset(
    (
        *(*_OPTIONS, "options", "max_tokens", "model", "messages", "prompt", "tools", "tool_choice", "response_format"),
        *("stream", "stream_options", "logprobs", "top_logprobs", "think", "reasoning_effort"),
    )
)
_UPWARDS = ("minimal", "low", "medium", "high")
_FINISHES = {"stop": "stop", "length": "length"}


def native_request(path: str, body: Json, num_ctx: int | None, backend: str) -> tuple[str, Json]:
    """Where and what to send for a body of OpenAI's shape at `chat/completions` or `completions`.

    num_ctx: the model's one context length (None: the server's); it goes with every request and never changes, as
    another one makes Ollama load the model anew. Raises BackendRejected where Ollama has no word for something."""
    request: Json = {key: value for key, value in body.items() if key not in _TRANSLATED}
    request |= {
        "model": body["model"],
        "stream": True,
        "truncate": False,  # a prompt that is too long is an error, not cut in silence
        "shift": False,  # nor does a reply that fills the context push its beginning out
        "options": _options(body, num_ctx),
    }
    if (schema := _format(body.get("response_format"))) is not None:
        request["format"] = schema
    wanted = body.get("logprobs")
    if wanted is not None and wanted is not False:  # a number on /completions, a switch on chat
        request["logprobs"] = True
        request["top_logprobs"] = body.get("top_logprobs", wanted if wanted is not True else 0)
    if path == "completions":
        if not isinstance(body["prompt"], str):
            raise BackendRejected("Ollama takes prompts as text, not as token ids", backend=backend)
        # Thinking off: else Ollama would take a thought apart that the prompt has left open.
        return "/api/generate", request | {"prompt": body["prompt"], "raw": True, "think": False}
    request["messages"] = [_message(message, backend) for message in cast("list[Json]", body["messages"])]
    if body.get("tools") and body.get("tool_choice") != "none":  # it ignores tool_choice
        request["tools"] = body["tools"]
    if (think := _think(body)) is not None:
        request["think"] = think
    return "/api/chat", request


class Chunks:
    """Reads the lines of one streamed reply, from /api/chat or /api/generate."""

    def __init__(self) -> None:
        self._calls = 0
        self._thought = self._answer = 0

    def read(self, line: Json) -> Json:
        """The line as a chunk of OpenAI's streamed chat completion. An error stays an error (deltas.Reader raises)."""
        if "error" in line:
            return line
        if line.get("done_reason") in ("load", "unload"):
            return {"error": f"the model was {line['done_reason']}ed, and made nothing"}
        message: Json = line.get("message") or {}
        thought = str(message.get("thinking") or line.get("thinking") or "")
        content = str(message.get("content") or line.get("response") or "")
        delta: Json = {}
        if thought:
            delta["reasoning_content"] = thought
            self._thought += 1
        if content:
            delta["content"] = content
            self._answer += 1
        if calls := cast("list[Json]", message.get("tool_calls") or []):
            delta["tool_calls"] = [self._call(call) for call in calls]
        choice: Json = {"index": 0, "delta": delta, "finish_reason": None}
        if found := line.get("logprobs"):
            choice["logprobs"] = {"content": found}
        chunk: Json = {"model": line.get("model"), "choices": [choice]}
        if line.get("done"):
            reason = _FINISHES.get(str(line.get("done_reason")), "stop")
            choice["finish_reason"] = "tool_calls" if self._calls and reason == "stop" else reason
            chunk |= self._figures(line)
        return chunk

    def _call(self, call: Json) -> Json:
        """A tool call, which always comes whole; Ollama numbers them within one line only."""
        function: Json = call.get("function") or {}
        place, self._calls = self._calls, self._calls + 1
        arguments = orjson.dumps(function.get("arguments") or {}).decode()
        told = {"name": function["name"], "arguments": arguments}
        return {"index": place, "id": call.get("id") or f"call_{place}", "type": "function", "function": told}

    def _figures(self, line: Json) -> Json:
        """The last line's counts and times (nanoseconds there). With a schema and a thought Ollama asks the model
        twice and counts the second time only: then there are fewer tokens than lines, and the thought's are added."""
        usage: Json = {}
        if "prompt_eval_count" in line:
            usage["prompt_tokens"] = line["prompt_eval_count"]
        if "eval_count" in line:
            total = int(line["eval_count"])
            if total < self._thought + self._answer:
                total += self._thought
                usage["completion_tokens_details"] = {"reasoning_tokens": self._thought}
            usage["completion_tokens"] = total
        timings = {"prompt_ms": line["prompt_eval_duration"] / 1e6} if "prompt_eval_duration" in line else {}
        return {"usage": usage, "timings": timings}


def _options(body: Json, num_ctx: int | None) -> Json:
    options: Json = {**(body.get("options") or {})}
    options |= {name: body[name] for name in _OPTIONS if body.get(name) is not None}
    if body.get("max_tokens") is not None:
        options["num_predict"] = body["max_tokens"]
    options.pop("num_ctx", None)
    return options if num_ctx is None else {**options, "num_ctx": num_ctx}


def _format(response_format: Any) -> Any:
    """OpenAI's response format as Ollama's: a schema, or "json". It binds the answer, not the thought."""
    wanted = cast("Json", response_format) if isinstance(response_format, dict) else {}
    if wanted.get("type") == "json_object":
        return "json"
    return cast("Json", wanted.get("json_schema") or {}).get("schema")


def _think(body: Json) -> bool | str | None:
    """The switch; where thinking is on, the level that is asked for."""
    think = body.get("think")
    return body.get("reasoning_effort") or think if think else think


def level(effort: str, levels: Sequence[str]) -> str | None:
    """The model's word for an effort of OpenAI's; None where it has none. levels: those that it knows."""
    if effort in levels:
        return effort
    near = {"minimal": "low", "xhigh": "max", "ultra": "max"}.get(effort)
    return near if near in levels else None


def least(levels: Sequence[str]) -> str | None:
    """The level at which a model thinks least."""
    return next((word for word in _UPWARDS if word in levels), next(iter(levels), None))


def _message(message: Json, backend: str) -> Json:
    """A message of the history: images and tool calls have another shape, thoughts another name."""
    content = message.get("content")
    told: Json = {"role": "system" if message["role"] == "developer" else message["role"], "content": content or ""}
    if isinstance(content, list):
        parts = cast("list[Json]", content)
        told["content"] = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
        others = [part for part in parts if part.get("type") != "text"]
        if others:
            told["images"] = [_image(part, backend) for part in others]
    if thought := message.get("reasoning_content") or message.get("reasoning"):
        told["thinking"] = thought
    if calls := cast("list[Json]", message.get("tool_calls") or []):
        told["tool_calls"] = [_called(call, backend) for call in calls]
    for name, theirs in (("tool_call_id", "tool_call_id"), ("name", "tool_name")):
        if message.get(name):
            told[theirs] = message[name]
    return told


def _image(part: Json, backend: str) -> str:
    """The bare base64 of an image."""
    address = part.get("image_url")
    url = str(cast("Json", address).get("url") if isinstance(address, dict) else address)
    head, comma, data = url.partition(",")
    if part.get("type") != "image_url" or not comma or not head.startswith("data:") or not head.endswith(";base64"):
        problem = "Ollama takes images only, each with its data in it (data:image/png;base64,…)"
        raise BackendRejected(problem, backend=backend)
    return data


def _called(call: Json, backend: str) -> Json:
    """A tool call of the history; its arguments are an object."""
    function: Json = call.get("function") or {}
    arguments: Any = function.get("arguments") or {}
    try:
        arguments = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    except orjson.JSONDecodeError as error:
        raise BackendRejected(
            "Ollama takes a tool call's arguments only where they are JSON", backend=backend
        ) from error
    told: Json = {"function": {"name": function.get("name"), "arguments": arguments}}
    return told | ({"id": call["id"]} if call.get("id") else {})
