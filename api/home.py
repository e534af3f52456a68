"""GET /: what this is and how to ask it, as one small page that needs no network (/docs loads its script from one)."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from .. import __version__
from .service import Service

_PAGE = """<!doctype html><meta charset="utf-8"><title>Pointsman</title>
<style>body{{font:16px/1.5 system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem}}
pre{{background:#8882;padding:1rem;overflow:auto}}td,th{{text-align:left;padding:.1rem 1rem .1rem 0}}</style>
<h1>Pointsman {version}</h1>
<p>Sends every query down the cheapest route that is likely to get it right.</p>
<pre>curl -i {base}v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model": "auto", "messages": [{{"role": "user", "content": "What is 3+4*2?"}}]}}'</pre>
<table><tr><th>route<th>model<th>mode<th>thinking budget</tr>{routes}</table>
<p><a href="ready">ready?</a> · <a href="v1/models">models</a> · <a href="openapi.json">openapi.json</a> ·
<a href="docs">docs</a> (loads a script from the network)</p>
"""


def routes(service: Service) -> APIRouter:
    """The endpoint."""
    api = APIRouter()

    @api.get("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        """The page."""
        rows = ""
        for route in service.router.routes:
            budget = {None: "unlimited", 0: "off"}.get(route.thinking_budget, str(route.thinking_budget))
            rows += (
                "<tr>" + "".join(f"<td>{escape(c)}" for c in (route.name, route.model, route.mode, budget)) + "</tr>"
            )
        return HTMLResponse(_PAGE.format(version=__version__, base=escape(str(request.base_url)), routes=rows))

    return api
