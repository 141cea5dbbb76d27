# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Makes the shipped form of a model from a finished run's adapter.

    python -m favor.assembly.ship runs/favor-135m favor/favor_135m

The first folder is the run's `output_dir`, or a checkpoint of it (`--recipe` then names the run's recipe.yaml). The
parts must have been those of `favor assemble --parts-from packages --dtype bfloat16`. Beside the two files of
shipped_model.py, the run's record goes along, from which the model card tells how the model was trained, and its chat
template if that is not this package's any more.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from favor.processing.processing_favor import CHAT_TEMPLATE

from .shipped_model import TEMPLATE, WEIGHTS, write_shipped

RECIPE = "recipe.yaml"
RECORD = "training_record.json"  # as the trainers write it


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line, or `argv`."""
    import yaml

    parser = argparse.ArgumentParser(prog="python -m favor.assembly.ship", description=__doc__.partition("\n")[0])
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="folder with adapter_model.safetensors")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, favor/favor_135m for the package")
    parser.add_argument("--recipe", type=Path, metavar="FILE", help=f"of the run (default: ADAPTER/{RECIPE})")
    parser.add_argument("--dtype", default="bfloat16", help="of the whole model (default: bfloat16)")
    arguments = parser.parse_args(argv)
    recipe = arguments.recipe or arguments.adapter / RECIPE
    if not recipe.is_file():
        parser.error(f"{recipe} is not there: name the run's recipe (--recipe).")
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    try:
        shipped = write_shipped(
            arguments.adapter,
            arguments.out,
            content.get("config") or {},
            content.get("media_options"),
            arguments.dtype,
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if (arguments.adapter / RECORD).is_file():
        shutil.copyfile(arguments.adapter / RECORD, arguments.out / RECORD)
    template = arguments.adapter / TEMPLATE
    if template.is_file() and template.read_text(encoding="utf-8") != CHAT_TEMPLATE.read_text(encoding="utf-8"):
        shutil.copyfile(template, arguments.out / TEMPLATE)
        print(f"note: {template} is not this package's template: it is shipped, too")
    size = (arguments.out / WEIGHTS).stat().st_size
    print(
        f"{arguments.out}: {size / 1e6:.1f} MB for {', '.join(shipped.parts.values())}, alpha {shipped.lora_alpha:g}"
    )


if __name__ == "__main__":
    main()
