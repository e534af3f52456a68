"""The house stands as designed: packages, floors, sizes, laziness."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pointsman

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("api", "router", "classifiers", "backends", "store")
SOURCES = [*ROOT.glob("*.py"), *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_with_modules_is_a_listed_package() -> None:
    """A package missing from the list works in an editable install and is missing from the wheel."""
    folders = {f.parent.relative_to(ROOT) for f in SOURCES}
    names = {".".join(("pointsman", *folder.parts)) for folder in folders}
    assert names == set(PROJECT["tool"]["setuptools"]["packages"])


def test_no_module_is_loaded_under_a_second_name() -> None:
    """Imported twice, the root would have every class twice."""
    inside = {
        name: module.__file__
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None))
        and Path(file).is_relative_to(ROOT)
        and not Path(file).is_relative_to(ROOT / "tests")
        and not Path(file).is_relative_to(ROOT / ".venv")
    }
    beside = ("scripts", "benchmarks")  # programs of their own, imported by their tests
    rooms = {name: file for name, file in inside.items() if Path(str(file)).relative_to(ROOT).parts[0] not in beside}
    assert [name for name in rooms if name != "pointsman" and not name.startswith("pointsman.")] == []


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_modules_stay_small(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400


def test_functions_fit_a_screen() -> None:
    long = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []


def test_every_benchmark_has_a_make_target() -> None:
    """`make help` lists what can be measured."""
    told = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", told, re.MULTILINE))
    for file in (ROOT / "benchmarks").glob("bench_*.py"):
        target = "bench" if file.stem == "bench_decision" else file.stem.replace("_", "-")
        assert target in listed, f"{file.name} has no target {target}"
        assert re.search(rf"^{target}:.*\n\t.*benchmarks/{file.name}", told, re.MULTILINE)


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running this."""
    program = f"{code}\nimport sys\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/")
    return set(done.stdout.split())


def test_importing_pointsman_loads_nothing_heavy() -> None:
    loaded = loaded_after("import pointsman")
    heavy = {"sklearn", "torch", "numpy", "fastapi", "sqlalchemy", "aiohttp", "transformers", "xllamacpp", "pydantic"}
    assert not loaded & heavy


def test_deciding_loads_no_training_and_no_engine() -> None:
    """`route` serves from arrays: scikit-learn, torch and llama.cpp stay on disk."""
    code = (
        "import tempfile\nfrom pointsman import Router\n"
        "home = tempfile.mkdtemp()\n"
        "with Router.from_config(home=home) as r:\n    print(r.route('3+4').reason)"
    )
    assert not loaded_after(code) & {"sklearn", "scipy", "torch", "transformers", "xllamacpp", "pyarrow", "matplotlib"}


def test_the_public_names_are_what_they_claim() -> None:
    public = ["Answer", "Decision", "PointsmanError", "Router", "__version__", "aroute", "ask", "route"]
    assert sorted(pointsman.__all__) == public
    for name in pointsman.__all__:
        assert getattr(pointsman, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = pointsman.nothing_of_the_kind


def test_the_version_is_the_projects() -> None:
    assert pointsman.__version__ == PROJECT["project"]["version"]
