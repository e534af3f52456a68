"""`pointsman init`: real servers on free ports in place of the usual ones."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from listings import Listing, llamacpp, lmstudio, models, ollama, running, sglang, vllm

from pointsman.api.cli.initialising import parameters
from pointsman.api.cli.main import main
from pointsman.backends.ports import Port
from pointsman.errors import BadRequest
from pointsman.router.build import build_routes
from pointsman.router.config import load

SET = "pointsman.backends.ports.PORTS"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty folder, find no port unless a test says so, and have no terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SET, ())
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def ports(*urls: str) -> tuple[Port, ...]:
    """These servers as the usual ports."""
    return tuple(Port(urlsplit(url).port or 0, "somebody") for url in urls)


def built(file: str = "pointsman.yaml") -> dict[str, Any]:
    """The routes of a written file, as a router builds them, cheapest first."""
    settings, _ = load(Path(file), environ={})
    return {route.name: route for route in build_routes(settings, settings.models)}


def test_two_engines_give_one_configuration_that_is_served(
    foreign_llamacpp: tuple[str, str],
    launch: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A real llama.cpp by its address, with its key, and vLLM on a usual port: found, shown with the flags that it
    lacks, written; the file is served and its routes do what they say. The key is written nowhere."""
    url, key = foreign_llamacpp
    monkeypatch.setenv("KEY_OF_MINE", key)
    stub = vllm()
    with running(stub) as (near,):
        monkeypatch.setattr(SET, ports(near))
        assert main(["init", url, "--key-env", "KEY_OF_MINE"]) == 0
        told = capsys.readouterr().out
        file = tmp_path / "pointsman.yaml"
        made = yaml.safe_load(file.read_text())
        assert {name: model["dialect"] for name, model in made["models"].items()} == {
            "digits": "llamacpp",
            "Qwen/Qwen3-8B": "vllm",
        }
        assert made["models"]["digits"]["api_key_env"] == "KEY_OF_MINE"
        assert "api_key_env" not in made["models"]["Qwen/Qwen3-8B"]
        assert "--reasoning-parser qwen3" in told
        assert "seen to be missing" in told
        assert "--jinja" not in told  # it says that it has it
        assert next(iter(built())) == "digits-direct"
        serving = launch(tmp_path, "--config", str(file), env={"KEY_OF_MINE": key}).ready()
        with serving.client() as client:

            def thought(model: str) -> int:
                body = {"model": model, "messages": [{"role": "user", "content": "3+4"}]}
                answer = client.post("/v1/chat/completions", json=body)
                assert answer.status_code == 200, answer.text
                assert answer.json()["choices"][0]["message"]["content"].strip() == "7"
                return answer.json()["usage"]["completion_tokens_details"]["reasoning_tokens"]

            assert thought("digits-direct") == 0
            assert thought("digits-budgeted") > 0
        assert serving.end() == 0
    assert key not in file.read_text() + told + serving.output
    assert f"Bearer {key}" not in stub.keys


def test_one_thinking_model_is_three_routes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recommended set-up on one GPU, and it is said; prices are its active parameters."""
    with running(llamacpp()) as (url,):
        monkeypatch.setattr(SET, ports(url))
        assert main(["init"]) == 0
    routes = built()
    assert [(name, route.thinking_budget) for name, route in routes.items()] == [
        ("small", 0),
        ("budgeted", 1024),
        ("full", None),
    ]
    assert {route.price.output for route in routes.values()} == {4.02}
    told = " ".join(capsys.readouterr().out.split())
    assert "on a single GPU this is the recommended set-up" in told
    assert "yes, can be off" in told
    assert "--metrics" in told


def test_ollama_with_several_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Embedders are left out, the small model that does not think is small, gpt-oss has no route with thinking off, and
    what a switch of model costs stands in the file."""
    with running(ollama("llama3.2:1b", "qwen3:8b", "gpt-oss:20b", "nomic-embed-text")) as (url,):
        monkeypatch.setattr(SET, ports(url))
        assert main(["init"]) == 0
    routes = built()
    assert list(routes) == ["llama3.2:1b", "gpt-oss:20b-full", "qwen3:8b-direct", "qwen3:8b-budgeted", "qwen3:8b-full"]
    assert routes["llama3.2:1b"].tier == "small"
    text = Path("pointsman.yaml").read_text()
    assert "each switch of model loads for" in text
    assert "It always thinks: there is no route with thinking off." in text
    assert "yes, always" in capsys.readouterr().out


def test_only_the_models_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(ollama("llama3.2:1b", "qwen3:8b"), lmstudio()) as urls:
        monkeypatch.setattr(SET, ports(*urls))
        assert main(["init", "--model", "qwen3:8b", "--out", "sub/mine.yaml"]) == 0
    assert list(built("sub/mine.yaml")) == ["small", "budgeted", "full"]


