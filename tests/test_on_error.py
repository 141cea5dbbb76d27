# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Damaged files: refused by every entry point, and read by every one that is told to take what can be decoded."""

import json
import warnings
from contextlib import suppress
from pathlib import Path

import av
import pytest

from favor.cli import main
from favor.evaluation.baselines import ChatAnswerer, InstructBlipAnswerer, WhisperAnswerer, load_baseline
from favor.evaluation.sample import EvalSample
from favor.evaluation.systems import SystemUnderTest
from favor.modeling_favor import VideoTextToTextPipeline
from favor.processing import FavorProcessor
from favor.serving import ChatEngine
from favor.serving.page.perception import perceive
from favor.trainers import FavorDataCollator
from favor.trainers.recipe import read_recipe

QUESTION = "Which sound is heard first?"


@pytest.fixture(scope="module")
def damaged(media_dir, tmp_path_factory) -> dict[str, str]:
    """A truncated video and a truncated sound."""
    folder = tmp_path_factory.mktemp("damaged")
    with av.open(str(media_dir / "clip.mp4")) as whole, av.open(str(folder / "whole.mkv"), "w") as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
    files = {"video": folder / "cut.mkv", "audio": folder / "cut.wav"}
    for file, source in ((files["video"], folder / "whole.mkv"), (files["audio"], media_dir / "sound.wav")):
        data = source.read_bytes()
        file.write_bytes(data[: len(data) * 6 // 10])
    return {kind: str(file) for kind, file in files.items()}


@pytest.fixture(scope="module")
def read(tiny_parts, tiny_model_dir, tmp_path_factory):
    """Entry points, each a function of the kind, the file and `on_error`."""
    model, _ = tiny_parts

    def processor_of(on_error: str | None) -> FavorProcessor:
        processor = FavorProcessor.from_pretrained(tiny_model_dir)
        processor.media_options = {} if on_error is None else {"on_error": on_error}
        return processor

    def told(on_error: str | None) -> dict[str, str]:
        return {} if on_error is None else {"on_error": on_error}

    def pipe(on_error: str | None = None) -> VideoTextToTextPipeline:
        return VideoTextToTextPipeline(model=model, processor=processor_of(on_error), device="cpu", max_new_tokens=1)

    def chat(kind: str, file: str) -> list[dict]:
        return [{"role": "user", "content": [{"type": kind, "path": file}, {"type": "text", "text": QUESTION}]}]

    def collate(kind: str, file: str, on_error: str | None) -> None:
        messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "bell"}]
        FavorDataCollator(processor_of(on_error), max_length=None)([{"messages": messages, kind: file}])

    def serve(kind: str, file: str, on_error: str | None) -> None:
        with ChatEngine(pipe(on_error)) as engine:
            list(engine.ask(chat(kind, file)))

    def ask(kind: str, file: str, on_error: str | None) -> None:
        option = [] if on_error is None else ["--on-error", on_error]
        command = ["ask", file, QUESTION, "--model", str(tiny_model_dir), "--max-new-tokens", "1", *option]
        if main(command):
            raise ValueError("status 2")

    def evaluate(kind: str, file: str, on_error: str | None) -> None:
        line = {"id": "1", "question": QUESTION, "references": ["bell"], "media": {kind: Path(file).name}}
        folder = tmp_path_factory.mktemp("eval")
        (folder / "own.jsonl").write_text(json.dumps(line) + "\n")
        option = [] if on_error is None else ["--on-error", on_error]
        files = ["--annotations", str(folder / "own.jsonl"), "--media-root", str(Path(file).parent)]
        files += ["--out", str(folder / "out")]
        command = ["eval", "--model", str(tiny_model_dir), "--generate", "max_new_tokens=1", *files, *option]
        if main(command):
            raise ValueError("status 2")
        stated = json.loads((folder / "out" / "settings.json").read_text())
        assert stated.get("on_error") == on_error

    return {
        "processor": lambda kind, file, on_error: processor_of(None)(
            text=f"<{kind}>", **{{"video": "videos"}.get(kind, kind): file}, **told(on_error)
        ),
        "chat": lambda kind, file, on_error: processor_of(None).apply_chat_template(
            chat(kind, file), tokenize=True, processor_kwargs=told(on_error)
        ),
        "pipeline": lambda kind, file, on_error: pipe()(**{kind: file}, text=QUESTION, **told(on_error)),
        "file first": lambda kind, file, on_error: pipe()(file, text=QUESTION, **told(on_error)),
        "made so": lambda kind, file, on_error: pipe(on_error)(file, text=QUESTION),
        "trainer": collate,
        "server": serve,
        "page": lambda kind, file, on_error: perceive(processor_of(on_error), Path(file)),
        "favor ask": ask,
        "favor eval": evaluate,
    }


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize(
    "entry",
    [
        "processor",
        "chat",
        "pipeline",
        "file first",
        "made so",
        "trainer",
        "server",
        "page",
        "favor ask",
        "favor eval",
    ],
)
def test_damage_is_refused_or_warned_about(read, damaged, entry, kind):
    for on_error in (None, "raise"):
        with pytest.raises(ValueError, match="truncated|status 2"):
            read[entry](kind, damaged[kind], on_error)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read[entry](kind, damaged[kind], "warn")
    assert any("truncated" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("system", ["whisper", "instructblip", "chat"])
def test_baselines_read_damaged_files_if_they_are_told_to(damaged, system, monkeypatch):
    monkeypatch.setattr(WhisperAnswerer, "from_pretrained", lambda model: WhisperAnswerer.__new__(WhisperAnswerer))
    monkeypatch.setattr(
        InstructBlipAnswerer, "from_pretrained", lambda model: InstructBlipAnswerer.__new__(InstructBlipAnswerer)
    )
    monkeypatch.setattr(ChatAnswerer, "from_pretrained", lambda model: ChatAnswerer.__new__(ChatAnswerer))
    kind = "audio" if system == "whisper" else "video"
    sample = EvalSample("1", [{"role": "user", "content": QUESTION}], {kind: damaged[kind]}, ["bell"])
    answerers = {
        told: load_baseline(SystemUnderTest(system, "model", on_error=told)) for told in (None, "raise", "warn")
    }
    for told, answerer in answerers.items():
        error = pytest.raises(ValueError, match="truncated") if told != "warn" else pytest.warns(match="truncated")
        with error, suppress(AttributeError):  # the media are read before the model, which is not there, is asked
            answerer.answer([sample], {})


@pytest.mark.parametrize("system, options", [("text-only", {"model": "m"}), ("constant", {"answer": "a"})])
def test_what_reads_no_media_refuses_the_option(system, options):
    with pytest.raises(ValueError, match="--on-error warn has no effect: --system .* reads no media"):
        SystemUnderTest(system, **options, on_error="warn")


def test_a_recipe_is_told_on_the_command_line(tmp_path):
    (tmp_path / "data.jsonl").write_text("{}")
    text = f"model: favor-tiny\noutput_dir: {tmp_path}/out\ntrain_data: [{{path: {tmp_path}/data.jsonl}}]\n"
    (tmp_path / "recipe.yaml").write_text(text)
    recipe = read_recipe(tmp_path / "recipe.yaml", {"media_options.on_error": "warn"})
    assert recipe.media_options == {"on_error": "warn"}
