"""How a server was started, as far as it can be told from outside: which flags it has and which it lacks.

SGLang and llama.cpp say it. vLLM does not, but refuses at once, before its model runs, what it was not started for: it
is asked for one token with a thinking budget, and for one with a tool.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from ..domain import Json
from ..errors import BackendError, BackendRejected
from .config import Timeouts
from .discover import Discovered
from .evidence import as_object
from .server_flags import Started
from .transport import Target, Transport

_LIMIT_MS = 2_000
"""The longest wait for one answer, in milliseconds; what comes later cannot be seen."""

_TOOL: Json = {"type": "function", "function": {"name": "noop", "parameters": {"type": "object", "properties": {}}}}


async def started(found: Discovered, api_key: str | None = None) -> Started:
    """The flags of a server that was found. Fails for nothing: what cannot be told is left out."""
    asking = {"vllm": _vllm, "sglang": _sglang, "llamacpp": _llamacpp}.get(found.dialect)
    if asking is None:
        return {}
    limits = Timeouts(connect=_LIMIT_MS, first_byte=_LIMIT_MS, total=_LIMIT_MS)
    async with aclosing(Transport(Target("upstream", found.url, api_key), limits)) as transport:
        return await asking(transport, found.models[0].id)


async def _vllm(transport: Transport, model: str) -> Started:
    plain: Json = {"model": model, "messages": [{"role": "user", "content": "1"}], "max_completion_tokens": 1}
    budget, tools = await asyncio.gather(
        _takes(transport, {**plain, "thinking_token_budget": 1}, "reasoning"),
        _takes(transport, {**plain, "tools": [_TOOL], "tool_choice": "auto"}, "tool"),
    )
    told = {"--reasoning-parser": budget, "--enable-auto-tool-choice": tools}
    return {flag: "" if has else None for flag, has in told.items() if has is not None}


async def _takes(transport: Transport, body: Json, word: str) -> bool | None:
    """Whether the server takes a request, or refuses it in a sentence with this word; None where neither is sure."""
    try:
        await transport.post("chat/completions", body)
    except BackendRejected as error:
        return False if word in error.problem else None
    except BackendError:
        return None
    return True


async def _sglang(transport: Transport, _model: str) -> Started:
    info = await _object(transport, "/server_info") or await _object(transport, "/get_server_info")
    fields = ("reasoning_parser", "tool_call_parser", "enable_strict_thinking", "enable_cache_report")
    return {f"--{name.replace('_', '-')}": _flag(info[name]) for name in fields if name in info}


async def _llamacpp(transport: Transport, _model: str) -> Started:
    props, metrics = await asyncio.gather(_object(transport, "/props"), _metrics(transport))
    told: dict[str, str | None] = {} if metrics is None else {"--metrics": "" if metrics else None}
    return {**told, "--jinja": ""} if "chat_template_caps" in props else told


async def _metrics(transport: Transport) -> bool | None:
    """Whether /metrics is there; a server that does not know the path says 404, one without the flag 501."""
    try:
        await transport.ping("/metrics")
    except BackendError as error:
        return False if error.status == 501 else None
    return True


async def _object(transport: Transport, path: str) -> Json:
    try:
        return as_object(await transport.get(path))
    except BackendError:
        return {}


def _flag(value: object) -> str | None:
    """A setting as a flag's value."""
    if isinstance(value, bool):
        return "" if value else None
    return value if isinstance(value, str) and value else None
