"""What is built is what works: the wheel alone, without the checkout, decides and serves."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """sdist and wheel, the wheel built from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {"sdist": next(out.glob("*.tar.gz")), "wheel": next(out.glob("*.whl"))}


def test_the_wheel_holds_the_package_and_nothing_beside_it(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        tops = {name.split("/")[0] for name in wheel.namelist()}
        names = set(wheel.namelist())
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pointsman"}
    for needed in (
        "py.typed",
        "router/default.yaml",
        "backends/dialects.yaml",
        "backends/families.yaml",
        "backends/modes.yaml",
        "backends/models/digits/digits.gguf",
        "backends/models/digits/LICENSE",
    ):
        assert f"pointsman/{needed}" in names
    assert any(name.startswith("pointsman/classifiers/models/shipped/") for name in names)
    assert any(name.startswith("pointsman/store/migrations/versions/") for name in names)
    assert not any("/tests/" in name or name.startswith("tests/") for name in names)


def test_the_sdist_holds_the_tests(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as sdist:
        names = sdist.getnames()
    assert any(name.endswith("/tests/test_wheel.py") for name in names)
    assert any(name.endswith("/requirements/base.lock") for name in names)


def test_the_wheel_alone_answers(built: dict[str, Path], tmp_path: Path) -> None:
    """Installed into a folder of its own and run from elsewhere, it decides, launches digits and answers."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(built["wheel"])], check=True, capture_output=True)
    code = (
        "import pointsman, pathlib\n"
        f"assert pathlib.Path(pointsman.__file__).is_relative_to({str(site)!r}), pointsman.__file__\n"
        "with pointsman.Router.from_config() as router:\n"
        "    answer = router.ask('3+4')\n"
        "    print(answer.decision.route.model, answer.text)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(site), "POINTSMAN_HOME": str(tmp_path / "home")}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["digits", "7"]
