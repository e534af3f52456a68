"""A small server that behaves as Ollama 0.33 does by its documents and code, with a model of one-letter tokens.

It thinks unless `think` is false, refuses a truthy `think` for a model that does not, ignores fields that it does not
know, cuts a prompt that is too long unless `truncate` is false, loads the model anew for another `num_ctx`, and tells
one count for thought and answer. Source: ollama/ollama docs/api.md, docs/capabilities/thinking.mdx, server/routes.go.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web
from stub import ANSWER, THOUGHT, generated

NAME = "qwen3:0.6b"
JSON_ANSWER = '{"n": 2}'
TOO_LONG = "the input length exceeds the context length"


class OllamaStub:
    """The server. thinks: the model can; inline: it does, but the server does not know; always: it cannot be told not
    to; values: its levels, as /api/show tells them; able: that tells what the model can do; renders: it knows
    `_debug_render_only`; full: its queue is; breaks_after: lines after which it reports an error; stalls: it stops in
    the middle of a reply until the client is gone."""

    def __init__(self) -> None:
        self.name = NAME
        self.thinks, self.inline, self.always = True, False, False
        self.renders, self.full, self.stalls = True, False, False
        self.able = True
        self.values: list[Any] | None = [True, False]
        self.parameters = ""
        self.breaks_after: int | None = None
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.loaded: int | None = None
        """The context that the model is loaded with."""
        self.loads = 0
        self.gone = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/generate", self._generate)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """The bodies sent to a path, those that asked for a rendered prompt apart."""
        return [body for where, body in self.requests if where == path and "_debug_render_only" not in body]

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.33.0"})

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"models": [{"name": self.name, "model": self.name, "details": {"parameter_size": "752M"}}]}
        )

    async def _ps(self, _: web.Request) -> web.Response:
        running = (
            [] if self.loaded is None else [{"name": self.name, "model": self.name, "context_length": self.loaded}]
        )
        return web.json_response({"models": running})

    async def _show(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if body["model"] != self.name:
            return _error(404, f"model '{body['model']}' not found")
        able = ["completion", "tools", *(["thinking"] if self.thinks else [])]
        shown: dict[str, Any] = {
            "capabilities": able if self.able else [],
            "parameters": self.parameters,
            "details": {},
        }
        shown["model_info"] = {"general.architecture": "any", "any.context_length": 40960}
        if self.values is not None:
            shown["thinking"] = {"values": self.values if self.thinks else [False]}
        return web.json_response(shown)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if (refused := self._refused(body)) is not None:
            return refused
        think = self.thinks and (self.always or body.get("think", True) is not False)
        prompt = "".join(f"<{message['role']}>{message['content']}" for message in body["messages"])
        prompt += "<assistant>" if self.inline else "<assistant><think>\n" + ("" if think else "\n</think>\n\n")
        if body.get("_debug_render_only") and self.renders:
            return web.json_response({"model": self.name, "message": {}, "_debug_info": {"rendered_template": prompt}})
        if (prompt := self._fitting(prompt, body)) is None:
            return _error(400, TOO_LONG)
        tokens: list[tuple[str, Any]] = [("thinking", letter) for letter in THOUGHT if think]
        if self.inline:
            tokens = [("content", piece) for piece in ("<think>", *THOUGHT, "</think>")]
        if body.get("tools"):
            call = {"function": {"index": 0, "name": "add", "arguments": {"a": 1}}}
            tokens += [("tool_calls", [call]), ("tool_calls", [{**call, "id": "call_x"}])]
        else:
            tokens += [("content", letter) for letter in (JSON_ANSWER if body.get("format") else ANSWER)]
        # with a format and a thought the model is asked twice, and the second time alone is counted
        uncounted = len(THOUGHT) if think and body.get("format") else 0
        lines = [{"message": {"role": "assistant", "content": "", part: value}} for part, value in tokens]
        return await self._stream(request, body, [part for part, _ in tokens], lines, len(prompt), uncounted)

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if body.get("raw") and (body.get("template") or body.get("system") or body.get("context")):
            return _error(400, "raw mode does not support template, system, or context")
        if (refused := self._refused(body)) is not None:
            return refused
        if (prompt := self._fitting(body["prompt"], body)) is None:
            return _error(400, TOO_LONG)
        thought, close, answer = generated(prompt)
        answer = JSON_ANSWER if body.get("format") and not close else answer
        parsed = self.thinks and body.get("think", True) is not False and prompt.rstrip().endswith("<think>")
        tokens = [("thinking" if parsed else "response", letter) for letter in thought]
        tokens += [("close", "" if parsed else close)] if close else []
        tokens += [("response", letter) for letter in answer]
        lines = [{"response" if part == "close" else part: text} for part, text in tokens]
        return await self._stream(request, body, [part for part, _ in tokens], lines, len(prompt), 0)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body = await request.json()
        self.requests.append((request.path, body))
        return body

    def _refused(self, body: dict[str, Any]) -> web.Response | None:
        if self.full:
            return _error(503, "server busy, please try again.  maximum pending requests exceeded")
        if not self.thinks and body.get("think"):
            return _error(400, f'"{self.name}" does not support thinking')
        if isinstance(body.get("think"), str) and body["think"] not in (self.values or []):
            return _error(400, f'think value "{body["think"]}" is not supported for this model')
        context = body.get("options", {}).get("num_ctx", 4096)
        if self.loaded != context:
            self.loaded, self.loads = context, self.loads + 1
        return None

    def _fitting(self, prompt: str, body: dict[str, Any]) -> str | None:
        """The prompt as the model reads it; None where it is too long and may not be cut."""
        assert self.loaded is not None
        if len(prompt) < self.loaded:
            return prompt
        return None if body.get("truncate") is False else prompt[-self.loaded + 1 :]

    async def _stream(
        self,
        request: web.Request,
        body: dict[str, Any],
        parts: list[str],
        lines: list[dict[str, Any]],
        read: int,
        uncounted: int,
    ) -> web.StreamResponse:
        options = body.get("options", {})
        limit = options.get("num_predict", -1)
        made = len(lines) if limit < 0 else min(limit, len(lines))
        reason = "stop" if made == len(lines) else "length"
        said = "".join(str(_text(line)) for line, part in zip(lines, parts, strict=True) if part != "thinking")
        for stop in options.get("stop", ()):
            if (at := said.find(stop)) >= 0:
                made, reason = min(made, len(parts) - len(said) + at), "stop"
        if body.get("logprobs"):
            for line in lines:
                text = str(_text(line))
                line["logprobs"] = [{"token": text, "logprob": -0.5, "bytes": [*text.encode()]}]
                line["logprobs"][0]["top_logprobs"] = [{"token": text, "logprob": -0.5}] * body["top_logprobs"]
        if body.get("stream") is False:
            return web.json_response({"model": self.name, "done": True, "done_reason": reason, "eval_count": made})
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        try:
            await response.prepare(request)
            for place, line in enumerate(lines[:made]):
                if place == self.breaks_after:
                    await response.write(b'{"error": "an error was encountered while running the model"}\n')
                    return response
                if self.stalls and place == 3:
                    await asyncio.Event().wait()
                await response.write(json.dumps({"model": self.name, "done": False, **line}).encode() + b"\n")
                await asyncio.sleep(0)
            figures = {"prompt_eval_count": read, "eval_count": made - uncounted, "prompt_eval_duration": 2_000_000}
            await response.write(
                json.dumps({"model": self.name, "done": True, "done_reason": reason, **figures}).encode() + b"\n"
            )
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise
        return response


def _text(line: dict[str, Any]) -> Any:
    message = line.get("message") or line
    return next((message[key] for key in ("thinking", "content", "response") if message.get(key)), "")


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
