"""The tokenizer and chat template of digits, for both forms: transformers files and GGUF metadata.

One token per printable ASCII character (a space as U+2581, as Llama's tokenizer writes it), one per byte for
all other text, and control tokens for the chat. There are no merges, so llama.cpp's tokenizer `llama` and
Hugging Face's byte-fallback BPE give the same ids for any text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE

SPACE = "\u2581"
PAD, SYSTEM, USER, ASSISTANT, END = "<pad>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
THINK, CLOSE = "<think>", "</think>"
CONTROL = (PAD, END, SYSTEM, USER, ASSISTANT, THINK, CLOSE)
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
CHARACTERS = (SPACE, *map(chr, range(0x21, 0x7F)))
VOCABULARY = (*CONTROL, *BYTES, *CHARACTERS)
IDS = {token: index for index, token in enumerate(VOCABULARY)}
CONTEXT = 2048

# Thinking on: the prompt opens the thought and writes nothing after the marker. Off: an empty thought.
# Earlier thoughts are dropped from the history; that of a trailing assistant message is kept, so that a
# server can go on from it (`continue_final_message`). Text given as a list of parts is joined.
CHAT_TEMPLATE = """\
{%- macro text(content) -%}
{%- if content is string -%}{{- content -}}
{%- elif content -%}
{%- for part in content -%}{%- if part.text is defined -%}{{- part.text -}}{%- endif -%}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}
{%- for message in messages -%}
{%- if message.role == "assistant" -%}
{{- "<|assistant|><think>" -}}
{%- if loop.last and message.reasoning_content -%}{{- message.reasoning_content -}}{%- endif -%}
{{- "</think>" + text(message.content) + "<|end|>" -}}
{%- elif message.role == "system" or message.role == "developer" -%}
{{- "<|system|>" + text(message.content) + "<|end|>" -}}
{%- else -%}
{{- "<|user|>" + text(message.content) + "<|end|>" -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<|assistant|><think>" -}}
{%- if not enable_thinking -%}{{- "</think>" -}}{%- endif -%}
{%- endif -%}"""

# How transformers tells thought from answer in a reply. Its server would else drop the markers, as control tokens.
RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": ASSISTANT,
    "fields": {
        "reasoning_content": {"open": THINK, "close": CLOSE, "content": "text"},
        "content": {"close": END, "content": "text"},
    },
}


def encode(text: str) -> list[int]:
    """Ids of plain printable ASCII text, one a character: what the traces are made of."""
    return [IDS[SPACE if character == " " else character] for character in text]


def decode(ids: Sequence[int]) -> str:
    """Readable text of ids, control tokens included."""
    return "".join(VOCABULARY[index] for index in ids).replace(SPACE, " ")


def build() -> Tokenizer:
    """The fast tokenizer: no merges, so every character is its own token and every other one its UTF-8 bytes."""
    tokenizer = Tokenizer(BPE(vocab=IDS, merges=[], byte_fallback=True, fuse_unk=False))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    return tokenizer


def write(folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja.

    The template stands in both files: transformers reads the second, older tools the first."""
    build().save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [token for token in CONTROL if token not in (PAD, END)],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
        "response_template": RESPONSE_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
