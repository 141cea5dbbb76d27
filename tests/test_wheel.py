# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The wheel: it installs one name, works by its own requirements alone, and beside folders of any name."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY
from tests.hub_upload.clean_environment import make_environment

SCRIPT = REPOSITORY / "tests" / "hub_upload" / "remote_code_answers.py"
QUESTION = "Which sound is heard first?"
# Folders that a user's project may well have, beside which everything must work.
DECOYS = ("processing", "trainers", "evaluation", "modeling_favor", "hub_upload", "assembly", "worlds", "serving")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The package as `pip install` would put it into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, REPOSITORY]
    subprocess.run(command, check=True, timeout=600)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """The Python of an environment that holds what the wheel requires without extras, and the wheel."""
    metadata = Parser().parsestr(next(wheel.glob("*.dist-info/METADATA")).read_text())
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    names = [one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    folder = tmp_path_factory.mktemp("environment")
    python = make_environment(folder / "venv", tuple(names))
    (next(folder.glob("venv/lib/python*/site-packages")) / "favor.pth").write_text(str(wheel))
    return python


@pytest.fixture
def beside_decoys(tmp_path) -> Path:
    """A project with folders named as our rooms are, which cannot be imported."""
    for name in DECOYS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the project's own {name} was imported')")
    return tmp_path


def run(python: Path | str, *arguments: object, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in (python, *arguments)],
        cwd=folder,
        env={**clean, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_wheel_installs_one_name(wheel):
    names = sorted(path.name for path in wheel.iterdir())
    assert names[0] == "favor" and names[1].endswith(".dist-info") and len(names) == 2
    assert (wheel / "favor" / "py.typed").is_file()


def test_the_demo_works_by_the_wheels_own_requirements(environment, tmp_path):
    unreachable = {"PIP_NO_INDEX": "1", "FAVOR_CACHE": str(tmp_path / "cache")}  # favor-135m's parts
    done = run(environment, "-m", "favor", "demo", "--json", "--clips", "8", folder=tmp_path, **unreachable)
    assert done.returncode == 0, done.stderr
    assert "favor-135m is left out." in done.stderr
    found = json.loads(done.stdout)
    assert found["correct"] >= 0.8 * found["questions"]


def test_what_transformers_wants_for_favor_135ms_language_model_is_required(environment, tmp_path):
    """It names what it misses only when a GGUF file is read."""
    script = "from transformers.utils import is_accelerate_available as a, is_gguf_available as g; print(a(), g())"
    assert run(environment, "-c", script, folder=tmp_path).stdout.split() == ["True", "True"]


def test_the_bundled_folder_of_the_wheel_is_a_whole_hub_folder(wheel, media_dir, tmp_path):
    bundled = wheel / "favor" / "favor_tiny"
    assert not any(file.is_symlink() for file in bundled.rglob("*"))
    python = make_environment(tmp_path / "venv")  # without favor
    done = run(python, "-P", SCRIPT, bundled, media_dir, QUESTION, folder=tmp_path, HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["answers"]) == 5


def test_commands_work_beside_folders_of_our_rooms_names(environment, beside_decoys, media_dir):
    asked = run(environment, "-m", "favor", "ask", media_dir / "clip.mp4", QUESTION, folder=beside_decoys)
    assert asked.returncode == 0 and asked.stdout.strip(), asked.stderr
    code = "from favor import FavorConfig, FavorProcessor, export_model, load_media; print(FavorConfig.model_type)"
    imported = run(environment, "-c", code, folder=beside_decoys)
    assert imported.stdout.strip() == "favor", imported.stderr


def test_training_by_torchrun_works_beside_folders_of_our_rooms_names(wheel, beside_decoys, tiny_model_dir, media_dir):
    turns = [{"role": "user", "content": "What is heard?"}, {"role": "assistant", "content": "A tone."}]
    lines = [{"messages": turns, "video": str(media_dir / "clip.mp4")}] * 4
    (beside_decoys / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (beside_decoys / "recipe.yaml").write_text(
        f"model: {tiny_model_dir}\noutput_dir: out\ntrain_data: train.jsonl\n"
        "sft: {max_steps: 1, per_device_train_batch_size: 2, report_to: none, use_cpu: true}\n"
    )
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1", "-m", "favor", "sft")
    done = run(sys.executable, *launch, "recipe.yaml", folder=beside_decoys, PYTHONPATH=str(wheel))
    assert done.returncode == 0, done.stderr
    assert (beside_decoys / "out" / "config.json").is_file()


def test_what_is_edited_is_what_favor_ask_runs(media_dir, tmp_path):
    checkout = tmp_path / "checkout"
    leave_out = shutil.ignore_patterns(
        ".*", "__pycache__", "tests", "docs", "benchmarks", "build", "runs", "*.egg-info"
    )
    shutil.copytree(REPOSITORY, checkout, symlinks=True, ignore=leave_out)
    ask = ("-m", "favor", "ask", media_dir / "clip.mp4", QUESTION)
    assert run(sys.executable, *ask, folder=checkout).returncode == 0
    with (checkout / "modeling_favor" / "modeling_favor.py").open("a") as file:
        file.write("\nraise RuntimeError('edited')\n")
    done = run(sys.executable, *ask, folder=checkout)
    assert done.returncode != 0 and "edited" in done.stderr


def test_the_bundled_model_loads_by_transformers_from_a_checkout(media_dir, tmp_path):
    """By the code in its folder: links, which transformers follows."""
    python = make_environment(tmp_path / "venv")
    bundled = REPOSITORY / "favor" / "favor_tiny"
    done = run(python, "-P", SCRIPT, bundled, media_dir, QUESTION, folder=tmp_path, HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 0, done.stderr
