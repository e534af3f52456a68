"""HTTP to one server, and the one place where its failures become our errors.

Streams are read with a time limit on every wait, never across a `yield`: a timeout that is open while the caller has
control would cancel the caller.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import aiohttp
import orjson

from ..domain import Json
from ..errors import BackendRejected, BackendTimeout, BackendUnavailable
from .config import Timeouts
from .sse import Decoder, EventTooLargeError, ServerEvent

_ERROR_BYTES = 64 * 1024
_REPLY_BYTES = 32 * 1024 * 1024
_CONNECTIONS = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A server. backend: its name in errors; url: its OpenAI address; reuse: connections may be used again."""

    backend: str
    url: str
    api_key: str | None = None
    reuse: bool = True

    @property
    def root(self) -> str:
        """The address without a trailing /v1, where an engine's own endpoints are."""
        return self.url.removesuffix("/v1")

    def at(self, path: str) -> str:
        """A path with a leading slash is from the root, another from the OpenAI address."""
        return self.root + path if path.startswith("/") else f"{self.url}/{path}"


class Framing(Protocol):
    """What finds the events in the bytes of a stream. accept: its media type."""

    accept: str

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The events that these bytes complete, in order. Raises EventTooLargeError."""
        ...


class Transport:
    """Requests to one server, from any event loop (each has its own connections). Raises BackendError only."""

    def __init__(self, target: Target, timeouts: Timeouts) -> None:
        self.target = target
        self._timeouts = timeouts
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    async def get(self, path: str) -> Any:
        """The JSON that GET returns."""
        return await self._whole("GET", path, None)

    async def ping(self, path: str) -> None:
        """GET a path for its status alone."""
        await self._bytes("GET", path, None)

    async def post(self, path: str, body: Json) -> Any:
        """The JSON that POST returns."""
        return await self._whole("POST", path, body)

    async def stream(
        self, path: str, body: Json, deadline_ms: float | None, framing: Callable[[], Framing] = Decoder
    ) -> AsyncGenerator[ServerEvent, None]:
        """The events of a POST that answers with a stream of them. Closing the generator closes the connection, by
        which the server notices that nobody listens."""
        total = self._timeouts.total if deadline_ms is None else min(deadline_ms, self._timeouts.total)
        end = time.monotonic() + total / 1e3
        first = time.monotonic() + self._timeouts.first_byte / 1e3
        decoder = framing()
        headers = {**_JSON, "Accept": decoder.accept}
        with _mapped(self.target):
            async with _until(min(first, end), self._late(end, total)):
                response = await self._session().post(
                    self.target.at(path), data=orjson.dumps(body), headers=headers, allow_redirects=False
                )
        try:
            with _mapped(self.target):
                async with _until(end, self._late(end, total)):
                    await self._check(response)
            while True:
                with _mapped(self.target):
                    async with _until(min(first, end), self._late(end, total)):
                        piece = await response.content.readany()
                if not piece:
                    return
                first = end
                try:
                    events = decoder.feed(piece)
                except EventTooLargeError as error:
                    raise BackendUnavailable(str(error), backend=self.target.backend) from error
                for event in events:
                    yield event
        finally:
            # closed, not released: what is still to come is not wanted, and the server must see it
            if self.target.reuse and response.content.at_eof():
                response.release()
            else:
                response.close()

    async def aclose(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.items()), WeakKeyDictionary()
        for loop, session in sessions:
            if loop is asyncio.get_running_loop():
                await session.close()
            elif session.connector is not None and not loop.is_closed():
                loop.call_soon_threadsafe(session.connector.close)

    async def _whole(self, method: str, path: str, body: Json | None) -> Any:
        content = await self._bytes(method, path, body)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise BackendUnavailable(f"{path} did not answer with JSON", backend=self.target.backend) from error

    async def _bytes(self, method: str, path: str, body: Json | None) -> bytes:
        timeouts = self._timeouts
        end = time.monotonic() + min(timeouts.first_byte, timeouts.total) / 1e3
        data = None if body is None else orjson.dumps(body)
        headers = {} if body is None else _JSON
        with _mapped(self.target):
            async with _until(end, self._late(end, timeouts.first_byte)):
                url = self.target.at(path)
                async with self._session().request(
                    method, url, data=data, headers=headers, allow_redirects=False
                ) as response:
                    await self._check(response)
                    content = await response.content.read(_REPLY_BYTES + 1)
                    while not response.content.at_eof() and len(content) <= _REPLY_BYTES:
                        content += await response.content.read(_REPLY_BYTES + 1 - len(content))
        if len(content) > _REPLY_BYTES:
            raise BackendUnavailable(f"{path} answered with over {_REPLY_BYTES} bytes", backend=self.target.backend)
        return content

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            headers = {"Authorization": f"Bearer {self.target.api_key}"} if self.target.api_key else {}
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, force_close=not self.target.reuse),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect / 1e3),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                requote_redirect_url=False,
            )
            self._sessions[loop] = session
        return session

    def _late(self, end: float, total: float) -> Callable[[], BackendTimeout]:
        """The error of a wait that was too long: the whole call, or its first piece."""

        def late() -> BackendTimeout:
            over = time.monotonic() >= end - 0.001
            what = f"not finished in {total:.0f} ms" if over else f"silent for {self._timeouts.first_byte:.0f} ms"
            return BackendTimeout(what, backend=self.target.backend)

        return late

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        """Raise what a status that is no success means."""
        status = response.status
        if status < 300:
            return
        backend = self.target.backend
        if status < 400:
            where = response.headers.get("Location", "another place")
            raise BackendRejected(f"redirects to {where}: set the url to that", backend=backend, status=status)
        message = _message(await response.content.read(_ERROR_BYTES)) or response.reason or "no message"
        if status in (401, 403):
            raise BackendRejected(f"{message} (HTTP {status}: is its key right?)", backend=backend, status=status)
        if status in (408, 504):
            raise BackendTimeout(f"{message} (HTTP {status})", backend=backend, status=status)
        if status in (425, 429) or status >= 500:
            wait = retry_after_of(response.headers.get("Retry-After"))
            raise BackendUnavailable(f"{message} (HTTP {status})", backend=backend, status=status, retry_after=wait)
        raise BackendRejected(message, backend=backend, status=status)


_JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def _until(end: float, late: Callable[[], BackendTimeout]) -> AsyncGenerator[None]:
    """A time limit (on time.monotonic's clock) round one wait."""
    try:
        async with asyncio.timeout(max(0.0, end - time.monotonic())):
            yield
    except aiohttp.ConnectionTimeoutError:
        raise
    except TimeoutError as error:
        raise late() from error


@contextmanager
def _mapped(target: Target) -> Generator[None]:
    """The lower library's errors as ours, most specific first."""
    backend, url = target.backend, target.url
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise BackendTimeout(f"no connection to {url} in time", backend=backend) from error
    except aiohttp.ClientConnectorError as error:
        raise BackendUnavailable(f"cannot be reached at {url}: {error.strerror}", backend=backend) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise BackendRejected(f"{url} is no address", backend=backend) from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise BackendUnavailable(f"broke off: {str(error) or type(error).__name__}", backend=backend) from error


def error_message(body: Any) -> str | None:
    """The sentence in an error object of the usual forms: OpenAI's, FastAPI's `detail`, a bare string."""
    if isinstance(body, str):
        return body.strip() or None
    if not isinstance(body, dict):
        return None
    for key in ("error", "message", "detail"):
        found: Any = body.get(key)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] foreign JSON
        if isinstance(found, list):
            return orjson.dumps(found).decode()
        if found and (message := error_message(found)):
            return message
    return None


def _message(content: bytes) -> str | None:
    try:
        return error_message(orjson.loads(content))
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace").strip()[:500] or None


def retry_after_of(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
