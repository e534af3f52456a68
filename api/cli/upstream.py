"""`pointsman serve --upstream URL`: ask the server what it is, write a configuration for it, serve by that."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from .options import Where

if TYPE_CHECKING:
    from ...router.proposal import Proposal

KEY = "POINTSMAN_UPSTREAM_API_KEY"
FILE = "upstream.yaml"


def configured(where: Where, url: str) -> tuple[Where, tuple[str, ...]]:
    """The same place with a configuration file for the server at `url`, and what start-up must say of it.

    Raises ConfigError (a configuration file is given as well), BackendError where the server cannot be asked."""
    if where.config or os.environ.get("POINTSMAN_CONFIG"):
        raise ConfigError(
            "give a configuration file or --upstream, not both: a server that is already running stands in a file as "
            f"`models: {{NAME: {{url: {url}}}}}`",
            field="upstream",
        )
    home = where.load()[0].home
    found = asyncio.run(_survey(url))
    file = home / FILE
    _write(file, url, found)
    kept = f"Its configuration, for other commands and as a beginning of your own: {file}"
    return Where(file, where.home, where.store), (*found.fronts, *found.notes, kept)


async def _survey(url: str) -> Proposal:
    from ...backends.discover import discover
    from ...backends.ports import Server
    from ...router.proposal import propose

    key = os.environ.get(KEY) or None
    return propose([Server(await discover(url, key), key_env=KEY if key else None)])


def _write(file: Path, url: str, found: Proposal) -> None:
    from ...router.proposal_text import written

    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = f"Written by `pointsman serve --upstream {url}` at {made}, and anew at each start: change a copy."
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written(found, head), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the configuration cannot be written: {error.strerror or error}", where=str(file)) from None
