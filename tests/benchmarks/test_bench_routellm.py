"""APGR by RouteLLM's protocol, and tables put between their marks."""

from __future__ import annotations

from pathlib import Path

import bench_routing
import numpy as np
import pytest
from bench_routellm import area
from bench_routing import put


def test_the_area_by_hand() -> None:
    """Ten questions, two to gain: sent first they are recovered at two tenths, sent last at the end; one is lost on the
    way where the weak model alone was right."""
    weak = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 0], float)
    strong = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], float)
    first = np.arange(10.0)
    assert area(first, weak, strong) == pytest.approx(0.1 * (0.25 + 0.75 + 8))
    assert area(-first, weak, strong) == pytest.approx(0.1 * (0.25 + 0.75))
    lost = strong.copy()
    lost[2] = 0
    assert area(first, weak, lost) == pytest.approx(0.1 * (0.5 + 1.5 + 1.5 + 7))


def test_chance_is_a_half() -> None:
    rng = np.random.default_rng(0)
    weak, strong = (rng.random(20_000) < share for share in (0.5, 0.8))
    assert area(rng.random(20_000), weak.astype(float), strong.astype(float)) == pytest.approx(0.5, abs=0.03)


def test_a_table_stands_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of the page moves; a page without the marks is left as it is."""
    page = tmp_path / "docs" / "results.md"
    page.parent.mkdir()
    page.write_text("before <!-- a --> old <!-- b --> after")
    monkeypatch.setattr(bench_routing, "ROOT", tmp_path)
    monkeypatch.setattr(bench_routing, "RESULTS", page)
    put("| new |", "<!-- a -->", "<!-- b -->")
    assert page.read_text() == "before <!-- a -->\n\n| new |\n\n<!-- b --> after"
    with pytest.raises(SystemExit, match="has no <!-- c -->"):
        put("| other |", "<!-- c -->", "<!-- d -->")
    assert "other" not in page.read_text()
