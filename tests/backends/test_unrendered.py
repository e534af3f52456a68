"""Servers that neither render a prompt nor count tokens, on stubs: LM Studio, transformers serve, any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from stub import ANSWER, THOUGHT, Reply, Stub

from pointsman.backends.lmstudio import LMStudioEngine
from pointsman.domain import Call, Capabilities, Enforcement, Sampling
from pointsman.errors import BackendRejected

ASK = ({"role": "user", "content": "How much is one and one?"},)
DIGITS = Path(__file__).resolve().parents[2] / "backends" / "models" / "digits"
CHAT, RAW = "/v1/chat/completions", "/v1/completions"
TEMPLATE = """{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}<assistant><think>
{% if not enable_thinking %}

</think>

{% endif %}"""


class LMStudio(Stub):
    """As 0.4.17: `reasoning_effort` switches, template arguments do nothing; its own list tells contexts."""

    def __init__(self) -> None:
        super().__init__()
        instance = {"id": "stub", "config": {"context_length": 4096}}
        self.rows: list[dict[str, Any]] | None = [
            {"key": "other", "type": "llm", "max_context_length": 9999, "loaded_instances": []},
            {
                "key": "maker/stub",
                "type": "llm",
                "max_context_length": 262144,
                "loaded_instances": [instance, {"id": "stub:2", "config": {"context_length": 2048}}],
                "capabilities": {"vision": False, "trained_for_tool_use": True},
            },
            {"key": "embedder", "type": "embedding", "loaded_instances": []},
        ]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1/models":
            if self.rows is None:
                return web.json_response({"error": "Unexpected endpoint"}, status=404)
            return web.json_response({"models": self.rows})
        return await super()._handle(request)

    def _model(self, path: str, body: dict[str, Any]) -> Reply:
        off = body.get("reasoning_effort") == "none"
        return super()._model(path, {**body, "chat_template_kwargs": {"enable_thinking": not off}})


class Serve(Stub):
    """transformers serve 5.24, by its own tables of fields: others are a 422, some do nothing."""

    def _model(self, path: str, body: dict[str, Any]) -> Reply:
        from transformers.cli.serving.chat_completion import ChatCompletionHandler
        from transformers.cli.serving.completion import CompletionHandler

        handler: Any = ChatCompletionHandler if path == CHAT else CompletionHandler
        unexpected = body.keys() - handler._valid_params_class.__mutable_keys__
        if unexpected:
            return Reply([f'{{"detail": "Unexpected fields in the request: {unexpected}"}}'.encode()], status=422)
        if path == RAW and not isinstance(body["prompt"], str):
            return Reply([b'{"detail": "prompt must be a string."}'], status=400)
        return super()._model(path, {key: body[key] for key in body.keys() - handler._unused_fields})


@pytest.fixture(params=[LMStudio, Serve, Stub])
async def server(request):
    """A server of each kind, with the dialect's name."""
    stub = request.param()
    await stub.start()
    yield stub, {LMStudio: "lmstudio", Serve: "transformers_serve", Stub: "openai"}[request.param]
    await stub.stop()


@pytest.fixture
async def lmstudio():
    stub = LMStudio()
    await stub.start()
    yield stub
    await stub.stop()


async def test_thinking_is_turned_off_by_what_works(server, engine_at, collect) -> None:
    """An effort on LM Studio, the template's argument on transformers serve; elsewhere nothing is known to."""
    stub, dialect = server
    reply = await collect(engine_at(stub.url, dialect=dialect, model="stub"), Call(ASK, thinking_budget=0))
    obeyed = dialect != "openai"
    assert (reply.thought, reply.answer) == ("" if obeyed else THOUGHT, ANSWER)
    assert reply.done.enforced is (Enforcement.NATIVE if obeyed else Enforcement.NONE)
    sent = stub.bodies(CHAT)[0]
    assert ("reasoning_effort" in sent, "chat_template_kwargs" in sent) == (
        dialect == "lmstudio",
        dialect == "transformers_serve",
    )


@pytest.mark.parametrize("schema", [False, True])
async def test_with_a_template_a_budget_is_kept_and_without_only_asked_for(
    server, engine_at, collect, tmp_path: Path, schema: bool
) -> None:
    """Two passes, the second on text that was rendered here; no field that the server would refuse."""
    stub, dialect = server
    (tmp_path / "chat.jinja").write_text(TEMPLATE)
    call = Call(
        ASK, thinking_budget=7, max_tokens=300, stop=("§",), sampling=Sampling(temperature=0.5, top_k=3, seed=1)
    )
    if schema:
        call = Call(ASK, thinking_budget=7, max_tokens=300, response_format={"type": "json_object"})
    asked = await collect(engine_at(stub.url, dialect=dialect, model="stub"), call)
    assert (asked.answer, asked.done.enforced) == (ANSWER, Enforcement.PROMPT)
    engine = engine_at(stub.url, dialect=dialect, model="stub", template=tmp_path / "chat.jinja")
    kept = await collect(engine, call)
    assert (kept.thought, kept.answer, kept.done.enforced) == (THOUGHT[:7], ANSWER, Enforcement.TWO_PASS)
    assert kept.done.usage.thought == 7
    (sent,) = stub.bodies(RAW)
    assert sent["prompt"] == f"<user>{ASK[0]['content']}<assistant><think>\n{THOUGHT[:7]}\n</think>\n\n"
    able = await engine.capabilities()
    assert able.continues is (dialect != "transformers_serve"), "its raw text hides where a thought ends"


async def test_a_prompt_is_rendered_and_counted_here(engine_at, stub, tmp_path: Path) -> None:
    """And where nothing was given for it, the error says what to give."""
    (tmp_path / "chat.jinja").write_text(TEMPLATE)
    engine = engine_at(stub.url, dialect="lmstudio", template=tmp_path / "chat.jinja", tokenizer=DIGITS)
    assert await engine.render(ASK) == f"<user>{ASK[0]['content']}<assistant><think>\n"
    assert await engine.count_tokens("3+4=") == 4
    bare = engine_at(stub.url, dialect="lmstudio")
    with pytest.raises(BackendRejected, match="template"):
        await bare.render(ASK)
    with pytest.raises(BackendRejected, match="tokenizer"):
        await bare.count_tokens("x")


async def test_lmstudio_tells_what_it_has_loaded(lmstudio, engine_at) -> None:
    """The context is that of the loaded instances, the shortest; what is not loaded has none yet."""
    engine = engine_at(lmstudio.url, dialect="lmstudio", model="maker/stub")
    assert isinstance(engine, LMStudioEngine)
    assert await engine.loaded() == ("maker/stub", "stub", "stub:2")
    assert await engine.capabilities() == Capabilities(2048, True, False, None, None, False)
    own = engine_at(lmstudio.url, dialect="lmstudio", model="stub", context=1000)
    assert (await own.capabilities()).context == 1000
    assert (await engine_at(lmstudio.url, dialect="lmstudio", model="other").capabilities()).context is None
    with pytest.raises(BackendRejected, match="writes no text"):
        await engine_at(lmstudio.url, dialect="lmstudio", model="embedder").capabilities()


async def test_an_lmstudio_without_its_own_list_serves_all_the_same(lmstudio, engine_at, collect) -> None:
    lmstudio.rows = None
    assert (await collect(engine_at(lmstudio.url, dialect="lmstudio"), Call(ASK))).answer == ANSWER
