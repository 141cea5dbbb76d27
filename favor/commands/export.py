# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor export`: writes a model folder, or an adapter merged into its base model, in the layout of the Hub."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model_dir",
        metavar="MODEL_DIR",
        help="model folder, an adapter's folder, or the name of one of the package's models",
    )
    parser.add_argument("out_dir", metavar="OUT_DIR", help="folder to write; must not exist or be empty")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that OUT_DIR already holds")
    parser.add_argument("--merge", action="store_true", help="add the adapter in MODEL_DIR to its base model")
    parser.add_argument(
        "--base-model", metavar="PATH_OR_ID", help="with --merge: its base model (default: what the adapter names)"
    )


def run(arguments: argparse.Namespace) -> None:
    from favor.hub_upload import export_model
    from favor.hub_upload.export import check_replaceable
    from favor.model_loading import model_source, named_folder, own_model

    if arguments.base_model is not None and not arguments.merge:
        raise ValueError("--base-model goes with --merge: an adapter's base model.")
    out_dir = Path(arguments.out_dir)
    source = named_folder(arguments.model_dir)
    if arguments.merge:
        from transformers.utils import logging

        from favor.hub_upload.merging import merged_adapter, named_base

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        check_replaceable(out_dir, arguments.overwrite)
        base = arguments.base_model or named_base(Path(source))
        base = model_source(base) if arguments.base_model or (base and own_model(base)) else base
        model, processor = merged_adapter(Path(source), base)
        export_model(model, out_dir, processor=processor, overwrite=arguments.overwrite)
    else:
        export_model(source, out_dir, overwrite=arguments.overwrite)
    size = sum(file.stat().st_size for file in out_dir.rglob("*") if file.is_file())
    print(
        f"{out_dir}: {size / 1e6:.1f} MB; load it by pipeline('video-text-to-text', model={str(out_dir)!r}, "
        "trust_remote_code=True)"
    )
