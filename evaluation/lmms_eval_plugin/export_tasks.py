# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Writes tasks of AVEB as lmms-eval reads them: samples as JSON lines, a YAML file per task, and their functions.

`python -m favor.evaluation.lmms_eval_plugin.export_tasks OUT_DIR --tasks avm,avsr --annotations DIR --media-root DIR`,
then `lmms-eval --include_path OUT_DIR --tasks aveb_avm,aveb_avsr --model favor --model_args pretrained=PATH_OR_ID`.

A judge is none of lmms-eval's business here: of a judged task the other metrics are written.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..json_fields import JsonObject
from ..metrics import METRICS, without_judge
from ..sample import EvalSample
from ..task import EvalTask, find_tasks

MISSING_THERE = "ac,avsr,avsd,isqa,avssd,avm,favd,valor"  # in lmms-eval 0.7.3
FUNCTIONS_FILE = "utils.py"


def export_tasks(out_dir: Path, tasks: Sequence[EvalTask], annotations: Path, media_root: Path | None) -> list[str]:
    """Writes `out_dir`/aveb_NAME.{jsonl,yaml} and utils.py; returns the names of the tasks.

    Raises:
        FileNotFoundError: an annotation file is missing.
        ValueError: a task has no metric without a judge.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    names, used = [], set()
    for task in tasks:
        metrics = list(without_judge(task.answers.metrics))
        if not metrics:
            raise ValueError(f"Task {task.name} has no metric without a judge; run it with favor eval --judge-url.")
        path = task.annotation_path(annotations)
        if not path.exists():
            raise FileNotFoundError(f"{path}, the annotations of task {task.name}, does not exist.")
        samples = [json.dumps(_document(task, sample)) for sample in task.read_samples(path, media_root)]
        data = (out_dir / f"aveb_{task.name}.jsonl").absolute()
        data.write_text("\n".join(samples) + "\n", encoding="utf-8")
        (out_dir / f"aveb_{task.name}.yaml").write_text(_yaml(task, metrics, data), encoding="utf-8")
        names.append(f"aveb_{task.name}")
        used |= set(metrics)
    (out_dir / FUNCTIONS_FILE).write_text(_functions(sorted(used)), encoding="utf-8")
    return names


def _document(task: EvalTask, sample: EvalSample) -> JsonObject:
    """A sample in columns that have the same type in every row: what varies is JSON text."""
    return {"id": sample.id, "task": task.name, "sample": json.dumps(asdict(sample))}


def _yaml(task: EvalTask, metrics: Sequence[str], data: Path) -> str:
    lines = [
        f"task: aveb_{task.name}",
        "dataset_path: json",
        "dataset_kwargs:",
        f"  data_files: {{test: {json.dumps(str(data))}}}",
        "test_split: test",
        "output_type: generate_until",
        "doc_to_messages: !function utils.doc_to_messages",
        "doc_to_visual: !function utils.doc_to_visual",
        "doc_to_text: !function utils.doc_to_text",
        "doc_to_target: !function utils.doc_to_target",
        "process_results: !function utils.process_results",
        f"generation_kwargs: {json.dumps({**task.answers.generation, 'until': []})}",
        "metric_list:",
    ]
    for metric in metrics:
        higher = "true" if METRICS[metric].higher_is_better else "false"
        lines.append(f"  - {{metric: {metric}, aggregation: !function utils.{metric}, higher_is_better: {higher}}}")
    return "\n".join([*lines, "metadata: {version: 1.0}"]) + "\n"


def _functions(metrics: Sequence[str]) -> str:
    names = "aggregation, doc_to_messages, doc_to_target, doc_to_text, doc_to_visual, process_results"
    lines = [
        f"from favor.evaluation.lmms_eval_plugin.task_functions import {names}  # noqa: F401",
        "",
        *(f'{metric} = aggregation("{metric}")' for metric in metrics),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write tasks of AVEB for lmms-eval's --include_path.")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--tasks", default=MISSING_THERE, help=f"default: {MISSING_THERE}")
    parser.add_argument("--annotations", type=Path, required=True, metavar="DIR")
    parser.add_argument("--media-root", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    try:
        names = export_tasks(
            arguments.out_dir, find_tasks(arguments.tasks), arguments.annotations, arguments.media_root
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(",".join(names))


if __name__ == "__main__":
    main()
