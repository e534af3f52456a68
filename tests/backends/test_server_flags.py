"""The flags that a server lacks, by engine, family and what is known of how it was started."""

from __future__ import annotations

import json
import shlex

import pytest

from pointsman.backends.dialects import dialects
from pointsman.backends.families import families
from pointsman.backends.server_flags import Started, tables, wanting


def words(dialect: str, family: str | None, started: Started) -> list[str]:
    """The flags' words."""
    return [flag.words for flag in wanting(dialect, family, started).flags]


def test_the_tables_name_families_and_dialects_that_exist() -> None:
    """A family that is renamed in families.yaml must not lose its parsers without a word."""
    known = {row.name: row for row in families()}
    for engine, table in tables().items():
        assert engine in dialects()
        assert table["source"]
        for family, row in table["families"].items():
            assert family in known, family
            assert set(row) <= {"reasoning", "tools"}
            assert known[family].thinks or "reasoning" not in row, family


def test_parsers_with_a_trait_are_parsers_of_a_family() -> None:
    """A misspelt name in `markerless` or `enforcing` would never be met."""
    for engine, trait in (("vllm", "markerless"), ("sglang", "enforcing")):
        used = {row.get("reasoning") for row in tables()[engine]["families"].values()}
        assert set(tables()[engine][trait]) - {"kimi_k3"} <= used


def test_vllm_of_which_nothing_is_seen_gets_every_flag_as_not_seen() -> None:
    flags = wanting("vllm", "Qwen3 hybrid", {}).flags
    assert [(flag.words, flag.seen) for flag in flags] == [
        ("--reasoning-parser qwen3", False),
        ("--enable-auto-tool-choice --tool-call-parser hermes", False),
        ("--enable-prompt-tokens-details", False),
    ]


def test_vllm_is_told_only_what_it_lacks() -> None:
    """What was seen to be there is not named; what was seen to be absent says so."""
    assert words("vllm", "Qwen3 hybrid", {"--reasoning-parser": "", "--enable-auto-tool-choice": ""}) == [
        "--enable-prompt-tokens-details"
    ]
    parser, tools, _ = wanting("vllm", "Qwen3 hybrid", {"--reasoning-parser": None}).flags
    assert (parser.seen, tools.seen) == (True, False)


def test_a_parser_without_markers_comes_with_them() -> None:
    """As one word of a shell, whose JSON vLLM reads."""
    parser, config, _ = words("vllm", "DeepSeek V3.1", {"--enable-auto-tool-choice": ""})
    assert parser == "--reasoning-parser deepseek_v3"
    flag, value = shlex.split(config)
    assert flag == "--reasoning-config"
    assert json.loads(value) == {"reasoning_start_str": "<think>", "reasoning_end_str": "</think>"}


def test_a_family_without_a_parser_has_its_markers_for_budgets() -> None:
    config, tools, _ = words("vllm", "SmolLM3", {})
    assert config.startswith("--reasoning-config ")
    assert tools == "--enable-auto-tool-choice --tool-call-parser hermes"


@pytest.mark.parametrize("family", [None, "SmolLM2"])
def test_where_nothing_thinks_or_is_known_no_parser_is_named(family: str | None) -> None:
    assert words("vllm", family, {}) == ["--enable-prompt-tokens-details"]
    assert words("sglang", family, {"--enable-cache-report": ""}) == []


SGLANG: Started = {
    "--reasoning-parser": None,
    "--tool-call-parser": None,
    "--enable-strict-thinking": None,
    "--enable-cache-report": None,
}


def test_sglang_as_it_is_started_by_default() -> None:
    found = wanting("sglang", "Qwen3 hybrid", SGLANG)
    assert [flag.words for flag in found.flags] == [
        "--reasoning-parser qwen3",
        "--enable-strict-thinking",
        "--tool-call-parser qwen25",
        "--enable-cache-report",
    ]
    assert all(flag.seen for flag in found.flags)
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("family", "running", "enforces"),
    [
        ("DeepSeek-R1", None, False),
        ("gpt-oss-20b", "gpt-oss", False),
        ("Qwen3 hybrid", "auto", True),
        ("Qwen3 hybrid", "deepseek-r1", False),
        ("Phi-4 reasoning", None, False),
        ("GLM-4.5 and 4.6", "glm45", True),
    ],
)
def test_sglang_enforces_with_some_parsers_only(family: str, running: str | None, enforces: bool) -> None:
    """Strict thinking is advised where it does something; elsewhere it is said that Pointsman cuts."""
    found = wanting("sglang", family, {**SGLANG, "--reasoning-parser": running})
    assert ("--enable-strict-thinking" in [flag.words for flag in found.flags]) == enforces
    assert bool(found.remarks) != enforces
    assert not any("--reasoning-parser" in flag.words for flag in found.flags) or running is None


def test_llamacpp_is_told_of_jinja_only_where_it_may_be_off() -> None:
    assert words("llamacpp", "Qwen3 hybrid", {"--jinja": "", "--metrics": ""}) == []
    assert words("llamacpp", "Qwen3 hybrid", {"--jinja": "", "--metrics": None}) == ["--metrics"]
    assert words("llamacpp", None, {}) == ["--jinja"]


def test_other_engines() -> None:
    assert words("tensorrt", "Qwen3 hybrid", {}) == ["--reasoning_parser qwen3"]
    assert words("tensorrt", "Granite 3.2", {}) == []
    assert words("ollama", "Qwen3 hybrid", {}) == []
    assert "behind it they are not seen" in wanting("llamaswap", None, {}).remarks[0]
