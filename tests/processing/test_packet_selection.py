# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Decoding only what is shown: the pictures are those of a full decode, and fewer packets are decoded for them."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

import favor.processing.media_favor as media_favor
import favor.processing.stream_cursor_favor as stream_cursor_favor
from benchmarks.media_fuzz import at_normal_priority
from favor.processing import load_media
from favor.processing.packet_selection_favor import (
    DECODE,
    DROP,
    SKIP_UNREFERENCED,
    PacketSelection,
    UntrustedTimestamps,
)
from favor.processing.picture_track_favor import TimeGrid

QUIET = "log-level=none"
ENCODERS = [
    ("matroska", "libx264", {"bf": "3", "g": "24", "preset": "fast"}),
    ("matroska", "libx264", {"bf": "3", "g": "24", "preset": "fast", "x264-params": "open-gop=1:keyint-min=8"}),
    ("matroska", "libx264", {"g": "250", "bf": "5", "preset": "fast", "x264-params": "b-pyramid=strict"}),
    ("mpegts", "libx264", {"bf": "3", "g": "24", "preset": "fast"}),
    ("mpegts", "libx264", {"g": "24", "x264-params": "intra-refresh=1"}),
    ("mpegts", "libx264", {"g": "24", "bf": "2", "flags": "+ildct+ilme", "x264-params": "tff=1"}),
    ("matroska", "libx265", {"preset": "ultrafast", "x265-params": f"{QUIET}:keyint=24:bframes=4:b-pyramid=1"}),
    ("matroska", "libx265", {"preset": "ultrafast", "x265-params": f"{QUIET}:keyint=24:open-gop=1:bframes=3"}),
    ("mpegts", "libx265", {"preset": "ultrafast", "x265-params": f"{QUIET}:keyint=24:temporal-layers=3:bframes=3"}),
    ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "24"}),
    ("webm", "libvpx-vp9", {"deadline": "good", "cpu-used": "5", "lag-in-frames": "16", "auto-alt-ref": "1"}),
    ("webm", "libvpx", {"deadline": "good", "cpu-used": "5", "lag-in-frames": "16", "auto-alt-ref": "1"}),
    ("matroska", "libsvtav1", {"preset": "12", "g": "24"}),
    ("matroska", "mpeg4", {"bf": "2", "g": "24"}),
    ("mpegts", "mpeg2video", {"bf": "2", "g": "12"}),
    ("mpeg", "mpeg2video", {"bf": "2", "g": "12"}),
    ("matroska", "mjpeg", {}),
    ("avi", "libx264", {"bf": "3", "g": "24"}),
]  # fmt: skip


@at_normal_priority()
def encode(container_format, codec, options, count=150, rate=25):
    file, random = io.BytesIO(), np.random.default_rng(3)
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.options = 64, 48, options
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            picture = np.add.outer(np.arange(48) * 3, np.arange(64) * 2) + number * 5
            picture = (picture % 200 + random.integers(0, 30, (48, 64))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, -1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    return file.getvalue()


class Everything(PacketSelection):
    """Chooses nothing: every packet is decoded."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.stop_choosing()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: "-".join([*encoder[:2], *list(encoder[2])[-1:]]))
def test_pictures_are_those_of_a_full_decode(monkeypatch, encoder):
    data = encode(*encoder)
    options = [{}, {"fps": 0.5}, {"fps": 12.5}, {"start": 4.6, "end": 5.3}, {"start": 1.0}, {"num_frames": 3}]
    chosen = [load_media(data, **arguments) for arguments in options]
    monkeypatch.setattr(stream_cursor_favor, "PacketSelection", Everything)
    for arguments, clip in zip(options, chosen, strict=True):
        full = load_media(data, **arguments)
        np.testing.assert_array_equal(clip.frames, full.frames)
        assert clip.duration == full.duration


@pytest.mark.parametrize("encoder", [ENCODERS[0], ENCODERS[3], ENCODERS[6], ENCODERS[9], ENCODERS[12], ENCODERS[16]])
def test_fewer_pictures_are_decoded_in_one_pass(monkeypatch, encoder):
    passes, efforts = [], []

    class Counting(PacketSelection):
        def choose(self, packets):
            passes.append(self)
            for packet, effort in super().choose(packets):
                efforts.append(effort)
                yield packet, effort

    monkeypatch.setattr(stream_cursor_favor, "PacketSelection", Counting)
    load_media(encode(*encoder), fps=1.0)
    assert len(passes) == 1 and passes[0].trusted
    assert efforts.count(DECODE) < len(efforts) / 2 or encoder[1] in ("libvpx-vp9", "libsvtav1")
    assert efforts.count(DROP) > 5
    assert (SKIP_UNREFERENCED in efforts) == (encoder[1] in ("libx264", "libx265"))


def test_timestamps_that_lie_lead_to_a_full_decode(monkeypatch):
    data = encode(*ENCODERS[0])
    full = load_media(data)

    class Lying(PacketSelection):
        def check(self, frame):
            if frame.time > 3.0:
                raise UntrustedTimestamps
            super().check(frame)

    original = media_favor._Decoding
    passes = []

    def counted(*arguments):
        passes.append(arguments[-1])
        monkeypatch.setattr(stream_cursor_favor, "PacketSelection", Lying if arguments[-1] else PacketSelection)
        return original(*arguments)

    monkeypatch.setattr(media_favor, "_Decoding", counted)
    pieces = list(media_favor.iterate_media(data, chunk_seconds=1.0))
    assert passes == [True, False]
    np.testing.assert_array_equal(np.concatenate([piece.frames for piece in pieces]), full.frames)


def test_time_grid():
    grid, uneven = TimeGrid(2.0), TimeGrid(2.0, np.array([0.0, 0.7, 3.0]))
    assert [grid.hits(*span) for span in ((0.1, 0.5), (0.1, 0.6), (0.5, 0.51), (-3.0, 0.0), (-1.0, 0.1))] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert [uneven.hits(*span) for span in ((0.1, 0.7), (0.6, 0.8), (3.1, 9.0))] == [False, True, False]
    assert [grid.before(0.0), grid.before(0.5), grid.before(0.6)] == [0, 1, 2]
    assert [uneven.before(0.7), uneven.before(0.8), uneven.before(9)] == [1, 2, 3]
    assert uneven.time(3) == np.inf
