# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs the Python of docs/media.md from top to bottom."""

import numpy as np

from favor.model_loading import bundled_model_path
from favor.worlds.video_file import write_video

from .test_readme import BLOCK, README

PAGE = README.parent / "docs" / "media.md"


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "favor-tiny").symlink_to(bundled_model_path())
    frames = np.zeros((41 * 4, 64, 64, 3), np.uint8)
    frames[::8] = 200
    sound = np.sin(np.arange(41 * 16000) / 8).astype(np.float32)
    write_video(tmp_path / "clip.mp4", frames, 4, sound, 16000)
    (tmp_path / "film.mkv").symlink_to(tmp_path / "clip.mp4")
    names: dict = {}
    blocks = [
        match["code"] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8")) if match["language"] == "python"
    ]
    for code in blocks:
        exec(compile(code, str(PAGE), "exec"), names)
    clip = names["clip"]
    assert clip.frames.shape == (60, 224, 224, 3)
    assert (len(clip.frame_times), len(clip.audio), clip.duration) == (60, 480000, 30.0)
    np.testing.assert_array_equal(names["same"].frames, clip.frames)
    assert len(blocks) == 3
    assert capsys.readouterr().out.strip()
