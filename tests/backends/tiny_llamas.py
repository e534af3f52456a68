"""Llamas of no size for tests of the in-process engine: random ones, and ones whose weights spell a fixed chain of
tokens; and how they are run."""

from __future__ import annotations

import threading
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pointsman.backends.engine import Finished, Text, Thought
from pointsman.backends.transformers import TransformersEngine
from pointsman.domain import Call

CONTROLS = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")


MARKS = ("<think>", "</think>")


TURNS = (
    "{%- if tools %}<|system|>{{ tools | tojson }}<|end|>{% endif -%}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'developer' -%}{{ raise_exception('no developer here') }}{%- endif -%}"
    "<|{{ message.role }}|>{{ message.content }}"
    "{%- for call in message.tool_calls or [] %}{{ call.function.arguments.city }}{% endfor -%}"
    "<|end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>"
)


OPENS = TURNS + "{% if enable_thinking %}<think>{% else %}<think></think>{% endif %}{% endif %}"


LEAVES = TURNS + "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"


ALWAYS = TURNS + "<think>{% endif %}"


PLAIN = TURNS + "{% endif %}"


SILENT = PLAIN.replace("{{ message.content }}", "{{ message.content.split('</think>')[-1] }}")


HELLO = ({"role": "user", "content": "What is 3+4?"},)


def tokenizer(template: str | None, *, marks: bool = True) -> PreTrainedTokenizerFast:
    """Bytes, turn markers as special tokens, thought marks as plain added ones (as Qwen3 has them)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(alphabet)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(text, special=True) for text in CONTROLS])
    raw.add_tokens([AddedToken(text, normalized=False) for text in MARKS] if marks else [])
    made = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|end|>")
    made.chat_template = template
    return made


def save(model: LlamaForCausalLM, words: PreTrainedTokenizerFast, folder: Path) -> Path:
    model.generation_config.eos_token_id = words.eos_token_id
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def random_model(folder: Path, template: str | None, *, marks: bool = True, context: int = 512, seed: int = 0) -> Path:
    words = tokenizer(template, marks=marks)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.4,
    )
    return save(LlamaForCausalLM(config), words, folder)


def chained_model(folder: Path, template: str, chain: list[str | int], *, context: int = 512) -> Path:
    """A Llama that follows each token of the chain with the next (its layers add nothing, its head is a table)."""
    words = tokenizer(template)
    size = len(words)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size + size % 2,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=context,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    ids = [one if isinstance(one, int) else words.encode(one, add_special_tokens=False)[0] for one in chain]
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        model.model.norm.weight.fill_(1.0)
        model.model.layers[0].input_layernorm.weight.fill_(1.0)
        model.model.embed_tokens.weight[range(size), range(size)] = 1.0
        for now, after in pairwise(ids):
            model.lm_head.weight[after, now] = 1.0
    return save(model, words, folder)


@asynccontextmanager
async def engine(folder: Path, **options):
    made = TransformersEngine("tiny", folder, **options)
    try:
        yield made
    finally:
        await made.aclose()


async def run(made: TransformersEngine, call: Call):
    """The thought, the answer, the last event, and all events of one call."""
    async with aclosing(made.stream(call)) as stream:
        events = [event async for event in stream]
    thought = "".join(event.text for event in events if isinstance(event, Thought))
    answer = "".join(event.text for event in events if isinstance(event, Text))
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1
    return thought, answer, events[-1], events


class Gate:
    """Counts the model's forward passes, and holds them back while it is shut."""

    def __init__(self) -> None:
        self.passes = 0
        self.open = threading.Event()
        self.open.set()

    def before(self, module: torch.nn.Module, _inputs: object) -> None:
        if isinstance(module, LlamaForCausalLM):
            self.passes += 1
            assert self.open.wait(20)


@asynccontextmanager
async def holding():
    gate = Gate()
    hook = register_module_forward_pre_hook(gate.before)
    try:
        yield gate
    finally:
        gate.open.set()
        hook.remove()
