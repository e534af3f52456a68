"""HTTP to a server, and its failures as our errors."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pointsman.backends.config import Timeouts
from pointsman.backends.transport import Target, Transport
from pointsman.domain import Call
from pointsman.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable

ASK = Call(({"role": "user", "content": "?"},))
QUICK = {"connect": 200, "first_byte": 150, "total": 300}


async def failure(engine, call: Call = ASK) -> BackendError:
    """The error that a call ends with."""
    with pytest.raises(BackendError) as caught:
        async for _ in engine.stream(call):
            pass
    assert caught.value.backend == "stub"
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BackendRejected),
        (401, BackendRejected),
        (404, BackendRejected),
        (422, BackendRejected),
        (408, BackendTimeout),
        (429, BackendUnavailable),
        (500, BackendUnavailable),
        (503, BackendUnavailable),
        (504, BackendTimeout),
    ],
)
async def test_a_status_becomes_an_error_with_the_servers_own_words(stub, stubs, engine_at, status, kind) -> None:
    """4xx: asking again will not help; 429 and 5xx: it may."""
    body = b'{"error": {"message": "the server says so", "type": "x"}}'
    stub.next.append(stubs.Reply([body], status=status))
    error = await failure(engine_at(stub.url, model="stub"))
    assert type(error) is kind
    assert error.status == status
    assert "the server says so" in error.problem


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"detail": [{"loc": ["body", "n"], "msg": "bad"}]}', "bad"),
        (b'{"message": "plain"}', "plain"),
        (b'{"error": "short"}', "short"),
        (b"<html>gateway</html>", "gateway"),
        (b"", "Bad Request"),
    ],
)
async def test_the_message_is_found_in_every_usual_shape(stub, stubs, engine_at, body, said) -> None:
    """OpenAI's, FastAPI's, a bare string, no JSON at all."""
    stub.next.append(stubs.Reply([body], status=400))
    assert said in (await failure(engine_at(stub.url, model="stub"))).problem


@pytest.mark.parametrize("how", ["seconds", "date", "nonsense"])
async def test_retry_after_is_read_as_seconds_or_as_a_date(stub, stubs, engine_at, how) -> None:
    """RFC 9110 allows both; what is neither is no wait."""
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)  # a date has whole seconds
    header = {"seconds": "7", "date": format_datetime(later, usegmt=True), "nonsense": "soon"}[how]
    stub.next.append(stubs.Reply([b"{}"], status=429, headers={"Retry-After": header}))
    wait = (await failure(engine_at(stub.url, model="stub"))).retry_after
    if how == "nonsense":
        assert wait is None
    elif how == "seconds":
        assert wait == 7
    else:
        assert wait is not None
        assert (later - datetime.now(UTC)).total_seconds() <= wait <= 60


async def test_nobody_listening_is_unavailable(engine_at) -> None:
    """A refused connection names the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = await failure(engine_at(f"http://127.0.0.1:{port}/v1", model="stub"))
    assert type(error) is BackendUnavailable
    assert str(port) in error.problem


