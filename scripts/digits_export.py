"""Write digits in its two forms: a folder that transformers loads, and a GGUF file that llama.cpp loads.

Both hold the same half-precision weights.
"""

from __future__ import annotations

from pathlib import Path

import digits_tokenizer as tok
import gguf
import numpy as np
import torch
from transformers import GenerationConfig, LlamaForCausalLM

LICENSE = """\
Copyright 2026 The Pointsman authors

Licensed under the Apache License, Version 2.0 (the "License");
you may not use these files except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.

This covers the weights, the tokenizer and every other file in this folder.
The weights were trained from scratch on generated arithmetic; no other data was used.
"""

# Names of a layer's tensors in transformers and in GGUF.
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write(model: LlamaForCausalLM, folder: Path) -> None:
    """Write weights, configuration, tokenizer, template and licence into `folder`. Rounds the model to float16."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model.half()
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tok.IDS[tok.END], pad_token_id=tok.IDS[tok.PAD], max_new_tokens=256
    )
    model.save_pretrained(folder)
    tok.write(folder)
    write_gguf(model, folder / "digits.gguf")
    (folder / "model.safetensors").chmod(0o644)  # written readable by its owner only
    (folder / "LICENSE").write_text(LICENSE, encoding="utf-8")


def write_gguf(model: LlamaForCausalLM, path: Path) -> None:
    """Write one GGUF file: matrices in float16, norms in float32, tokenizer and template in the metadata."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("digits")
    writer.add_description("A miniature reasoning model for chains of single-digit operations modulo 10.")
    writer.add_license("apache-2.0")
    writer.add_size_label("1M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer)
    for name, tensor in _gguf_tensors(model):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    # User-defined tokens would be read out of a user's text; control ones only where the caller asks for it.
    kinds = (
        [gguf.TokenType.CONTROL] * len(tok.CONTROL)
        + [gguf.TokenType.BYTE] * len(tok.BYTES)
        + [gguf.TokenType.NORMAL] * len(tok.CHARACTERS)
    )
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tok.VOCABULARY)
    writer.add_token_scores([0.0] * len(tok.VOCABULARY))
    writer.add_token_types(kinds)
    # llama.cpp takes ids 0 to 2 for unknown, start and end where none are named.
    writer.add_unk_token_id(tok.IDS[tok.PAD])
    writer.add_bos_token_id(tok.IDS[tok.END])
    writer.add_eos_token_id(tok.IDS[tok.END])
    writer.add_pad_token_id(tok.IDS[tok.PAD])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(tok.CHAT_TEMPLATE)


def _gguf_tensors(model: LlamaForCausalLM) -> list[tuple[str, np.ndarray]]:
    """(GGUF name, array) of every tensor. Embedding and output are tied: llama.cpp takes the first for both."""
    state = model.state_dict()
    heads = model.config.num_attention_heads
    tensors = [("token_embd.weight", state["model.embed_tokens.weight"])]
    for layer in range(model.config.num_hidden_layers):
        for ours, theirs in _LAYER.items():
            tensor = state[f"model.layers.{layer}.{ours}.weight"]
            if theirs in ("attn_q", "attn_k"):
                tensor = _interleave(tensor, heads)
            tensors.append((f"blk.{layer}.{theirs}.weight", tensor))
    tensors.append(("output_norm.weight", state["model.norm.weight"]))
    return [(name, t.float().numpy() if t.ndim == 1 else t.half().contiguous().numpy()) for name, t in tensors]


def _interleave(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows of a query or key matrix, shape (heads * size, hidden), within each head.

    transformers rotates row i of a head with row i + size / 2, llama.cpp row 2i with 2i + 1
    (`permute` in llama.cpp's convert_hf_to_gguf.py)."""
    rows, hidden = weight.shape
    return weight.view(heads, 2, rows // heads // 2, hidden).transpose(1, 2).reshape(rows, hidden)
