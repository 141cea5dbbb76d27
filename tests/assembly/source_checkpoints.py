# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tiny stand-ins of public checkpoints: transformers' own classes, in the file layouts that the Hub holds.

Each maker writes one folder and returns it. `layout` is "single" or "sharded" for safetensors, "bin" or "sharded_bin"
for files by `torch.save` with the names and buffers that older versions of transformers saved.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    GenerationConfig,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipVideoConfig,
    InstructBlipVideoForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from tests.modeling_favor.tiny_models import randomized

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TOWER = {**SIZES, "hidden_size": 16, "image_size": 16, "patch_size": 8}
QFORMER = {**SIZES, "hidden_size": 24, "cross_attention_frequency": 1, "max_position_embeddings": 64}
SHARD = "60KB"
TEXTS = ["What does she say when the door opens?", "USER: Describe the scene.\nASSISTANT: A bell rings twice."]
PREPROCESSOR = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "do_resize": True}
LANGUAGE_MODELS = {
    "llama": {"num_key_value_heads": 4},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": True},
    "phi": {},
    "gpt_neox": {"rotary_pct": 0.5, "tie_word_embeddings": False},
    "qwen3_moe": {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
    },
}
VISION_MODELS = {
    "instructblip": (InstructBlipConfig, InstructBlipForConditionalGeneration),
    "instructblipvideo": (InstructBlipVideoConfig, InstructBlipVideoForConditionalGeneration),
    "blip-2": (Blip2Config, Blip2ForConditionalGeneration),
    "siglip": (SiglipConfig, SiglipModel),
    "clip": (CLIPConfig, CLIPModel),
    "dinov2": (Dinov2Config, Dinov2Model),
}


def make_language_model(folder: Path, kind: str = "llama", layout: str = "single", **config) -> Path:
    """A causal language model with tokenizer and generation config, as Vicuna's folder holds them."""
    tokenizer = make_tokenizer(qwen_like=kind.startswith("qwen"))
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    values = {"vocab_size": len(tokenizer), "max_position_embeddings": 512, **SIZES, **ids}
    torch.manual_seed(1)
    values = {**values, **LANGUAGE_MODELS[kind], **config}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **values))
    save(randomized(model), folder, layout)
    GenerationConfig(**ids, do_sample=True, temperature=0.9, top_p=0.6).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_whisper(folder: Path, layout: str = "single", d_model: int = 20, **config) -> Path:
    """A whole Whisper, decoder included, that hears chunks of 2 s at 50 Hz."""
    values = {"encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 40, "decoder_layers": 1}
    values |= {"decoder_attention_heads": 4, "decoder_ffn_dim": 40, "num_mel_bins": 8, "max_source_positions": 100}
    values |= {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    values |= {"decoder_start_token_id": 1, "max_target_positions": 20}
    torch.manual_seed(2)
    model = WhisperForConditionalGeneration(WhisperConfig(d_model=d_model, **values, **config))
    save(randomized(model), folder, layout)
    WhisperFeatureExtractor(feature_size=8, chunk_length=2).save_pretrained(folder)
    return folder


def make_vision(folder: Path, kind: str = "instructblip", layout: str = "single", num_query_tokens: int = 32) -> Path:
    """An InstructBLIP or BLIP-2 with a language model inside, or a whole SigLIP, CLIP or DINOv2."""
    config_class, model_class = VISION_MODELS[kind]
    text = {**SIZES, "vocab_size": 60, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if kind.startswith(("instructblip", "blip-2")):
        values = {"vision_config": {**TOWER, "initializer_range": 0.02}, "num_query_tokens": num_query_tokens}
        values |= {"qformer_config": {**QFORMER, "vocab_size": 301}, "text_config": {"model_type": "llama", **text}}
    elif kind == "dinov2":
        values = TOWER
    else:
        values = {"vision_config": TOWER, "text_config": text}
    torch.manual_seed(3)
    save(randomized(model_class(config_class(**values))), folder, layout)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    if kind.startswith("instructblip"):
        tokenizer = make_tokenizer()
        tokenizer.add_special_tokens({"pad_token": "[PAD]"})
        tokenizer.save_pretrained(folder / "qformer_tokenizer")
    return folder


def make_tokenizer(qwen_like: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE of about 300 tokens without padding token; Qwen's has no beginning of sequence either."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_end|>"] if qwen_like else ["<unk>", "<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    if qwen_like:
        names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    else:
        names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names)


def save(model: PreTrainedModel, folder: Path, layout: str) -> None:
    """Writes weights and config in one of the four layouts."""
    model.save_pretrained(folder, max_shard_size=SHARD if layout == "sharded" else "1GB")
    if layout.endswith("bin"):
        tensors = legacy(load_file(folder / "model.safetensors"))
        (folder / "model.safetensors").unlink()
        save_pickled(folder, tensors, shards=3 if layout == "sharded_bin" else 1)


def legacy(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names and buffers of years ago: BERT's LayerNorm.gamma and beta, position_ids, rotary frequencies."""
    old = {}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        old[name] = tensor
        if name.endswith("q_proj.weight") and "self_attn" in name:
            old[name.replace("q_proj.weight", "rotary_emb.inv_freq")] = torch.ones(4)
        if name == "qformer.embeddings.layernorm.weight":
            old["qformer.embeddings.position_ids"] = torch.arange(4)[None]
    return old


def save_pickled(folder: Path, tensors: dict[str, torch.Tensor], shards: int) -> None:
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    names = sorted(tensors)
    files = {
        name: f"pytorch_model-{1 + i * shards // len(names):05d}-of-{shards:05d}.bin" for i, name in enumerate(names)
    }
    for file in set(files.values()):
        torch.save({name: tensors[name] for name in names if files[name] == file}, folder / file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def change_tensors(folder: Path, change) -> None:
    """Rewrites `model.safetensors` with what `change` makes of its tensors."""
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
