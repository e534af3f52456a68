"""Train digits, the miniature reasoning model, and write it for transformers and llama.cpp.

    python scripts/train_digits.py --out backends/models/digits

Needs torch, transformers and gguf (extras `transformers` and `dev`); two CPU cores are enough. The same seed,
versions and number of threads give the same weights.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from pathlib import Path

# Threads that wait for each other by spinning stand still as soon as anything else wants a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import digits_export as export
import digits_report as report
import digits_tokenizer as tok
import torch
from digits_muon import Optimiser
from digits_traces import IGNORED, LONGEST, Mix, Sample, batch, sample
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

BATCH = 64
CHUNKS = 4  # a batch goes through in chunks of like length, so that little is padding
WARM_UP = 50  # steps
GROWING = 0.15  # share of the steps over which chains grow to their full length
CHECKING = 0.375  # share of the steps after which thoughts check: the chain itself must be learnt first
AGAIN = 0.6  # share of the full learning rate with which the second stage starts


def new_model() -> LlamaForCausalLM:
    """An untrained model of 0.9 M parameters. Heads of 64 dimensions: some engines support few other sizes."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tok.VOCABULARY),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=tok.CONTEXT,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tok.IDS[tok.END],
            pad_token_id=tok.IDS[tok.PAD],
            attn_implementation="sdpa",
        )
    )


def mix_at(progress: float) -> Mix:
    """What to train on at this share of the steps: longer chains first, then checks and other surroundings."""
    longest = min(LONGEST, 1 + int(LONGEST * progress / GROWING))
    if progress < CHECKING:
        return Mix(longest, checks=False)
    return Mix(longest, checks=True, history=0.08, json=0.1)


def rate_at(step: int, steps: int) -> float:
    """Share of the full learning rate. Each stage ends in a slow fall: without it the copying stays unreliable."""
    progress = step / steps
    if progress < CHECKING:
        left = 1 - progress / CHECKING
        return min(1.0, (step + 1) / WARM_UP, 0.05 + left / 0.4)
    left = (1 - progress) / (1 - CHECKING)
    return AGAIN * min(1.0, left / 0.7)


def train_step(model: LlamaForCausalLM, samples: list[Sample]) -> tuple[float, float]:
    """Add one batch's gradients. Returns the mean loss of the thoughts' tokens and of the branches' answers."""
    samples = sorted(samples, key=lambda s: len(s.tokens))
    total = sum(sum(s.weights) for s in samples)
    thoughts, answers = [], []
    size = -(-len(samples) // CHUNKS)
    for start in range(0, len(samples), size):
        tensors = batch(samples[start : start + size])
        targets, weights = tensors.pop("targets"), tensors.pop("weights")
        hidden = model.model(**tensors, use_cache=False).last_hidden_state
        learnt = targets != IGNORED  # only their logits are computed
        losses = functional.cross_entropy(model.lm_head(hidden[learnt]), targets[learnt], reduction="none")
        weights = weights[learnt]
        ((losses * weights).sum() / total).backward()
        thoughts.append(losses.detach()[weights == 1])
        answers.append(losses.detach()[weights < 1])
    return torch.cat(thoughts).mean().item(), torch.cat(answers).mean().item()


def train(steps: int, seed: int) -> LlamaForCausalLM:
    """The trained model, in float32. Prints the losses and, four times, what the model can do."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    model = new_model()
    optimiser = Optimiser(model)
    started = time.monotonic()
    for step in range(steps):
        mix = mix_at(step / steps)
        thought, answer = train_step(model, [sample(mix, rng) for _ in range(BATCH)])
        optimiser.step(rate_at(step, steps))
        if (step + 1) % 50 == 0 or step + 1 == steps:
            seconds = time.monotonic() - started
            print(f"{step + 1:5}/{steps} {seconds:5.0f} s  thought {thought:.4f}  answer {answer:.4f}", flush=True)
        if steps >= 400 and (step + 1) % (steps // 4) == 0:
            print(report.text(report.table(model, 50, ("direct", "budget_17", "full"))), flush=True)
    return model


def main() -> None:
    """Train, write both forms, measure, write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, made where it is missing")
    parser.add_argument("--steps", type=int, default=1_600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--questions", type=int, default=200, help="questions of each length in the report")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    started = time.monotonic()
    model = train(chosen.steps, chosen.seed)
    seconds, cpu_seconds = round(time.monotonic() - started), round(time.process_time())
    export.write(model, chosen.out)
    by_length = report.table(model.float().eval(), chosen.questions)
    training = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "steps": chosen.steps,
        "batch": BATCH,
        "seed": chosen.seed,
        "threads": chosen.threads,
        "parameters": model.num_parameters(),
        "questions_per_length": chosen.questions,
    }
    report.write(chosen.out, by_length, training)
    print(report.text(by_length))


if __name__ == "__main__":
    main()
