"""The router as Python callers hold it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pointsman.router import Router


@pytest.mark.parametrize("store", ["sqlite:///{folder}/file/sub/p.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_store_that_is_down_is_a_warning_and_decisions_go_on(
    store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What ships serves; the record waits in memory."""
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        router = Router.from_config(home=tmp_path, store=store.format(folder=tmp_path))
    assert [m for m in caplog.messages if m.startswith("The store cannot be used, so nothing is remembered")]
    assert router.route("3+4").route.name == "small"
    assert router.store.stats().depth == 1
    router.store.close(0.1)
    router.close()
