"""The documentation says what is so: its commands run, its Python runs, its links lead somewhere.

A block marked `bash norun` starts a server, installs or needs the reader's own server; everything else is executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(bash|python|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(page.name, text) for page in PAGES for found, text in BLOCK.findall(page.read_text()) if found == kind]


def names(found: list[tuple[str, str]]) -> list[str]:
    return [f"{page}-{i}" for i, (page, _) in enumerate(found)]


@pytest.mark.parametrize(("page", "code"), blocks("python"), ids=names(blocks("python")))
def test_python_in_the_documentation_runs(page: str, code: str, tmp_path: Path) -> None:
    environ = {**os.environ, "POINTSMAN_HOME": str(tmp_path)}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=environ, cwd=tmp_path, check=False)
    assert done.returncode == 0, f"{page}: {done.stderr[-1500:]}"


@pytest.mark.parametrize(("page", "text"), blocks("yaml"), ids=names(blocks("yaml")))
def test_configuration_in_the_documentation_is_valid(page: str, text: str, tmp_path: Path) -> None:
    """Pieces that name no routes of their own are put on top of the default configuration."""
    from pointsman.router import load
    from pointsman.router.config import DEFAULT_CONFIG

    file = tmp_path / "pointsman.yaml"
    file.write_text(text if "routes:" in text else DEFAULT_CONFIG.read_text() + text)
    settings, _ = load(file, environ={})
    assert settings.routes, page


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1500:]
