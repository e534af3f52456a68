"""What names and chat templates tell of a model, and what they do not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.backends.families import (
    Thinking,
    families,
    family_of,
    load_families,
    parameters,
    parameters_from_name,
    thinking_from_template,
    thinking_of,
    weights_from_name,
)

SIZES = [
    ("Qwen3-8B", 8),
    ("Qwen/Qwen3-30B-A3B", 3),
    ("30B-A3B", 3),
    ("qwen3:0.6b", 0.6),
    ("smollm2:135m", 0.135),
    ("SmolLM2-135M-Instruct.Q4_1.gguf", 0.135),
    ("hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M", 8),
    ("Meta-Llama-3.1-70B-Instruct-AWQ-INT4", 70),
    ("Qwen2.5-14B-Instruct-1M", 14),  # 1M is its context
    ("TinyLlama-1.1B-intermediate-step-1431k-3T", 1.1),
    ("granite-3.1-3b-a800m-instruct", 0.8),
    ("Qwen1.5-MoE-A2.7B", 2.7),
    ("mixtral-8x7b-instruct", 14),
    ("gemma-3n-E4B-it", 4),
    ("Llama-4-Scout-17B-16E", 17),
    ("DeepSeek-R1-0528-Qwen3-8B", 8),
    ("/models/7B/model.gguf", 7),
    ("phi-4-mini-4bit", None),
    ("llama3.1-128k", None),
    ("gpt-4o", None),
    ("Magistral-Small-2506", None),
    ("bge-m3", None),
    ("model-fp8", None),
    ("", None),
]


@pytest.mark.parametrize(("name", "billions"), SIZES)
def test_parameters_from_name(name, billions):
    assert parameters_from_name(name) == billions


NUMBERS = st.integers(1, 999) | st.decimals("0.1", "99.9", places=1)
TAILS = st.sampled_from(["", "-Instruct", "-4bit", "-Q4_K_M.gguf", ":q8_0", "-FP8", "-2507", "_v0.2", "-128k", "-1M"])


@given(number=NUMBERS, tail=TAILS, head=st.sampled_from(["model-", "Org/Model_", "m:", "Llama-3.1-"]))
def test_a_size_is_read_whatever_stands_around_it(number, tail, head):
    """In any case of letters, before any quantisation, version or context."""
    name = f"{head}{number}B{tail}"
    assert parameters_from_name(name) == parameters_from_name(name.lower()) == pytest.approx(float(number))
    if not tail.endswith("M"):
        assert parameters_from_name(f"{head}{number}M{tail}") == pytest.approx(float(number) / 1000)


@given(total=st.integers(2, 999), active=st.integers(1, 99), tail=TAILS)
def test_active_parameters_win_over_the_total(total, active, tail):
    name = f"Qwen3-{total}B-A{active}B{tail}"
    assert parameters_from_name(name) == active
    assert parameters([name], counted=total) == active
    assert parameters(["alias", name], counted=total) == active


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        *(("Qwen3-30B-A3B", 30), ("Mixtral-8x7B-Instruct", 56), ("qwen3:8b-q4_K_M", 8), ("smollm2:135m", 0.135)),
        ("coder", None),
    ],
)
def test_what_has_to_be_read_to_load_a_model_are_all_its_experts(name, billions):
    assert weights_from_name(name) == billions


@given(name=st.text(max_size=40))
def test_any_name_is_read_without_error(name):
    found = parameters_from_name(name)
    assert found is None or found >= 0
    thinking_of([name], name)


def test_a_count_goes_before_a_dense_name_and_a_family_that_knows_better_before_both():
    assert parameters(["smol"], counted=0.1345) == 0.1345
    assert parameters(["SmolLM2-135M"], counted=0.1345) == 0.1345
    assert parameters(["openai/gpt-oss-20b"], counted=20.9) == 3.6
    assert parameters(["deepseek-r1:671b"], counted=671) == 37
    assert parameters(["deepseek-r1:7b"]) == 7
    assert parameters(["mine"]) is None


FAMILIES = [
    ("Qwen/Qwen3-8B", True, True),
    ("qwen3:4b", True, True),
    ("Qwen3-30B-A3B-Instruct-2507", False, None),
    ("Qwen3-4B-Thinking-2507", True, False),
    ("qwen/qwen3-4b-thinking-2507", True, False),
    ("Qwen3-Next-80B-A3B-Instruct", False, None),
    ("Qwen3-Coder-30B-A3B-Instruct", False, None),
    ("Qwen3-Embedding-0.6B", False, None),
    ("Qwen/Qwen3.5-9B", True, True),
    ("Qwen3.6-27B", True, True),
    ("Qwen3.7-Max", True, True),
    ("Qwen3.8-Max", True, True),
    ("QwQ-32B", True, False),
    ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", True, False),
    ("deepseek-r1:14b", True, False),
    ("DeepSeek-R1-0528", True, False),
    ("deepseek-ai/DeepSeek-V3.1", True, True),
    ("deepseek-ai/DeepSeek-V3.2-Exp", True, True),
    ("DeepSeek-V4-Flash", True, True),
    ("DeepSeek-V3-0324", False, None),
    ("zai-org/GLM-4.5-Air", True, True),
    ("GLM-4.7-Flash", True, True),
    ("GLM-4.6", True, True),
    ("GLM-4.5V", True, True),
    ("GLM-5.3", True, False),
    ("openai/gpt-oss-120b", True, False),
    ("gpt-oss:20b", True, False),
    ("gpt-oss-mini", True, False),
    ("mistralai/Magistral-Small-2506", True, True),
    ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", True, True),
    ("nvidia/Llama-3_1-Nemotron-Ultra-253B-v1", True, True),
    ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", True, True),
    ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B", True, True),
    ("nvidia/NVIDIA-Nemotron-3.5-Nano", True, True),
    ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", True, True),
    ("HuggingFaceTB/SmolLM3-3B", True, True),
    ("SmolLM2-135M-Instruct.Q4_1.gguf", False, None),
    ("ByteDance-Seed/Seed-OSS-36B-Instruct", True, True),
    ("Kimi-K2-Thinking", True, False),
    ("Kimi-K2-Instruct", False, None),
    ("Kimi-K2.5", True, True),
    ("MiniMax-M2", True, False),
    ("MiniMax-M3", True, True),
    ("ibm-granite/granite-3.2-8b-instruct", True, True),
    ("ibm-granite/granite-3.3-8b-instruct", True, True),
    ("Phi-4-mini-reasoning", True, False),
    ("google/gemma-4-12b", True, True),
    ("LGAI-EXAONE/EXAONE-4.0-32B", True, True),
    ("LGAI-EXAONE/EXAONE-4.5-33B", True, True),
    ("digits", True, True),
    ("meta-llama/Llama-3.1-8B-Instruct", None, None),
    ("my-own-model", None, None),
]


@pytest.mark.parametrize(("name", "thinks", "switchable"), FAMILIES)
def test_what_a_family_says_of_thinking(name, thinks, switchable):
    assert thinking_of([name]) == Thinking(thinks, switchable)


def test_every_row_of_the_table_is_reached():
    """No row is hidden behind an earlier one."""
    reached = {family_of([name]).name for name, thinks, _ in FAMILIES if thinks is not None}
    assert {row.name for row in families()} == reached


def spelled(draw):
    """A name of the table as somebody may write it: any case, folders before, a quantisation behind."""
    name, folder, tail = draw
    return f"{folder}{name}{tail}"


KNOWN = st.sampled_from([name for name, thinks, _ in FAMILIES if thinks is not None and name != "digits"])
FOLDERS = st.sampled_from(["", "hf.co/", "/models/qwen3-8b/", "my/own/"])
SPELT = st.tuples(KNOWN, FOLDERS, st.sampled_from(["", "-GGUF", ":Q4_K_M", "-FP8", ".gguf", "/"]))


@given(drawn=SPELT, cases=st.randoms(use_true_random=False))
def test_a_name_is_of_the_same_family_however_it_is_spelt(drawn, cases):
    name = "".join(cases.choice((letter.lower(), letter.upper())) for letter in spelled(drawn))
    assert family_of([name]) == family_of([drawn[0]])


@given(name=KNOWN | st.text(max_size=20), other=KNOWN | st.text(max_size=20))
def test_a_model_is_of_one_family_at_most_that_of_its_first_known_name_and_the_first_row(name, other):
    short = name.rstrip("/").rpartition("/")[2]
    able = [row for row in families() if re.search(row.match, short, re.IGNORECASE)]
    assert family_of([name]) == (able[0] if able else None)
    assert family_of([name, other]) == (family_of([name]) or family_of([other]))
    assert family_of([]) is None


MINE = {"match": "my-own", "thinks": True, "switch": "other", "source": "me", "active": 2}


def test_an_owners_family_goes_before_the_shipped_and_replaces_one_of_its_name():
    table = load_families({"Mine": MINE, "Qwen3 hybrid": MINE | {"match": "qwen-?3-8b"}})
    assert [row.name for row in table[:2]] == ["Mine", "Qwen3 hybrid"]
    assert len(table) == len(families()) + 1
    assert thinking_of(["My-Own-7B"], table=table) == Thinking(True, False)
    assert thinking_of(["Qwen3-8B"], table=table) == Thinking(True, False)
    assert thinking_of(["Qwen3-4B"], table=table) == Thinking(None, None)
    assert parameters(["My-Own-7B"], table=table) == 2
    assert load_families({}) == families()


QWEN3 = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}<|im_start|>assistant\n"
    "{%- if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)
TEMPLATES = [
    (QWEN3, Thinking(True, True)),
    ("{% if not thinking is defined %}{% set thinking = false %}{% endif %}…", Thinking(True, True)),
    ("{{ m.content.split('</think>')[-1] }}<|Assistant|><think>\n", Thinking(True, False)),
    ("{%- if m.thinking is defined %}<|channel|>analysis<|message|>{{ m.thinking }}{% endif %}", Thinking(True, False)),
    ("{%- set enable_thinking = true %}{% if enable_thinking %}<think>{% endif %}", Thinking(True, False)),
    ("{% for m in messages %}{{ m.content }}{% endfor %}You are thinking with enable_thinking.", Thinking(False, None)),
    ("{{ 'thinking' if m['thinking'] else \"enable_thinking\" }}", Thinking(False, None)),
    ("", Thinking(False, None)),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_what_a_template_says_of_thinking(template, expected):
    """A switch is a variable that the template reads; words in its text or in messages are none."""
    assert thinking_from_template(template) == expected


def test_the_template_goes_before_the_name_except_where_the_family_is_known_to_ignore_the_switch():
    assert thinking_of(["my-own-model"], QWEN3) == Thinking(True, True)
    assert thinking_of(["Qwen3-8B"], "{{ messages }}") == Thinking(False, None)
    assert thinking_of(["Nemotron-Super-49B-v1.5"], QWEN3) == Thinking(True, True)
    cuts_history = "{{ m.content.split('</think>')[-1] }}"
    assert thinking_of(["Qwen3-4B-Instruct-2507"], cuts_history) == Thinking(False, None)
    assert thinking_of(["my-own-model"], cuts_history) == Thinking(True, False)
