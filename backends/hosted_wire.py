"""LiteLLM as the way to a reply: its arguments made of a body, its chunks as OpenAI has them, its errors as ours.

LiteLLM takes seconds to import, so it is loaded when the first wire is made, in a thread of its own. It is told to keep
to itself: no table of prices and no tokenizers from the network (with which it would work out costs that nobody asked
for, the event loop standing still meanwhile), no `.env` file read, no retries but ours.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Awaitable
from functools import cache
from importlib import import_module
from threading import Thread
from typing import Any, cast
from weakref import WeakSet

import orjson

from ..domain import Json
from ..errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable
from .config import ModelConfig
from .dialects import merged
from .hosted_loops import Loops
from .transport import Target, error_message, retry_after_of

ARGUMENTS = frozenset(
    (
        *("messages", "prompt", "stop", "seed", "user", "temperature", "top_p", "top_k", "logit_bias", "verbosity"),
        *("max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "service_tier"),
    )
)
"""Fields of a body that LiteLLM knows as arguments. No other may reach it by that way: among its arguments are the
address and the key."""

OURS = frozenset(("thinking", "output_config", "extra_body"))
"""Further arguments, which only the table of spellings may use."""


@cache
def library() -> Any:
    """LiteLLM, imported and quietened. Blocks for seconds at its first call."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    lib: Any = import_module("litellm")
    lib.telemetry = False
    lib.suppress_debug_info = True
    lib.disable_streaming_logging = True
    lib.disable_aiohttp_transport = True  # whose sessions nobody closes
    lib.disable_hf_tokenizer_download = True
    return lib


