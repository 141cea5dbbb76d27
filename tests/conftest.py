# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What tests of several folders share: a tiny random model, its exported folder, and small media files.

Nothing is downloaded. `tiny_model_dir` takes a few seconds, once a session; everything in it comes from a fixed seed.
"""

import logging
import os
import re
import tempfile

_hub_folder = tempfile.TemporaryDirectory(prefix="favor-tests-")  # for copies of remote code; removed at exit
os.environ["HF_HOME"] = _hub_folder.name
os.environ["FAVOR_CACHE"] = os.path.join(_hub_folder.name, "favor")  # not the user's
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile("favor", deadline=None)  # the machine may be busy: no test asserts by a timer
hypothesis.settings.load_profile("favor")


class AnnouncedRemovals(logging.Handler):
    """Makes an error of what transformers says by its logger about names that a release will take away."""

    WORDS = re.compile(r"deprecated|will be removed|no longer be supported", re.IGNORECASE)
    # transformers calls itself so: assisted decoding gives `use_cache` beside a config, Whisper its `suppress_tokens`.
    ITS_OWN = re.compile(
        r"Passing `generation_config` together with generation-related arguments=.*'(use_cache|begin_suppress_tokens)'"
    )

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.WARNING and self.WORDS.search(message) and not self.ITS_OWN.match(message):
            raise FutureWarning(message)


logging.getLogger("transformers").addHandler(AnnouncedRemovals())

REPOSITORY = Path(__file__).parent.parent
FRAME_RATE = 8  # Hz, of the rendered clips
SAMPLING_RATE = 16000  # Hz


@pytest.fixture
def one_thread():
    """Sums in the order of a process with one thread; with more, two runs need not agree bit by bit."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_parts():
    """A random model, as small as favor-tiny's recipe can be made, and its processor. Do not change them."""
    from favor.trainers.from_scratch.scratch_model import build_from_scratch
    from favor.trainers.recipe_sections import ScratchModel

    texts = ["What colour is the shape while the bell sounds?", "Which sound is heard first?", "red green blue beep"]
    model, processor = build_from_scratch(ScratchModel(**tiny_settings()), texts, seed=0)
    return model.eval(), processor


@pytest.fixture(scope="session")
def tiny_model_dir(tiny_parts, tmp_path_factory) -> Path:
    """The tiny model in the layout of the Hub, code included. Do not write to it."""
    from favor.hub_upload import export_model

    model, processor = tiny_parts
    return export_model(model, tmp_path_factory.mktemp("models") / "favor-random", processor=processor)


@pytest.fixture(scope="session")
def media_dir(tmp_path_factory) -> Path:
    """clip.mp4 (3 s), long_clip.mp4 (6 s), silent.mp4 (no sound), photo.png and sound.wav."""
    folder = tmp_path_factory.mktemp("media")
    write_media(folder)
    return folder


def tiny_settings() -> dict:
    """The `from_scratch` section of favor-tiny's recipe with fewer and narrower layers."""
    return {
        "vocab_size": 400,
        "qformer_vocab_size": 200,
        "max_new_tokens": 8,
        "feature_extractor": {"feature_size": 20, "hop_length": 400, "n_fft": 512, "chunk_length": 5},
        "config": {
            "frame_rate": 2.0,
            "audio_encoder_rate": 20.0,
            "num_visual_query_tokens": 4,
            "initializer_range": 0.5,  # large here and below: a random model's answers must depend on what it is given
            "vision_config": {
                "model_type": "instructblip_vision_model",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "image_size": 32,
                "patch_size": 8,
                "initializer_range": 0.1,  # its default, 1e-10, makes a random tower blind
            },
            "qformer_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "cross_attention_frequency": 1,
                "max_position_embeddings": 64,
                "initializer_range": 0.1,
            },
            "audio_config": {
                "model_type": "whisper",
                "d_model": 32,
                "encoder_layers": 2,
                "encoder_attention_heads": 4,
                "encoder_ffn_dim": 64,
                "decoder_layers": 1,
                "decoder_attention_heads": 4,
                "decoder_ffn_dim": 64,
                "num_mel_bins": 20,
                "max_source_positions": 100,
                "init_std": 0.1,
            },
            "connector_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_attention_heads": 4,
                "num_query_tokens": 4,
                "window_frames": 4,
                "max_position_embeddings": 128,
                "initializer_range": 0.3,
            },
            "text_config": {
                "model_type": "llama",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "max_position_embeddings": 512,
                "initializer_range": 0.3,
            },
        },
    }


def write_media(folder: Path) -> None:
    """Writes the files of `media_dir` to `folder`."""
    from favor.worlds.video_file import write_picture, write_sound, write_video

    write_video(folder / "clip.mp4", frames(3.0), FRAME_RATE, tone(3.0), SAMPLING_RATE)
    write_video(folder / "long_clip.mp4", frames(6.0), FRAME_RATE, tone(6.0, pitch=300), SAMPLING_RATE)
    write_video(folder / "silent.mp4", frames(2.0), FRAME_RATE, np.zeros(0, np.float32), SAMPLING_RATE)
    write_picture(folder / "photo.png", frames(1.0)[0])
    write_sound(folder / "sound.wav", tone(2.5, pitch=900), SAMPLING_RATE)


def frames(seconds: float) -> np.ndarray:
    """(frames, 48, 64, 3) uint8: another colour every half second, and a bright square that moves."""
    count = round(seconds * FRAME_RATE)
    pictures = np.zeros((count, 48, 64, 3), np.uint8)
    for number, picture in enumerate(pictures):
        picture[..., number // (FRAME_RATE // 2) % 3] = 180
        picture[8:24, number : number + 16] = 250
    return pictures


def tone(seconds: float, pitch: float = 600.0) -> np.ndarray:
    """(samples,) float32: a tone that starts after a third of the time."""
    time = np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    return (0.4 * np.sin(2 * np.pi * pitch * time) * (time > seconds / 3)).astype(np.float32)
