"""What is checked: the routes that were asked for, by model, and what is known of each before a call is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from ....backends import Engine, Identity
from ....domain import Capabilities, Route
from ....errors import BackendError, BadRequest
from ...router import Router
from .trials import Subject

DIGITS = "digits"
"""The embedded model that knows chains only, by whatever engine it is served."""


def chosen(router: Router, names: Sequence[str] | None = None) -> dict[str, tuple[Route, ...]]:
    """The named routes (None: all) by model, each model's cheapest first. Raises BadRequest for a name that is none."""
    known = [route.name for route in router.routes]
    for name in names or ():
        if name not in known:
            raise BadRequest(f"There is no route {name!r}; there are {', '.join(known)}.", field="route")
    wanted = [route for route in router.routes if not names or route.name in names]
    return {model: tuple(r for r in wanted if r.model == model) for model in dict.fromkeys(r.model for r in wanted)}


def not_loaded(identities: Mapping[str, Identity | None]) -> tuple[str, ...]:
    """The models whose engines would have to load them first."""
    return tuple(name for name, told in identities.items() if told is not None and told.loaded is False)


def paid(router: Router, models: Sequence[str]) -> tuple[str, ...]:
    """Those of these models whose tokens somebody else is paid for: at a provider, or with a price of the owner's and
    outside of the owner's network."""

    def costs(name: str) -> bool:
        model = router.models[name]
        if model.launched or model.folder is not None:
            return False
        if str(model.engine) == "hosted":
            return True
        return not _near(model.url or "") and any(not r.price.assumed for r in router.routes if r.model == name)

    return tuple(name for name in models if costs(name))


def _near(url: str) -> bool:
    """Whether an address is of this machine or of a private network (RFC 1918, 4193; names without a domain)."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan", ".home.arpa"))


async def subject(router: Router, model: str, routes: tuple[Route, ...]) -> Subject:
    """What is known of a model whose engine is open; a server that says nothing leaves it unknown."""
    engine, config = router.engines[model], router.models[model]
    listed = await _listed(engine)
    served = config.model or (listed[0] if listed else "")
    return Subject(
        model,
        routes,
        router.modes,
        await _able(engine),
        router.advice[model],
        digits=config.embedded == DIGITS or served.rpartition("/")[2] == DIGITS,
        asked=config.model,
        listed=listed,
    )


async def _able(engine: Engine) -> Capabilities:
    try:
        return await engine.capabilities()
    except BackendError:
        return Capabilities()


async def _listed(engine: Engine) -> tuple[str, ...]:
    try:
        return tuple(info.id for info in await engine.models())
    except BackendError:
        return ()