class HostedWire:
    """Calls by LiteLLM. Implements Wire.

    ours: fields of a body that OpenAI does not have are LiteLLM's arguments (a row of hosted.yaml made them); else they
    go on into the server's body as they are. counted: the tokens of the thought that are told are the provider's own.
    prefix: a last message of the assistant is marked as one to go on with."""

    def __init__(
        self,
        target: Target,
        config: ModelConfig,
        *,
        ours: bool,
        loops: Loops,
        counted: bool = True,
        prefix: bool = False,
    ) -> None:
        self._target, self._config, self._ours, self._loops = target, config, ours, loops
        self._counted, self._prefix = counted, prefix
        _LIVE.add(self)
        Thread(target=library, daemon=True, name="litellm").start()

    async def chunks(self, path: str, body: Json, deadline_ms: float | None) -> AsyncGenerator[Json, None]:
        """See Wire.chunks."""
        timeouts, backend = self._config.timeouts, self._target.backend
        total = timeouts.total if deadline_ms is None else min(deadline_ms, timeouts.total)
        end = time.monotonic() + total / 1e3
        late = BackendTimeout(f"not finished in {total:.0f} ms", backend=backend)
        lib = await self._within(end, late, asyncio.to_thread(library))
        first = min(end, time.monotonic() + timeouts.first_byte / 1e3)
        silent = late if first == end else BackendTimeout(f"silent for {timeouts.first_byte:.0f} ms", backend=backend)
        _leave_other_loops(lib)
        ask = lib.atext_completion if path == "completions" else lib.acompletion
        stream = await self._within(first, silent, ask(**self._arguments(body), timeout=total / 1e3))
        reply = self._loops.listen()
        try:
            while (chunk := await self._within(first, silent, anext(stream, None))) is not None:
                first, silent = end, late
                told = self._chunk(chunk)
                reply.hear(told)
                yield told
            reply.keep()
        finally:
            if (close := getattr(stream, "aclose", None)) is not None:
                await close()

    async def aclose(self) -> None:
        """Close LiteLLM's connections, which all wires share, when the last of them is closed."""
        _LIVE.discard(self)
        if _LIVE or not library.cache_info().currsize:
            return
        lib = library()
        await lib.close_litellm_async_clients()
        lib.in_memory_llm_clients_cache.flush_cache()
        if (client := _made(lib).pop(_SHARED, None)) is not None:
            await client.close()

    def _arguments(self, body: Json) -> Json:
        known = ARGUMENTS | OURS if self._ours else ARGUMENTS - {"top_k"}
        taken: Json = {key: value for key, value in body.items() if key in known}
        beside = {key: value for key, value in body.items() if key not in known and key not in _NOT_PASSED}
        if self._ours:
            beside = self._config.extra  # the owner's, for LiteLLM itself: a region, an organisation
        elif beside:
            beside = {"extra_body": beside}
        if self._prefix and taken.get("messages") and taken["messages"][-1].get("role") == "assistant":
            taken["messages"] = [*taken["messages"][:-1], {**taken["messages"][-1], "prefix": True}]
        address, key = self._target.url or None, self._target.api_key
        where: Json = {"api_base": address} if address else {}
        if key or address:
            where["api_key"] = key or "none"  # else LiteLLM looks for one where it knows to, not for this address
        always = {"model": self._config.model, "stream": True, "stream_options": {"include_usage": True}}
        return merged(beside, taken, where, always, {"max_retries": 0, "num_retries": 0, "drop_params": False})

    def _chunk(self, chunk: Any) -> Json:
        told = cast("Json", chunk.model_dump(exclude_none=True))
        if not self._counted and "usage" in told:
            told["usage"].pop("completion_tokens_details", None)
        return told

    async def _within(self, end: float, late: BackendTimeout, awaited: Awaitable[Any]) -> Any:
        """What is awaited, within a time limit (on time.monotonic's clock), LiteLLM's errors as ours. It raises what
        its parts raise, so everything is caught here."""
        limit = asyncio.timeout(max(0.0, end - time.monotonic()))
        try:
            async with limit:
                return await awaited
        except Exception as error:  # noqa: BLE001 a foreign library's edge
            problem = late if limit.expired() else self._ours_of(error)
        raise problem  # outside, as its own text, which would hang on to ours, may hold the key

    def _ours_of(self, error: Exception) -> BackendError:
        backend, key = self._target.backend, self._target.api_key
        status = getattr(error, "status_code", None)
        status = status if isinstance(status, int) else None
        message = sentence(error)
        if key:
            message = message.replace(key, "(key)")
        name = type(error).__name__
        if "Timeout" in name or status in (408, 504):
            return BackendTimeout(message, backend=backend, status=status)
        if "APIConnection" in name:
            return BackendUnavailable(f"cannot be reached or broke off: {message}", backend=backend)
        if status in (401, 403):
            problem = f"{message} (HTTP {status}: is its key right?)"
            return BackendRejected(problem, backend=backend, status=status)
        if status is not None and 400 <= status < 500 and status not in (425, 429):
            return BackendRejected(message, backend=backend, status=status)
        headers: Any = getattr(error, "litellm_response_headers", None) or {}
        wait = retry_after_of(headers.get("retry-after"))
        told = f"{message} (HTTP {status})" if status else message
        return BackendUnavailable(told, backend=backend, status=status, retry_after=wait)


_LIVE: WeakSet[HostedWire] = WeakSet()
_WRAPPING = re.compile(r"^((litellm\.)?\w*(Error|Exception|Timeout)(: | - ))+")
_NOT_PASSED = frozenset(("model", "stream", "stream_options"))


def sentence(error: Exception) -> str:
    """What the provider said, out of what LiteLLM made of it: `litellm.SomeError: SomeException - b'{"error": …}'`."""
    text = str(getattr(error, "message", None) or error).strip()
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            said = error_message(orjson.loads(text[start : end + 1]))
        except orjson.JSONDecodeError:
            said = None
        if said:
            return said
    return _WRAPPING.sub("", text).partition("\n")[0][:500] or type(error).__name__


_SHARED = "module_level_aclient"


def _leave_other_loops(lib: Any) -> None:
    """LiteLLM has a client that all of its streams share, made when it is first needed; its connections belong to the
    event loop that made them. On another loop it is made anew."""
    loop = asyncio.get_running_loop()
    if loop not in _MAKERS:
        _made(lib).pop(_SHARED, None)
        _MAKERS.clear()
        _MAKERS.add(loop)


def _made(lib: Any) -> dict[str, Any]:
    """What LiteLLM has made of its parts so far, by name."""
    return cast("dict[str, Any]", vars(lib))


_MAKERS: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