async def test_a_connection_that_never_stands_is_a_timeout(engine_at) -> None:
    """A host whose queue is full does not refuse, it says nothing."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # fill the queue
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        error = await failure(engine_at(url, model="stub", timeouts={**QUICK, "first_byte": 5000, "total": 5000}))
    assert type(error) is BackendTimeout
    assert "connection" in error.problem


async def test_a_server_that_stays_silent_is_a_timeout(stub, stubs, engine_at) -> None:
    """The first piece has a limit of its own."""
    stub.next.append(stubs.Reply([stubs.STALL]))
    error = await failure(engine_at(stub.url, model="stub", timeouts={**QUICK, "total": 5000}))
    assert type(error) is BackendTimeout
    assert "silent for 150 ms" in error.problem
    await asyncio.wait_for(stub.gone.wait(), 2)


@pytest.mark.parametrize("whose", ["ours", "the call's"])
async def test_a_stream_that_does_not_end_is_a_timeout(stub, stubs, engine_at, whose) -> None:
    """The whole call has a limit, from the configuration or from the call, and the server sees us go."""
    stub.next.append(stubs.Reply([stubs.sse(stubs.delta(content="a")), stubs.STALL]))
    ours = whose == "ours"
    call = ASK if ours else Call(ASK.messages, deadline_ms=200)
    error = await failure(engine_at(stub.url, model="stub", timeouts=QUICK if ours else {}), call)
    assert type(error) is BackendTimeout
    await asyncio.wait_for(stub.gone.wait(), 2)


async def test_a_stream_that_is_cut_is_unavailable(stub, stubs, engine_at) -> None:
    """A connection reset in the middle is told as such."""
    stub.next.append(stubs.Reply([stubs.sse(stubs.delta(content="a")), stubs.CUT]))
    error = await failure(engine_at(stub.url, model="stub"))
    assert type(error) is BackendUnavailable
    assert "broke off" in error.problem


@pytest.mark.parametrize("event", [b"data: {broken\n\n", b"data: [1]\n\n", b"data: \xff\n\n"])
async def test_malformed_events_are_unavailable(stub, stubs, engine_at, event) -> None:
    """A server that sends nonsense is broken, not rejecting."""
    stub.next.append(stubs.Reply([event]))
    assert type(await failure(engine_at(stub.url, model="stub"))) is BackendUnavailable


async def test_an_error_in_the_stream_is_told(stub, stubs, engine_at) -> None:
    """Servers that have begun to answer can only say it there."""
    stub.next.append(stubs.Reply([stubs.sse({"error": {"message": "out of memory", "code": 500}})]))
    error = await failure(engine_at(stub.url, model="stub"))
    assert "out of memory" in error.problem


async def test_a_redirect_is_not_followed(stub, stubs, engine_at) -> None:
    """The key is for this address only."""
    stub.next.append(stubs.Reply(status=307, headers={"Location": "http://elsewhere/v1"}))
    error = await failure(engine_at(stub.url, model="stub"))
    assert type(error) is BackendRejected
    assert "http://elsewhere/v1" in error.problem


@pytest.mark.parametrize("reuse", [True, False])
async def test_connections_are_used_again_where_that_is_safe(stub, reuse) -> None:
    """A pool by default; where the dialect forbids it, a connection for every request."""
    transport = Transport(Target("stub", stub.url, "secret", reuse), Timeouts())
    for _ in range(3):
        async with aclosing(transport.stream("chat/completions", {"messages": []}, None)) as events:
            assert [event.data async for event in events][-1] == "[DONE]"
    assert len(stub.clients) == (1 if reuse else 3)
    assert stub.headers[-1]["Authorization"] == "Bearer secret"
    await transport.aclose()


def test_one_engine_serves_several_event_loops(stubs) -> None:
    """A notebook's calls each bring a loop of their own."""

    async def serve_and_ask(transport: Transport | None) -> Transport:
        server = stubs.Stub()
        await server.start()
        transport = transport or Transport(Target("stub", server.url), Timeouts())
        transport.target = Target("stub", server.url)
        assert (await transport.get("models"))["data"][0]["id"] == "stub"
        await transport.aclose()
        await server.stop()
        return transport

    transport = asyncio.run(serve_and_ask(None))
    asyncio.run(serve_and_ask(transport))


async def test_health_never_raises(stub, stubs, engine_at) -> None:
    """Loading is not ready; nobody there is not ready; both say why."""
    stub.next.append(stubs.Reply([b'{"error": {"message": "Loading model"}}'], status=503))
    loading = await engine_at(stub.url, dialect="vllm").health()
    assert (loading.ready, "Loading model" in loading.detail) == (False, True)
    await stub.stop()
    assert not (await engine_at(stub.url, dialect="vllm").health()).ready
