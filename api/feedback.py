"""POST /v1/feedback: how a decision turned out."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import StoreError
from .body import read_body
from .errors import json_response
from .openapi import Answers, described
from .requests import FeedbackRequest
from .responses import ReceiptBody
from .service import Service

_TAKEN: Answers = {201: {"model": ReceiptBody, "description": "Taken."}}


def routes(service: Service) -> APIRouter:
    """The endpoint."""
    api = APIRouter(tags=["decisions"])

    @api.post("/v1/feedback", **described(FeedbackRequest, ReceiptBody, errors=(400, 404, 413, 500, 503), more=_TAKEN))
    async def feedback(request: Request) -> Response:
        """Say how a decision turned out, at once or weeks later. 201: taken. 200: a repeat of what had been said, not
        taken again: the same idempotency key, or without one the same word from the same source as last."""
        body = await read_body(request, FeedbackRequest, service.config.max_body_bytes)
        state = partial(
            service.router.feedback,
            body.decision_id,
            float(body.value) if isinstance(body.value, bool) else body.value,
            metric=body.metric,
            source=body.source,
            idempotency_key=body.idempotency_key,
        )
        receipt = await asyncio.to_thread(state)
        if not receipt.accepted and not receipt.duplicate:
            raise StoreError("The statement could not be kept: the queue of the store is full. Send it again later.")
        told = {"decision_id": body.decision_id, "accepted": receipt.accepted, "duplicate": receipt.duplicate}
        return json_response(told, 201 if receipt.accepted else 200)

    return api