def test_a_size_that_no_name_tells_is_asked_for_and_taken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it every route costs the same, which is said with what to type; with it the model has its price."""
    with running(lmstudio("acme/mystery"), sglang()) as urls:
        monkeypatch.setattr(SET, ports(*urls))
        listing = Listing({"/v1/models": models({"id": "acme/odd", "owned_by": "us"})})
        with running(listing) as (odd,):
            assert main(["init", odd]) == 0
            assert {route.price.output for route in built().values()} == {1.0}
            assert "--params MODEL=BILLIONS" in capsys.readouterr().out
            assert main(["init", odd, "--force", "--params", "acme/odd=3.3b"]) == 0
            assert built()["odd"].price.output == 3.3
            assert main(["init", odd, "--force", "--params", "acme/nobody=3"]) == 2
            assert "no server lists a model 'acme/nobody'" in capsys.readouterr().err


def test_nothing_found_says_what_was_asked_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1; no file is left."""
    monkeypatch.setattr(SET, (Port(9, "SGLang"),))
    assert main(["init"]) == 1
    said = capsys.readouterr().err
    assert "http://127.0.0.1:9 (SGLang): nothing answers" in said
    assert "pointsman init http://host:port/v1" in said
    assert "`pointsman serve` alone runs the embedded models" in said
    assert not list(Path().iterdir())


def test_a_given_address_that_fails_is_an_error_even_if_another_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody meant it: exit code 1, nothing written."""
    with running(vllm()) as (url,):
        monkeypatch.setattr(SET, ports(url))
        assert main(["init", "http://127.0.0.1:9/v1"]) == 1
    assert "http://127.0.0.1:9/v1" in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_something_on_a_port_that_cannot_be_used_is_mentioned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that wants a key may be the one that was meant; a silent port is no news."""
    with running(vllm(), sglang(), Listing({}, key="theirs")) as urls:
        monkeypatch.setattr(SET, (*ports(*urls), Port(9, "nobody")))
        assert main(["init"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"Left out: {urls[2].replace('localhost', '127.0.0.1')}: wants a key: give" in told
    assert "127.0.0.1:9:" not in told


def test_a_file_that_is_there_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 before any server is asked; --force writes over it."""
    Path("pointsman.yaml").write_text("mine: true\n")
    stub = vllm()
    with running(stub) as (url,):
        monkeypatch.setattr(SET, ports(url))
        assert main(["init"]) == 2
        assert "--force" in capsys.readouterr().err
        assert Path("pointsman.yaml").read_text() == "mine: true\n"
        assert not stub.asked
        assert main(["init", "--force"]) == 0
    assert "budgeted" in built()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--key-env", "NO_SUCH_KEY", "http://127.0.0.1:9/v1"], "NO_SUCH_KEY is not set"),
        (["--key-env", "HOME"], "goes with URLs"),
        (["http://me:sk-mine@127.0.0.1:9/v1"], "does not belong into an address"),
        (["http://127.0.0.1:9/v1?key=sk-mine"], "does not belong into an address"),
        (["--params", "qwen"], "MODEL=BILLIONS"),
    ],
)
def test_what_is_given_wrongly_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, in a sentence that repeats no key."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    assert main(["init", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "sk-mine" not in said


class Terminal(io.StringIO):
    """Standard input at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "options", "written"), [("n\n", [], False), ("\n", [], True), ("", ["--yes"], True)])
def test_at_a_terminal_it_asks_before_it_writes(
    typed: str, options: list[str], written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(vllm()) as (url,):
        monkeypatch.setattr(SET, ports(url))
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        assert main(["init", *options]) == 0
    assert Path("pointsman.yaml").exists() == written


def test_what_a_server_calls_its_models_is_shown_and_obeyed_by_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither rich's markup nor a terminal's, nor YAML's."""
    odd = "[red]x\x1b[2J\nroutes: {evil: 1}"
    with running(Listing({"/v1/models": models({"id": odd, "owned_by": "us"})})) as (url,):
        monkeypatch.setattr(SET, ports(url))
        assert main(["init"]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "[red]x" in told
    assert [model["model"] for model in yaml.safe_load(Path("pointsman.yaml").read_text())["models"].values()] == [odd]
    assert len(built()) == 1


def test_parameters_may_belong_to_names_with_equal_signs() -> None:
    assert parameters(["a=b=8.2", "x= 3 ", "y=0.5B"]) == {"a=b": 8.2, "x": 3.0, "y": 0.5}


@pytest.mark.parametrize("one", ["8", "=8", "x=", "x=many", "x=0", "x=-1", "x=nan", "x=inf"])
def test_parameters_that_are_none_are_refused(one: str) -> None:
    with pytest.raises(BadRequest, match="MODEL=BILLIONS"):
        parameters([one])
