"""What is drawn: greedy, sampled, penalised, with its log-probabilities."""

from __future__ import annotations

import pytest
import torch
from tiny_llamas import HELLO, OPENS, PLAIN, chained_model, engine, run, tokenizer
from transformers import LlamaForCausalLM

from pointsman.backends.engine import Text, Thought
from pointsman.backends.transformers import TransformersEngine
from pointsman.domain import Call, Sampling


async def test_without_being_asked_no_logprobs_are_given(thinker_engine):
    _, _, _, events = await run(thinker_engine, Call(HELLO, thinking_budget=3, max_answer_tokens=3))
    assert not any(event.logprobs for event in events if isinstance(event, Text | Thought))
    _, _, _, events = await run(thinker_engine, Call(HELLO, thinking_budget=3, max_answer_tokens=3, logprobs=0))
    assert all(len(one.top) == 0 for event in events if isinstance(event, Text) for one in event.logprobs)
    assert any(event.logprobs for event in events if isinstance(event, Text))


async def test_greedy_text_is_what_transformers_generates(plain):
    """The loop makes the tokens that `generate` makes."""
    words = tokenizer(PLAIN, marks=False)
    async with engine(plain) as made:
        _, answer, done, _ = await run(made, Call(HELLO, max_tokens=24))
        text = await made.render(HELLO)
    model = LlamaForCausalLM.from_pretrained(plain).eval()
    ids = torch.tensor([words.encode(text, add_special_tokens=False)])
    made_ids = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, pad_token_id=0
    )
    assert answer == words.decode(made_ids[0, ids.shape[1] :], skip_special_tokens=True)
    assert done.usage.prompt == ids.shape[1]
    assert done.usage.thought == 0


async def sampled(made: TransformersEngine, sampling: Sampling) -> str:
    _, answer, _, _ = await run(made, Call(HELLO, max_tokens=20, sampling=sampling))
    return answer


async def test_sampling_is_reproducible_by_its_seed(plain):
    async with engine(plain) as made:
        one = await sampled(made, Sampling(temperature=1.5, seed=1))
        assert await sampled(made, Sampling(temperature=1.5, seed=1)) == one
        others = {await sampled(made, Sampling(temperature=1.5, seed=seed)) for seed in (2, 3, -4)}
        assert others - {one}
        assert len({await sampled(made, Sampling(temperature=1.5)) for _ in range(4)}) > 1


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.0}, {"top_p": 1e-6}, {"min_p": 1.0}])
async def test_each_filter_at_its_narrowest_is_greedy(plain, narrow):
    async with engine(plain) as made:
        greedy = await sampled(made, Sampling(temperature=0))
        assert await sampled(made, Sampling(temperature=2.0, seed=7, **narrow)) == greedy
        assert await sampled(made, Sampling(temperature=2.0, seed=7)) != greedy


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
async def test_penalties_keep_tokens_from_coming_again(tmp_path, penalty):
    """A model that repeats two letters for ever leaves them once they cost more than they are worth."""
    folder = chained_model(tmp_path, OPENS, ["</think>", "a", "b", "a"])
    async with engine(folder) as made:
        _, looped, _, _ = await run(made, Call(HELLO, thinking_budget=0, max_tokens=8))
        call = Call(HELLO, thinking_budget=0, max_tokens=8, sampling=Sampling(**{penalty: 100.0}))
        _, answer, done, _ = await run(made, call)
    assert looped == "abababab"
    assert answer[:2] == "ab"
    assert "a" not in answer[2:]
    assert done.usage.answer == 8


async def test_repetition_penalty_keeps_away_from_prompt_and_reply(plain):
    """With a huge factor no character of the prompt or of the reply so far comes (again)."""
    async with engine(plain) as made:
        free = Call(HELLO, max_tokens=30, sampling=Sampling(repetition_penalty=1.0))
        tight = Call(HELLO, max_tokens=30, sampling=Sampling(repetition_penalty=1e6))
        answers = [[letter for letter in (await run(made, call))[1] if letter.isascii()] for call in (free, tight)]
    repeated = [len(answer) - len(set(answer) - set(HELLO[0]["content"])) for answer in answers]
    assert repeated[0] > 0 == repeated[1]
