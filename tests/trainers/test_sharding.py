# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Several processes: shards that step like a whole model, and the launch configurations that are shipped."""

import pytest
import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file

from favor.assembly.presets import preset_config
from favor.modeling_favor import FavorForConditionalGeneration
from tests.conftest import REPOSITORY
from tests.trainers.sharded_steps import make_trainer, steps
from tests.trainers.test_equal_gradients import prepared, run_torchrun  # noqa: F401

CONFIGS = REPOSITORY / "recipes" / "accelerate"


@pytest.mark.parametrize("kind", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_two_sharded_processes_step_with_the_losses_of_one(kind, prepared, tmp_path):  # noqa: F811
    """The second process has text alone: no encoder and no connector runs there."""
    (tmp_path / "model").symlink_to(prepared / "model")
    lines = (prepared / "train.jsonl").read_text().splitlines()
    manifest = tmp_path / "text_last.jsonl"
    manifest.write_text("\n".join([lines[0], lines[3], lines[2], lines[2]]))
    expected = steps(make_trainer(tmp_path, str(manifest), 4, kind == "lora"), 0, 1)
    done = run_torchrun(REPOSITORY / "tests" / "trainers" / "sharded_steps.py", [tmp_path, manifest, kind])
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "result.pt", weights_only=True)
    assert found["losses"] == pytest.approx(expected, rel=1e-5)
    assert abs(expected[0] - expected[-1]) > 1e-2
    assert found["wrapped"] == ["FSDPLlamaDecoderLayer"] * 2
    assert found["local_rows"] < found["rows"]


@pytest.mark.parametrize("name", ["ddp", "fsdp2", "deepspeed_zero3"])
def test_accelerate_reads_the_shipped_configurations(name):
    config = load_config_from_file(str(CONFIGS / f"{name}.yaml"))
    assert config.mixed_precision == "bf16" and config.num_processes == 8
    kinds = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "deepspeed_zero3": "DEEPSPEED"}
    assert config.distributed_type == kinds[name]


@pytest.mark.parametrize("preset", ["favor-13b", "favor-7b"])
def test_the_fsdp_configuration_wraps_the_language_models_layers_alone(preset):
    with torch.device("meta"):
        model = FavorForConditionalGeneration._from_config(preset_config(preset), dtype=torch.bfloat16)
    values = load_config_from_file(str(CONFIGS / "fsdp2.yaml")).fsdp_config
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy=values["fsdp_auto_wrap_policy"].lower(),
        transformer_cls_names_to_wrap=values["fsdp_transformer_layer_cls_to_wrap"].split(","),
    )
    plugin.set_auto_wrap_policy(model)
    policy = plugin.auto_wrap_policy
    wrapped = [name for name, m in model.named_modules() if policy(module=m, recurse=False, nonwrapped_numel=0)]
    layers = model.config.text_config.num_hidden_layers
    assert wrapped == [f"model.language_model.layers.{number}" for number in range(layers)]
