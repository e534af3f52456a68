"""The providers' own protocols on loopback, as far as LiteLLM speaks them: OpenAI's chat (also DeepSeek's, OpenRouter's
and Mistral's kinds of it), Anthropic's messages, Gemini's generateContent, all streamed.

One model of word-tokens: it thinks THOUGHT and answers ANSWER. What it obeys of the request is what the provider's
documentation says: fields that it does not know are kept for the test to see, and change nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

THOUGHT = [f"so{n} " for n in range(40)]
ANSWER = ["It ", "is ", "two."]
PROMPT, CACHED = 20, 8
SIGNATURE = "c2lnbmVk"
EFFORTS = {"none": 0, "minimal": 2, "low": 4, "medium": 12, "high": 20, "xhigh": 30, "max": 40}
TOOL = {"name": "look_up", "arguments": {"word": "two"}}


class HostedStub:
    """The server. answer: its words; overshoot: tokens that a thought takes over its budget; thinks: it thinks unasked;
    always_on: it thinks whatever is asked; script: (status, headers, body) to answer next with; stall: it stops
    after this many events of a stream, until the client is gone."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[Mapping[str, str]] = []
        self.script: list[tuple[int, dict[str, str], Any]] = []
        self.answer = ANSWER
        self.overshoot = 0
        self.thinks = self.always_on = False
        self.calls_tool = False
        self.stall: int | None = None
        self.gone = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def body(self) -> dict[str, Any]:
        """The last request's body."""
        return self.requests[-1][1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.requests.append((request.path, body))
        self.headers.append(request.headers)
        if self.script:
            status, headers, said = self.script.pop(0)
            return web.json_response(said, status=status, headers=headers)
        if request.path.endswith("/messages"):
            return await self._send(request, *self._anthropic(body))
        if request.path.endswith(":streamGenerateContent"):
            return await self._send(request, *self._gemini(body))
        if request.path.endswith("/chat/completions"):
            return await self._send(request, *self._chat(body))
        return web.json_response({"error": {"message": "no such path"}}, status=404)

    async def _send(self, request: web.Request, status: int, events: list[Any]) -> web.StreamResponse:
        if status != 200:
            return web.json_response(events[0], status=status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            for place, event in enumerate(events):
                if place == self.stall:
                    await asyncio.Event().wait()
                name = f"event: {event['type']}\n" if "type" in event else ""
                await response.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            if request.path.endswith("/chat/completions"):
                await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise
        return response

    def _thought(self, asked: int | None) -> list[str]:
        """What it thinks where this many tokens are asked for (None: as many as it likes, 0: none)."""
        if self.always_on and asked == 0:
            asked = 2
        if asked == 0:
            return []
        return THOUGHT if asked is None else THOUGHT[: asked + self.overshoot]

    # Anthropic: https://docs.anthropic.com/en/api/messages, …/extended-thinking

    def _anthropic(self, body: dict[str, Any]) -> tuple[int, list[Any]]:
        thinking = body.get("thinking") or {"type": "disabled"}
        budget = thinking.get("budget_tokens")
        if thinking["type"] == "enabled" and (budget is None or budget < 1024):
            return _refused("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if thinking["type"] == "enabled" and budget >= body["max_tokens"]:
            return _refused("`max_tokens` must be greater than `thinking.budget_tokens`")
        if thinking["type"] == "enabled" and body.get("temperature", 1) != 1:
            return _refused("`temperature` may only be set to 1 when thinking is enabled")
        words = {
            "enabled": None,
            "disabled": 0,
            "adaptive": EFFORTS[(body.get("output_config") or {}).get("effort", "high")],
        }
        thought = self._thought(words[thinking["type"]])
        usage = {"input_tokens": PROMPT - CACHED, "cache_read_input_tokens": CACHED, "cache_creation_input_tokens": 0}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": body["model"]}
        events: list[Any] = [{"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}}]
        at = 0
        if thought:
            events.append(_block(at, {"type": "thinking", "thinking": "", "signature": ""}))
            events += [_piece(at, {"type": "thinking_delta", "thinking": word}) for word in thought]
            events += [_piece(at, {"type": "signature_delta", "signature": SIGNATURE}), _stop(at)]
            at += 1
        if self.calls_tool and body.get("tools"):
            events.append(_block(at, {"type": "tool_use", "id": "toolu_1", "name": TOOL["name"], "input": {}}))
            events.append(_piece(at, {"type": "input_json_delta", "partial_json": json.dumps(TOOL["arguments"])}))
        else:
            events.append(_block(at, {"type": "text", "text": ""}))
            events += [_piece(at, {"type": "text_delta", "text": word}) for word in self.answer]
        events.append(_stop(at))
        reason = "tool_use" if self.calls_tool and body.get("tools") else "end_turn"
        made = {
            "output_tokens": len(thought) + len(self.answer),
            "output_tokens_details": {"thinking_tokens": len(thought)},
        }
        events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {**usage, **made}})
        return 200, [*events, {"type": "message_stop"}]

    # Gemini: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/thinking

    def _gemini(self, body: dict[str, Any]) -> tuple[int, list[Any]]:
        config = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
        if "thinkingBudget" in config and "thinkingLevel" in config:
            return _google("You can only set only one of thinking budget and thinking level.")
        budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
        words = None if budget in (None, -1) else budget
        thought = self._thought(EFFORTS[level] if level else words)
        usage = {
            "promptTokenCount": PROMPT,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": len(self.answer),
        }
        usage |= {"totalTokenCount": PROMPT + len(self.answer) + len(thought)}
        usage |= {"thoughtsTokenCount": len(thought)} if thought else {}
        shown = thought if config.get("includeThoughts") else []
        parts: list[Any] = [{"text": word, "thought": True} for word in shown]
        if self.calls_tool and body.get("tools"):
            call = {"name": TOOL["name"], "args": TOOL["arguments"]}
            parts.append({"functionCall": call, "thoughtSignature": SIGNATURE})
        else:
            parts += [{"text": word} for word in self.answer]
        events: list[Any] = []
        for place, part in enumerate(parts):
            one: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
            if place == len(parts) - 1:
                one["finishReason"] = "STOP"
            events.append({"candidates": [one], "usageMetadata": usage, "modelVersion": "gemini", "responseId": "r"})
        return 200, events

    # OpenAI's chat, and what DeepSeek, OpenRouter and Mistral add to it

    def _chat(self, body: dict[str, Any]) -> tuple[int, list[Any]]:
        asked: int | None = 0
        if "thinking" in body:  # DeepSeek
            asked = 0 if body["thinking"]["type"] == "disabled" else EFFORTS[body.get("reasoning_effort", "high")]
        elif "reasoning" in body:  # OpenRouter
            told = body["reasoning"]
            if "effort" in told and "max_tokens" in told:
                return _refused('Only one of "reasoning.effort" and "reasoning.max_tokens" can be specified')
            off = told.get("enabled") is False or told.get("effort") == "none"
            asked = 0 if off else told.get("max_tokens", EFFORTS[told.get("effort", "high")])
        elif "reasoning_effort" in body:
            asked = EFFORTS[body["reasoning_effort"]]
        elif self.thinks:
            asked = None
        thought, parted = self._thought(asked), "mistral" in body["model"]
        key = "reasoning" if "reasoning" in body else "reasoning_content"
        hidden = "gpt" in body["model"]
        pieces: list[Any] = [{"role": "assistant", "content": ""}]
        for word in thought if not hidden else []:
            inner = [{"type": "thinking", "thinking": [{"type": "text", "text": word}]}]
            pieces.append({"content": inner} if parted else {key: word})
        finish = "stop"
        if self.calls_tool and body.get("tools"):
            function = {"name": TOOL["name"], "arguments": json.dumps(TOOL["arguments"])}
            pieces.append({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
            finish = "tool_calls"
        else:
            pieces += [{"content": word} for word in self.answer]
        head = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
        made = {"prompt_tokens": PROMPT, "completion_tokens": len(thought) + len(self.answer)}
        made["total_tokens"] = sum(made.values())
        details = {"prompt_tokens_details": {"cached_tokens": CACHED}}
        details |= {} if parted else {"completion_tokens_details": {"reasoning_tokens": len(thought)}}
        events = [{**head, "choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces]
        events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        return 200, [*events, {**head, "choices": [], "usage": {**made, **details}}]


def _refused(message: str) -> tuple[int, list[Any]]:
    return 400, [{"type": "error", "error": {"type": "invalid_request_error", "message": message}}]


def _google(message: str) -> tuple[int, list[Any]]:
    return 400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]


def _block(at: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": at, "content_block": block}


def _piece(at: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": at, "delta": delta}


def _stop(at: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": at}
