# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor export`: writes a model folder in the layout of the Hub."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model_dir", metavar="MODEL_DIR", help="folder of a trained or converted model")
    parser.add_argument("out_dir", metavar="OUT_DIR", help="folder to write; must not exist or be empty")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that OUT_DIR already holds")


def run(arguments: argparse.Namespace) -> None:
    from favor.hub_upload import export_model

    out_dir = export_model(arguments.model_dir, arguments.out_dir, overwrite=arguments.overwrite)
    size = sum(file.stat().st_size for file in out_dir.rglob("*") if file.is_file())
    print(
        f"{out_dir}: {size / 1e6:.1f} MB; load it by pipeline('video-text-to-text', model={str(out_dir)!r}, "
        "trust_remote_code=True)"
    )
