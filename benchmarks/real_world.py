# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What an item of the world of real things costs: `python -m benchmarks.real_world ASSETS [--count 20]`.

Prints CPU seconds per item of each task, sampled, spoken, drawn and written by one process (speech programs included),
and the bytes of its media.
"""

import argparse
import resource
import tempfile
from pathlib import Path

from favor.aveb_prompts import AVEB_PROMPTS
from favor.worlds.real.assets import Assets
from favor.worlds.real.dataset import EXTRA_SCENES, TASK_SCENES, write_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", help="a prepared folder")
    parser.add_argument("--count", type=int, default=20, help="items of each task (default: 20)")
    arguments = parser.parse_args()
    assets = Assets.load(arguments.assets)
    print("| task | CPU seconds | kB |\n|---|---|---|")
    for task in (*TASK_SCENES, *EXTRA_SCENES):
        with tempfile.TemporaryDirectory() as folder:
            start = _cpu_seconds()
            write_split(
                *(folder, "train", arguments.count, 1, assets, task), workers=1, progress=False, prompts=AVEB_PROMPTS
            )
            seconds = (_cpu_seconds() - start) / arguments.count
            size = sum(file.stat().st_size for file in (Path(folder) / "media").iterdir()) / arguments.count
        print(f"| `{task}` | {seconds:.3f} | {size / 1000:.0f} |", flush=True)


def _cpu_seconds() -> float:
    """Of this process and of the programs it has run."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
