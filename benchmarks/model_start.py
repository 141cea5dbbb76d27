# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Parts (d) and (e) of the model's benchmark: time to the first token of a file's answer, and start-up."""

import ast
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from favor.model_loading import bundled_model_path
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor

from .media import make_clip, repeat_clip
from .model_measures import Spread, markdown, time_in_turn
from .model_peers import Sizes, build

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "modeling_favor"
QUESTION = "Which sound is heard first?"
STAGES = ("decode the file, log-mel, tokens", "encode pictures", "encode sound", "connector", "prefill, first token")
LARGER = Sizes(text_width=1024, text_layers=16)


def measure_first_token(seconds: int, repetitions: int, folder: Path | None = None) -> dict[str, Any]:
    """Part (d): favor-tiny on a 360p file with sound; each stage, and the whole from the file to the first token."""
    source = bundled_model_path() if folder is None else folder
    model = FavorForConditionalGeneration.from_pretrained(source).eval()
    processor = FavorProcessor.from_pretrained(source)
    with tempfile.TemporaryDirectory() as temporary:
        clip = Path(temporary) / "clip.mp4"
        write_clip(clip, seconds)
        chat = [
            {"role": "user", "content": [{"type": "video", "path": str(clip)}, {"type": "text", "text": QUESTION}]}
        ]
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*STAGES, "all stages", "generate")}
        for turn in range(1 + repetitions):
            for name, spent in stages(model, processor, chat).items():
                if turn:
                    found[name].append(spent)
    return {
        name: {"cpu": Spread.of(cpu for cpu, _ in spent), "wall": Spread.of(wall for _, wall in spent)}
        for name, spent in found.items()
    }


