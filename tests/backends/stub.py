"""A small real OpenAI-shaped server for tests: well-behaved on demand, ill-behaved on demand.

`Stub.next` scripts raw replies (statuses, pieces of bytes, waits, a cut connection). Without a script it runs a model
of one-letter tokens that thinks THOUGHT and answers ANSWER, in the shapes of vLLM: chat, raw completions, tokenise.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

THOUGHT = "one and one more is what they ask, so it must be two"
ANSWER = "two, I say"
CUT = object()
"""A piece that breaks the connection off."""
STALL = object()
"""A piece that waits until the client is gone."""


@dataclass
class Reply:
    """A scripted reply: its pieces are sent as they are, each in a chunk of its own."""

    pieces: Iterable[Any] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def sse(*chunks: Any) -> bytes:
    """Chunks as an event stream."""
    return b"".join(b"data: " + (c if isinstance(c, bytes) else json.dumps(c).encode()) + b"\n\n" for c in chunks)


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a streamed chat completion."""
    return {"model": "stub", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """The last chunk, with the usage."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


class Stub:
    """The server. budget: what it does with a native thinking budget: keep, ignore or refuse."""

    def __init__(self) -> None:
        self.next: deque[Reply] = deque()
        self.budget = "keep"
        self.mute = False
        self.opens: bool | None = None
        """Whether its template opens the thought, and knows no switch; None: it opens it, and has one."""
        self.always: bytes | None = None
        """What it answers to everything, in place of all else."""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.clients: list[Any] = []
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
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """The bodies sent to a path."""
        return [body for where, body in self.requests if where == path]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        self.requests.append((request.path, body))
        self.headers.append(dict(request.headers))
        peer = request.transport.get_extra_info("peername") if request.transport else None
        if peer not in self.clients:
            self.clients.append(peer)
        if self.always is not None:
            return web.Response(body=self.always, content_type="application/json")
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": "stub", "max_model_len": 2048, "owned_by": "tests"}]})
        if request.path == "/health" and not self.next:
            return web.Response()
        if request.path == "/tokenize":
            text = body["prompt"] if "prompt" in body else rendered(body, self.opens)
            return web.json_response({"tokens": [ord(letter) for letter in text]})
        if request.path == "/detokenize":
            return web.json_response({"prompt": "".join(map(chr, body["tokens"]))})
        reply = self.next.popleft() if self.next else self._model(request.path, body)
        return await self._send(request, reply)

    async def _send(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        kind = "application/json" if reply.status >= 300 else "text/event-stream"
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": kind, **reply.headers})
        try:
            await response.prepare(request)
            for piece in reply.pieces:
                if piece is CUT:
                    assert request.transport is not None
                    request.transport.abort()
                    return response
                if piece is STALL:
                    await asyncio.Event().wait()
                await response.write(piece)
                await asyncio.sleep(0)
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise
        return response

    def _model(self, path: str, body: dict[str, Any]) -> Reply:
        raw = path.endswith("/v1/completions")
        budget = body.get("thinking_token_budget")
        if budget is not None and self.budget == "refuse":
            message = "thinking_token_budget is set but reasoning_config is not configured"
            return Reply([json.dumps({"error": {"message": message}}).encode()], status=400)
        prompt = rendered(body) if not raw else body["prompt"]
        prompt = prompt if isinstance(prompt, str) else "".join(map(chr, prompt))
        thought, close, answer = generated(prompt)
        if budget is not None:  # as in vLLM, a thought that is gone on with counts too
            budget -= len(THOUGHT) - len(thought) if thought else 0
        if budget is not None and self.budget == "keep" and len(thought) > budget:
            thought, close = thought[:budget], "</think>"
        if self.mute and "min_tokens" not in body:
            answer = ""
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 1000
        letters = [*(("thought", t) for t in thought), *(("close", c) for c in [close] if c)]
        letters += [("answer", letter) for letter in answer]
        made = letters[:limit]
        said = "".join(text for part, text in made if part == "answer")
        ends = [said.find(stop) for stop in body.get("stop") or () if stop in said]
        made = made[: len(made) - len(said) + min(ends)] if ends else made
        finish = "stop" if ends or len(made) == len(letters) else "length"
        chunks = [self._chunk(raw, part, text, place + 1) for place, (part, text) in enumerate(made)]
        ending = {"choices": [{"index": 0, "text": "", "finish_reason": finish}]} if raw else delta(finish)
        return Reply([*(sse(c) for c in chunks if c), sse(ending, usage(len(prompt), len(made)), b"[DONE]")])

    @staticmethod
    def _chunk(raw: bool, part: str, text: str, made: int) -> dict[str, Any] | None:
        count = {"usage": {"prompt_tokens": 1, "completion_tokens": made}}
        if raw:
            return {"choices": [{"index": 0, "text": text, "finish_reason": None}], **count}
        if part == "close":
            return None
        return delta(**{"reasoning" if part == "thought" else "content": text}) | count


def rendered(body: dict[str, Any], opens: bool | None = None) -> str:
    """The prompt of a chat request, the thought opened by the template if it does that."""
    text = "".join(f"<{m['role']}>{m['content']}" for m in body["messages"])
    if opens is not None:
        return f"{text}<assistant>" + ("<think>\n" if opens else "")
    off = body.get("chat_template_kwargs", {}).get("enable_thinking") is False
    return f"{text}<assistant><think>\n" + ("\n</think>\n\n" if off else "")


def generated(prompt: str) -> tuple[str, str, str]:
    """What the model makes of a prompt: the rest of the thought, the marker that ends it, the rest of the answer."""
    mine = prompt.rpartition("<think>\n")[2]
    thought, closed, answer = mine.partition("\n</think>\n\n")
    if closed:
        return "", "", ANSWER.removeprefix(answer) if ANSWER.startswith(answer) else ANSWER
    return THOUGHT[len(thought) :], "</think>", ANSWER
