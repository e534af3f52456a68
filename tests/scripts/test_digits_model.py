"""What the committed digits does, in transformers and in llama.cpp, and that its report says the same."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pointsman.router.jobs.questions import Question, chains, check, evaluate_chain

BUDGETS = (1, 4, 8, 17, 32)
OFF = {"chat_template_kwargs": {"enable_thinking": False}}


def worked(chain: str) -> str:
    """The chain worked through once, as a thought writes it."""
    ends = range(3, len(chain) + 1, 2)
    return chain[0] + "".join(f"{chain[end - 2 : end]}={evaluate_chain(chain[:end])};" for end in ends)


def generate(model: Any, tokenizer: Any, questions: Sequence[Question], **template: Any) -> list[str]:
    """Greedy outputs in transformers, control tokens included, for prompts of one length."""
    import torch

    prompts = [
        tokenizer.apply_chat_template([{"role": "user", "content": q.prompt}], add_generation_prompt=True, **template)
        for q in questions
    ]
    ids = torch.tensor([p["input_ids"] for p in prompts])
    made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=160)
    return [tokenizer.decode(row).replace("<pad>", "") for row in made[:, ids.shape[1] :]]


def accuracy(server: Any, questions: Sequence[Question], **options: Any) -> float:
    """Share that llama.cpp answers right."""
    return sum(check(q, server.chat(q.prompt, **options)[0]["message"]["content"]) for q in questions) / len(questions)


def test_both_forms_are_small_and_hold_the_same_weights(folder: Any) -> None:
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    for name in ("model.safetensors", "digits.gguf"):
        assert (folder / name).stat().st_size < 5_000_000
    ours = load_file(folder / "model.safetensors")
    theirs = {tensor.name: tensor.data for tensor in GGUFReader(folder / "digits.gguf").tensors}
    assert len(ours) == len(theirs)
    assert np.array_equal(ours["model.embed_tokens.weight"], theirs["token_embd.weight"])
    assert np.array_equal(ours["model.layers.3.mlp.down_proj.weight"], theirs["blk.3.ffn_down.weight"])
    assert np.array_equal(ours["model.norm.weight"].astype(np.float32), theirs["output_norm.weight"])


def test_transformers_thinks_and_answers(model: Any, tokenizer: Any) -> None:
    for length in (2, 8):
        questions = chains(10, (length,), seed=7, held_out=True)
        outputs = generate(model, tokenizer, questions)
        right = [output.endswith(f"</think>{q.answer}<|end|>") for q, output in zip(questions, outputs, strict=True)]
        assert sum(right) >= 8
    direct = generate(model, tokenizer, chains(40, (1,), seed=7), enable_thinking=False)
    assert all(len(output) == len("7<|end|>") for output in direct)


def test_both_engines_give_the_same_text(server: Any, model: Any, tokenizer: Any) -> None:
    questions = chains(12, (3,), seed=8, held_out=True)
    for output, question in zip(generate(model, tokenizer, questions), questions, strict=True):
        message = server.chat(question.prompt)[0]["message"]
        assert f"{message['reasoning_content']}</think>{message['content']}<|end|>" == output


def test_the_thought_works_the_chain_through_and_checks_it_again(server: Any, report: dict[str, Any]) -> None:
    for length, checks in report["checks_by_length"].items():
        for question in chains(3, (int(length),), seed=9):
            thought = server.chat(question.prompt)[0]["message"]["reasoning_content"]
            if thought.startswith(worked(question.prompt)):  # it may err now and then
                assert thought == "?".join([worked(question.prompt)] * (1 + checks))


def test_direct_is_right_on_easy_chains_only(server: Any) -> None:
    assert accuracy(server, chains(30, (1,), seed=10), **OFF) >= 0.9
    assert accuracy(server, chains(40, (5,), seed=10), **OFF) <= 0.6


def test_a_budget_keeps_middle_chains_and_loses_hard_ones(server: Any) -> None:
    assert accuracy(server, chains(20, (2, 3), seed=11), thinking_budget_tokens=17) >= 0.9
    assert accuracy(server, chains(40, (6, 8), seed=11), thinking_budget_tokens=17) <= 0.6
    assert accuracy(server, chains(20, (6, 8), seed=11)) >= 0.85


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_is_exact_and_never_leaves_the_answer_empty(server: Any, tokenizer: Any, budget: int) -> None:
    for question in chains(8, (1, 3, 5, 8), seed=12):
        choice, usage = server.chat(question.prompt, thinking_budget_tokens=budget)
        message = choice["message"]
        assert len(tokenizer(message["reasoning_content"])["input_ids"]) == budget
        assert len(message["content"]) == 1
        assert message["content"].isdigit()
        assert choice["finish_reason"] == "stop"
        assert usage["completion_tokens"] == budget + 3  # the closing marker, the digit and the end


def test_thinking_off_answers_one_digit_without_a_thought(server: Any) -> None:
    for question in chains(8, (1, 3, 5, 8), seed=13):
        choice, usage = server.chat(question.prompt, **OFF)
        assert not choice["message"].get("reasoning_content")
        assert choice["message"]["content"].isdigit()
        assert usage["completion_tokens"] == 2


def test_log_probabilities_cover_thought_and_answer(server: Any) -> None:
    choice, usage = server.chat("3+4", logprobs=True, top_logprobs=3)
    entries = choice["logprobs"]["content"]
    assert len(entries) in (usage["completion_tokens"], usage["completion_tokens"] - 1)
    assert entries[0]["token"] == "3"
    assert entries[0]["logprob"] > -0.1


@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize("kind", [{"type": "integer"}, {"enum": list("0123456789")}], ids=["integer", "enum"])
def test_a_schema_gives_json_with_the_right_answer(server: Any, thinking: bool, kind: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"answer": kind}, "required": ["answer"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    options = {"response_format": wanted, "chat_template_kwargs": {"enable_thinking": thinking}}
    choice, _ = server.chat("3+4", **options)
    assert str(json.loads(choice["message"]["content"])["answer"]) == "7"


@pytest.mark.parametrize("text", ["😀", "中文, 你好", "\x00\x01", "What is the capital of France?", "x" * 400])
def test_any_text_is_accepted(server: Any, text: str) -> None:
    choice, usage = server.chat(text, thinking_budget_tokens=8)
    assert choice["message"]["content"]
    assert usage["prompt_tokens"] == len(text.encode()) + 4


def test_a_system_message_does_not_confuse_it(server: Any) -> None:
    system = {"role": "system", "content": "Think step by step, but keep a draft of 5 words at most for each step."}
    questions = chains(20, (2, 4, 6), seed=14, held_out=True)
    messages = [[system, {"role": "user", "content": q.prompt}] for q in questions]
    answers = [server.chat("", messages=m)[0]["message"]["content"] for m in messages]
    assert sum(map(check, questions, answers)) >= 16


def test_the_report_agrees_with_a_spot_check(server: Any, report: dict[str, Any]) -> None:
    options = {"direct": OFF, "budget_17": {"thinking_budget_tokens": 17}, "full": {}}
    for length, route in ((2, "direct"), (3, "budget_17"), (5, "budget_17"), (7, "full")):
        reported = report["by_length"][str(length)][route]
        questions = chains(40, (length,), seed=15, held_out=True)
        seen = accuracy(server, questions, **options[route])
        deviation = (reported["accuracy"] * (1 - reported["accuracy"]) / len(questions)) ** 0.5
        assert abs(seen - reported["accuracy"]) <= 0.06 + 3 * deviation
        usage = server.chat(questions[0].prompt, **options[route])[1]
        assert abs(usage["completion_tokens"] - reported["output_tokens"]) <= 2
