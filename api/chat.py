"""POST /v1/chat/completions: decide, answer, as a whole or as a stream."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import PointsmanError
from ..router.decide import new_id
from ..router.live import Answered, Decided, LiveEvent
from .body import read_body
from .completion import Completion
from .disconnect import WhileConnected
from .errors import error_body, json_response
from .headers import decision_headers, withheld_headers
from .openapi import described
from .requests import ChatRequest
from .responses import ChatCompletion
from .service import Service
from .sse import DONE, Begun, EventStream, event

log = logging.getLogger(__name__)

_ERRORS = (400, 404, 413, 500, 502, 503, 504)


def routes(service: Service) -> APIRouter:
    """The endpoint."""
    api = APIRouter(tags=["answers"])

    @api.post("/v1/chat/completions", **described(ChatRequest, ChatCompletion, streams=True, errors=_ERRORS))
    async def chat_completions(request: Request) -> Response:
        """Answer a conversation by the cheapest route that is likely to get it right; OpenAI's endpoint of this name.

        The answer's headers `x-pointsman-…` carry the decision: its id (for feedback), route, mode, thinking budget,
        reason. A stream's headers are sent when the route stands; an error before that is a JSON answer with its
        status, an error after it an event `{"error": …}` that ends the stream without `[DONE]`. Where that takes longer
        than `keep_alive_s`, the stream is opened with the decision's id alone and kept alive by comments, and errors
        are events from then on. The last chunk but the usage's has all of the decision under `pointsman`. Fields that
        are not listed are passed on to the model's server."""
        body = await read_body(request, ChatRequest, service.config.max_body_bytes)
        query, wish = body.query(), body.wish(service.router)
        service.require_engines()
        if not body.stream:
            return await _whole(service, request, service.router.run(query, wish))
        chosen, decision_id = body.stream_thoughts, new_id()
        at_once = service.config.stream_thoughts if chosen is None else chosen
        events = service.router.run(query, wish, at_once=at_once, decision_id=decision_id)
        return _streamed(service, events, decision_id, usage=body.wants_usage)

    return api


async def _whole(service: Service, request: Request, events: AsyncGenerator[LiveEvent, None]) -> Response:
    with service.answering():
        async with WhileConnected(request.receive), aclosing(events):
            kept = [one async for one in events]
    answered = kept[-1]
    assert isinstance(answered, Answered)
    completion = Completion(answered.decision, service.config.reasoning_field)
    headers = decision_headers(
        answered.decision,
        attempts=len(answered.attempts),
        enforced=answered.enforced,
        warnings=answered.warnings,
    )
    return json_response(completion.whole(kept, answered), headers=headers)


def _streamed(
    service: Service, events: AsyncGenerator[LiveEvent, None], decision_id: str, *, usage: bool
) -> EventStream:
    """Waits for the decision while that takes no longer than `keep_alive_s`, so that an error before it has its status
    and the headers tell it."""

    def begin(decided: LiveEvent) -> Begun:
        assert isinstance(decided, Decided)
        decision = decided.decision
        completion = Completion(decision, service.config.reasoning_field)
        enforced = service.router.decider.certificates.enforced(decision.route)
        headers = decision_headers(decision, attempts=len(decision.evidence) + 1, enforced=enforced)
        return Begun(headers, _pieces(completion, events, usage))

    return EventStream(
        events,
        begin,
        early=withheld_headers(decision_id),
        keep_alive_s=service.config.keep_alive_s,
        working=service.answering,
    )


async def _pieces(
    completion: Completion, events: AsyncGenerator[LiveEvent, None], usage: bool
) -> AsyncGenerator[bytes, None]:
    """The stream's bytes. With usage asked for, every other chunk says `usage: null`, as OpenAI's do."""
    blank: dict[str, Any] = {"usage": None} if usage else {}
    opening = event(completion.first() | blank)  # goes out together with the first piece: one packet less
    try:
        async for one in events:
            if isinstance(one, Answered):
                end = event(completion.last(one) | blank) + (event(completion.usage(one)) if usage else b"")
                yield opening + end + DONE
            elif not isinstance(one, Decided):
                yield opening + event(completion.piece(one) | blank)
            opening = b""
    except PointsmanError as error:
        yield opening + event(error_body(error))
    except Exception as error:  # a status can no longer be sent, and a cut connection would say nothing
        log.exception("a stream broke")
        yield opening + event(error_body(error))
