# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor convert`: a released FAVOR checkpoint on top of the public parts that it was trained with."""

import argparse

from .assemble import add_part_arguments, check_sources, part_options, print_report, with_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="the released .pt file, or the same as .safetensors")
    add_part_arguments(parser)
    parser.add_argument(
        "--lora",
        choices=("merge", "adapter", "drop"),
        default="merge",
        help="merge it into the language model (default), keep it as a PEFT adapter in DIR/adapter, or leave it out",
    )
    released = parser.add_argument_group("released settings that the file does not hold")
    released.add_argument("--lora-alpha", type=float, default=32.0, help="default: 32")
    released.add_argument("--num-attention-heads", type=int, default=12, help="of the causal Q-Former (default: 12)")
    released.add_argument("--window-frames", type=int, default=10, help="frames per window (default: 10)")


def run(arguments: argparse.Namespace) -> None:
    options = part_options(arguments)
    check_sources(options)
    from favor.model_folder import convert_released

    report = convert_released(
        arguments.checkpoint,
        **options,
        **with_settings({}, arguments.settings),
        lora=arguments.lora,
        lora_alpha=arguments.lora_alpha,
        num_attention_heads=arguments.num_attention_heads,
        window_frames=arguments.window_frames,
        progress=True,
    )
    print_report(report.lines(), arguments.out)
