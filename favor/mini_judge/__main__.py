# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`python -m favor.mini_judge OUT_DIR`: trains AVEB-mini's judge, writes it, prints its agreement."""

import argparse
import json
from pathlib import Path

import torch

from .training import save_judge


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m favor.mini_judge",
        description="Train the closed-world judge of AVEB-mini, for favor eval --judge-model OUT_DIR.",
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="model folder to write")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="same seed, same judge (default: 0)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums in another order would give another model
    print(json.dumps(save_judge(arguments.out_dir, arguments.seed)))


if __name__ == "__main__":
    main()