def write_clip(path: Path, seconds: int) -> None:
    """360p at 30 Hz with stereo sound; ten seconds over and over if it is longer."""
    short = min(seconds, 10)
    if short == seconds:
        make_clip(path, 360, seconds)
        return
    source = path.with_name("short.mp4")
    make_clip(source, 360, short)
    repeat_clip(source, path, short, -(-seconds // short))


@torch.no_grad()
def stages(model: Any, processor: Any, chat: list[dict]) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of each stage, of all of them, and of `generate` (one token) on the processor's output."""
    spent: dict[str, tuple[float, float]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.process_time(), time.perf_counter()
        result = call()
        spent[name] = time.process_time() - start[0], time.perf_counter() - start[1]
        return result

    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "add_generation_prompt": True}
    inputs = timed(STAGES[0], lambda: processor.apply_chat_template(chat, load_audio_from_video=True, **options))
    favor = model.model
    instruction = inputs.get("qformer_input_ids"), inputs.get("qformer_attention_mask")
    pictures = inputs["pixel_values_videos"], inputs["video_frame_indices"]
    visual, frames = timed(STAGES[1], lambda: favor.encode_frames(*pictures, *instruction))
    sound = inputs["input_features"], inputs["input_features_mask"]
    audio, vectors = timed(STAGES[2], lambda: favor.encode_audio(*sound))
    streams = {"visual": visual, "num_visual_frames": frames, "audio": audio, "num_audio_vectors": vectors}
    media = timed(STAGES[3], lambda: favor.get_video_features(encoder_states=streams))
    text = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    prompt = text | {"mm_encoder_outputs": {"video": media}, "use_cache": True, "logits_to_keep": 1}
    timed(STAGES[4], lambda: model(**prompt).logits[:, -1].argmax(-1))
    spent["all stages"] = tuple(sum(spent[name][kind] for name in STAGES) for kind in (0, 1))  # type: ignore[assignment]
    timed("generate", lambda: model.generate(**inputs, max_new_tokens=1, do_sample=False))
    return spent


def measure_start(repetitions: int, larger: Sizes = LARGER) -> dict[str, Any]:
    """Part (e): processes in turn; loading of favor-tiny and of a larger model, beside reading the same file."""
    commands = {
        "favor --help": [sys.executable, "-m", "favor", "--help"],
        "import favor.modeling_favor": [sys.executable, "-c", f"import {PACKAGE}"],
        "what it imports of others": [sys.executable, "-c", imports_of_others()],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    processes = time_processes(commands, repetitions)
    loads = {"favor-tiny": measure_load(bundled_model_path(), repetitions)}
    with tempfile.TemporaryDirectory() as folder:
        build("FAVOR", larger).save_pretrained(folder)
        loads["a larger model"] = measure_load(Path(folder), repetitions)
    return {"processes": processes, "loads": loads}


def imports_of_others() -> str:
    """A program of the import statements of the package's modules that are not its own nor inside functions."""
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, {PACKAGE}; print(*(m for m in sys.modules if m.startswith('{PACKAGE}')))",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = []
    for module in found.stdout.split():
        path = REPOSITORY / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            own = isinstance(node, ast.ImportFrom) and node.level
            if isinstance(node, ast.Import | ast.ImportFrom) and not own:
                lines.append(ast.unparse(node))
    return "\n".join(dict.fromkeys(lines))


def time_processes(commands: dict[str, list[str]], repetitions: int) -> dict[str, dict[str, Spread]]:
    """CPU and wall seconds of whole processes, run in turn after one round that is not counted."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}
    cpu: dict[str, list[float]] = {name: [] for name in commands}
    wall: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(1 + repetitions):
        for name, command in commands.items():
            start = time.perf_counter()
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError(f"{name}: exit status {process.returncode}")
            if turn:
                cpu[name].append(usage.ru_utime + usage.ru_stime)
                wall[name].append(time.perf_counter() - start)
    return {name: {"cpu": Spread.of(cpu[name]), "wall": Spread.of(wall[name])} for name in commands}


def measure_load(folder: Path, repetitions: int) -> dict[str, Any]:
    """Loading, loading and touching every weight, and reading the weight files, in turn; all from the system's cache.

    safetensors maps the file into memory: weights that nobody touched were not read.
    """
    files = sorted(folder.glob("*.safetensors"))

    def load() -> FavorForConditionalGeneration:
        return FavorForConditionalGeneration.from_pretrained(folder)

    def load_and_touch() -> list[torch.Tensor]:
        return [parameter.detach().sum() for parameter in load().parameters()]

    timings = time_in_turn(
        {"load": load, "touch": load_and_touch, "read": lambda: [file.read_bytes() for file in files]},
        repetitions,
        compared="touch",
    )
    return {"bytes": sum(file.stat().st_size for file in files), **timings}


def first_token_table(results: dict[str, Any]) -> str:
    total = results["all stages"]["cpu"].median
    rows = [
        [name, found["cpu"].text(1000), found["wall"].text(1000), f"{100 * found['cpu'].median / total:.0f} %"]
        for name, found in results.items()
    ]
    return markdown(["stage", "CPU ms", "wall ms", "of all stages"], rows)


def start_table(results: dict[str, Any]) -> str:
    processes = results["processes"]
    rows = [[name, found["cpu"].text(1, 2), found["wall"].text(1, 2)] for name, found in processes.items()]
    ratio = (
        processes["import favor.modeling_favor"]["cpu"].median / processes["what it imports of others"]["cpu"].median
    )
    text = markdown(["process", "CPU s", "wall s"], rows)
    text += f"\n\n`import favor.modeling_favor` takes {ratio:.2f} times the CPU time of what it imports of others.\n\n"
    rows = [
        [name, f"{found['bytes'] / 1e6:,.0f} MB"]
        + [found[way].cpu.text(1000) for way in ("load", "touch", "read")]
        + [found["read"].ratio.text(1, 1)]
        for name, found in results["loads"].items()
    ]
    head = ["model", "weights", "`from_pretrained`, CPU ms", "and every weight touched", "reading the file", "ratio"]
    return text + markdown(head, rows)
