# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The plug-in for lmms-eval, which is not installed here: exported tasks, their functions, and the model's chats."""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml

from favor.evaluation.lmms_eval_plugin import model_manifest
from favor.evaluation.lmms_eval_plugin.export_tasks import MISSING_THERE, export_tasks
from favor.evaluation.metrics import METRICS
from favor.evaluation.task import find_tasks

from .published_data import write_annotations


@pytest.fixture
def exported(tmp_path):
    tasks = find_tasks(MISSING_THERE)
    for task in tasks:
        write_annotations(task.name, tmp_path / "annotations", 4)
    names = export_tasks(tmp_path / "out", tasks, tmp_path / "annotations", None)
    assert names == [f"aveb_{task.name}" for task in tasks]
    return tmp_path / "out"


@pytest.fixture
def functions(exported):
    """utils.py, imported as lmms-eval does: from its file."""
    spec = importlib.util.spec_from_file_location("exported_utils", exported / "utils.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def task_files(exported, functions):
    """Each exported task: its YAML, functions found, and its rows."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor(
        "!function", lambda loader, node: getattr(functions, loader.construct_scalar(node).removeprefix("utils."))
    )
    found = {}
    for path in sorted(exported.glob("*.yaml")):
        settings = yaml.load(path.read_text(), Loader)
        data = Path(settings["dataset_kwargs"]["data_files"]["test"])
        found[path.stem] = settings, [json.loads(line) for line in data.read_text().splitlines()]
    return found


def test_exported_tasks_score_like_ours(task_files):
    for name, (settings, rows) in task_files.items():
        task = find_tasks(name.removeprefix("aveb_"))[0]
        assert settings["task"] == name and settings["output_type"] == "generate_until"
        assert settings["generation_kwargs"] == {**task.answers.generation, "until": []}
        assert len(rows) >= 4
        results = [settings["process_results"](row, [settings["doc_to_target"](row)]) for row in rows]
        assert len({tuple(sorted(result)) for result in results}) == 1
        for entry in settings["metric_list"]:
            metric = METRICS[entry["metric"]]
            if metric.name in ("meteor", "spice", "spider", "cider_d", "bleu_4", "bleu_1"):
                continue  # captions have several references, and METEOR its own tests
            value = entry["aggregation"]([result[metric.name] for result in results])
            assert value == (1.0 if entry["higher_is_better"] else 0.0), (name, metric.name)


def test_exported_chats_hold_media_and_history(task_files):
    settings, rows = task_files["aveb_avsd"]
    last = settings["doc_to_messages"](rows[2])
    assert [message["role"] for message in last] == ["user", "assistant", "user", "assistant", "user"]
    assert [block["type"] for block in last[0]["content"]] == ["video", "text"]
    assert last[0]["content"][0]["url"] == settings["doc_to_visual"](rows[2])[0]
    assert last[-1]["content"] == [{"type": "text", "text": settings["doc_to_text"](rows[2])}]


def test_judged_tasks_are_left_to_favor_eval(tmp_path):
    write_annotations("vcg_detail", tmp_path, 2)
    with pytest.raises(ValueError, match="without a judge"):
        export_tasks(tmp_path / "out", find_tasks("vcg_detail"), tmp_path, None)
    with pytest.raises(FileNotFoundError, match="annotations of task avm"):
        export_tasks(tmp_path / "out", find_tasks("avm"), tmp_path, None)


@pytest.fixture
def lmms_eval(monkeypatch):
    """The few names of lmms-eval that the plug-in builds on."""
    api, registry = ModuleType("lmms_eval.api.model"), ModuleType("lmms_eval.models.registry_v2")
    api.lmms = type("lmms", (), {"__init__": lambda self: None})
    registry.ModelManifest = lambda **values: SimpleNamespace(**values)
    for module in (
        ModuleType("lmms_eval"),
        ModuleType("lmms_eval.api"),
        ModuleType("lmms_eval.models"),
        api,
        registry,
    ):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    yield
    sys.modules.pop("favor.evaluation.lmms_eval_plugin.favor_model", None)


def test_the_model_answers_chats_with_sound(lmms_eval, tiny_model_dir, media_dir):
    manifest = model_manifest()
    assert manifest.model_id == "favor"
    module, _, name = manifest.chat_class_path.rpartition(".")
    model = getattr(importlib.import_module(module), name)(str(tiny_model_dir), batch_size="2")
    question = {"type": "text", "text": "Which sound is heard first?"}
    chats = [
        [{"role": "user", "content": [{"type": "video", "url": str(media_dir / "clip.mp4")}, question]}],
        [{"role": "user", "content": [{"type": "audio", "url": str(media_dir / "sound.wav")}, question]}],
        [{"role": "user", "content": "Which sound is heard first?"}],
    ]
    model.task_dict = {"task": {"test": chats}}
    settings = {"max_new_tokens": 6, "until": ["\n\n"], "temperature": 0, "top_p": None}
    requests = [
        SimpleNamespace(
            args=("", lambda chat: chat, {**settings, "num_beams": 1 + (index == 2)}, index, "task", "test")
        )
        for index in range(3)
    ]
    answers = model.generate_until(requests)
    pipe = model.pipe
    expected = pipe(
        [{"video": str(media_dir / "clip.mp4"), "text": question["text"]}], max_new_tokens=6, do_sample=False
    )
    assert answers[0] == expected[0][0]["generated_text"]
    model.load_audio_from_video = False
    assert model.generate_until(requests[:1])[0] != answers[0]
    with pytest.raises(ValueError, match="no model argument 'colour'"):
        type(model)(str(tiny_model_dir), colour="red")
    with pytest.raises(NotImplementedError):
        model.loglikelihood([])
