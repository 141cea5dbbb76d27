# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is not one plain process: LoRA adapters, two tensor-parallel processes, other language models."""

import os
import shutil

import pytest
import torch
from chats import CASES
from checkpoints import LANGUAGE_MODELS, NEW_TOKENS, Reference, make_checkpoint
from conftest import engine_of
from safetensors.torch import load_file, save_file
from vllm import SamplingParams
from vllm.lora.request import LoRARequest

from favor.hub_upload import export_model
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor

GREEDY = SamplingParams(temperature=0, max_tokens=NEW_TOKENS)
SOME = ("text", "video with its sound", "image and sound", "sound")


def ask(llm, case, folder, **more) -> list[int]:
    return list(llm.chat(case.messages(folder), GREEDY, use_tqdm=False, **more)[0].outputs[0].token_ids)


def test_a_lora_adapter_of_the_language_model(checkpoint_dir, media_dir, tmp_path):
    from peft import LoraConfig, get_peft_model

    folder = checkpoint_dir("llama")
    reference = Reference(folder)
    projections = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|up_proj)"
    adapted = get_peft_model(reference.model, LoraConfig(r=8, target_modules=projections))
    torch.manual_seed(0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(tmp_path / "adapter")
    case = CASES["video with its sound"]
    expected = reference.answer(case.chat(media_dir))
    with adapted.disable_adapter():
        without = reference.answer(case.chat(media_dir))
    assert expected != without
    with engine_of(folder, media_dir, enable_lora=True, max_lora_rank=8) as llm:
        adapter = LoRARequest("adapter", 1, str(tmp_path / "adapter"))
        assert ask(llm, case, media_dir, lora_request=adapter) == expected
        assert ask(llm, case, media_dir) == without


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="vLLM binds each process to cores of its own")
def test_two_tensor_parallel_processes(checkpoint_dir, media_dir, monkeypatch):
    cores = sorted(os.sched_getaffinity(0))[:2]
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "|".join(map(str, cores)))  # `auto` wants a NUMA node for each
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    folder = checkpoint_dir("llama")
    reference = Reference(folder)
    with engine_of(folder, media_dir, tensor_parallel_size=2) as llm:
        for name, case in CASES.items():
            if case.own_sound:
                assert ask(llm, case, media_dir) == reference.answer(case.chat(media_dir)), name


def test_a_checkpoint_of_half_precision_in_float32(checkpoint_dir, media_dir, tmp_path):
    model = FavorForConditionalGeneration.from_pretrained(checkpoint_dir("llama"), dtype=torch.bfloat16)
    processor = FavorProcessor.from_pretrained(checkpoint_dir("llama"))
    folder = export_model(model, tmp_path / "half", processor=processor)
    assert '"dtype": "bfloat16"' in (folder / "config.json").read_text()
    reference = Reference(folder)
    with engine_of(folder, media_dir) as llm:
        for name in SOME:
            assert ask(llm, CASES[name], media_dir) == reference.answer(CASES[name].chat(media_dir)), name


@pytest.mark.parametrize("kind", LANGUAGE_MODELS)
def test_other_language_models(kind, media_dir, tmp_path):
    folder = make_checkpoint(kind, tmp_path)
    reference = Reference(folder)
    with engine_of(folder, media_dir) as llm:
        for name in SOME:
            assert ask(llm, CASES[name], media_dir) == reference.answer(CASES[name].chat(media_dir)), name


def test_embeddings_to_mix_that_a_checkpoint_lacks(checkpoint_dir, media_dir, tmp_path):
    folder = shutil.copytree(checkpoint_dir("llama-mixture"), tmp_path / "torn")
    file = folder / "model.safetensors"
    weights = {name: weight for name, weight in load_file(file).items() if not name.endswith("word_mixture.offsets")}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="no model.connector.word_mixture.offsets"), engine_of(folder, media_dir):
        pass
