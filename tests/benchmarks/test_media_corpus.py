# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The comparison of a folder with FFmpeg: what needs no FFmpeg."""

from dataclasses import asdict

import numpy as np
from PIL import Image

from benchmarks.media_corpus import aligned_error, compare_file, files_under, table


def test_each_file_has_an_outcome(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.txt").write_text("no media")
    (tmp_path / "c.wav").write_bytes(b"")
    outcomes = [compare_file(path, ffmpeg=False) for path in sorted(files_under(tmp_path))]
    assert [outcome.read for outcome in outcomes] == ["still", "MediaError", "MediaError"]
    outcomes[1].notes.append("picture 9.0 levels")
    text = table(outcomes, tmp_path)
    assert "3 files, 0 compared" in text and "| b.txt | MediaError | picture 9.0 levels |" in text
    assert set(asdict(outcomes[0])) >= {"path", "read", "picture", "sound", "notes"}


def test_delay_is_no_difference():
    sound = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert aligned_error(np.r_[np.zeros(500, np.float32), sound], sound) < 1e-3
    assert aligned_error(sound, np.r_[np.zeros(700, np.float32), sound]) < 1e-3
    assert aligned_error(-sound, sound) > 1.0
