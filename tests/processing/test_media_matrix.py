# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Containers, codecs and odd timelines: a flash and a beep land in the same half second, and every picture is the one
that a plain decode of the whole file shows."""

import io
import os
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.media_fuzz import at_normal_priority
from favor.processing import load_media

SECONDS = 4.5
STEP = 0.5


@dataclass(frozen=True)
class Case:
    """One generated file: its format, and what is odd about its timeline."""

    name: str
    container: str
    video: str | None = "libx264"
    audio: str | None = "aac"
    rate: int = 48000
    layout: str = "stereo"
    fps: float = 25
    size: tuple[int, int] = (48, 64)
    pixels: str = "yuv420p"
    video_start: float = 0.0
    audio_start: float = 0.0
    jitter: bool = False
    gap: bool = False
    rotation: int = 0
    muxer: dict = field(default_factory=dict)
    encoder: dict = field(default_factory=dict)


HEVC = {"preset": "ultrafast", "x265-params": "log-level=none"}
FAST_VPX = {"deadline": "realtime", "cpu-used": "8"}
B_FRAMES = {"bf": "3", "g": "30", "preset": "fast"}
FIXED_RATE_CODECS = ("mpeg4", "mpeg2video", "mpeg1video", "prores_ks")
CASES = [
    Case("mp4-h264-aac", "mp4", encoder=B_FRAMES),
    Case("mp4-h264-mono-8k", "mp4", rate=8000, layout="mono"),
    Case("mp4-h264-5.1", "mp4", layout="5.1"),
    Case("mp4-h264-mp3", "mp4", audio="libmp3lame", rate=44100),
    Case("mp4-h264-opus", "mp4", audio="libopus"),
    Case("mp4-h264-alac", "mp4", audio="alac", rate=44100),
    Case("mp4-hevc-aac", "mp4", "libx265", encoder=HEVC | {"x265-params": "log-level=none:bframes=3"}),
    Case("mp4-hevc-10-bit", "mp4", "libx265", pixels="yuv420p10le", encoder=HEVC),
    Case("mp4-mpeg4-aac", "mp4", "mpeg4", encoder={"bf": "2"}),
    Case("mp4-av1-opus", "mp4", "libsvtav1", "libopus", fps=10, encoder={"preset": "12"}),
    Case("mp4-h264-10-bit", "mp4", pixels="yuv420p10le", encoder=B_FRAMES),
    Case("mp4-h264-odd-444", "mp4", pixels="yuv444p", size=(51, 67)),
    Case("mp4-h264-portrait", "mp4", size=(96, 40)),
    Case("mp4-late-audio", "mp4", audio_start=0.7, encoder=B_FRAMES),
    Case("mp4-late-video", "mp4", video_start=0.8, encoder=B_FRAMES),
    Case("mp4-variable-rate", "mp4", jitter=True, encoder=B_FRAMES),
    Case("mp4-audio-gap", "mp4", gap=True),
    Case("mp4-rotated", "mp4", rotation=90, size=(40, 64)),
    Case("mp4-fragmented", "mp4", muxer={"movflags": "frag_keyframe+empty_moov"}, encoder=B_FRAMES),
    Case("mp4-no-edit-list", "mp4", muxer={"use_editlist": "0"}, encoder=B_FRAMES),
    Case("mp4-ntsc", "mp4", fps=30000 / 1001, encoder=B_FRAMES),
    Case("mp4-two-a-second", "mp4", fps=2),
    Case("mov-prores-pcm", "mov", "prores_ks", "pcm_s16le", pixels="yuv422p10le", fps=10),
    Case("mov-mjpeg-pcm24", "mov", "mjpeg", "pcm_s24le", pixels="yuvj420p", rate=96000),
    Case("mov-h264-late-audio", "mov", audio_start=1.1, encoder=B_FRAMES),
    Case("mkv-h264-flac", "mkv", audio="flac", rate=192000, encoder=B_FRAMES),
    Case("mkv-hevc-ac3-5.1", "mkv", "libx265", "ac3", layout="5.1", encoder=HEVC),
    Case("mkv-vp8-pcm", "mkv", "libvpx", "pcm_s16le", rate=11025, layout="mono", encoder=FAST_VPX),
    Case("mkv-mpeg2-mp2", "mkv", "mpeg2video", "mp2", encoder={"bf": "2"}),
    Case("mkv-variable-rate-gap", "mkv", jitter=True, gap=True, audio="pcm_f32le", encoder=B_FRAMES),
    Case("mkv-late-video-opus", "mkv", audio="libopus", video_start=1.3, encoder=B_FRAMES),
    Case("mkv-open-gop", "mkv", encoder={"bf": "3", "g": "12", "x264-params": "open-gop=1"}),
    Case("mkv-intra-refresh", "mkv", encoder={"g": "25", "x264-params": "intra-refresh=1:bframes=0"}),
    Case("webm-vp9-opus", "webm", "libvpx-vp9", "libopus", encoder=FAST_VPX | {"g": "40"}),
    Case("webm-vp8-late-audio", "webm", "libvpx", "libopus", audio_start=0.6, encoder=FAST_VPX),
    Case("webm-av1-opus", "webm", "libsvtav1", "libopus", fps=10, encoder={"preset": "12"}),
    Case("ts-h264-aac", "ts", encoder=B_FRAMES),
    Case("ts-hevc-mp3", "ts", "libx265", "libmp3lame", encoder=HEVC),
    Case("ts-mpeg2-ac3", "ts", "mpeg2video", "ac3", encoder={"bf": "2"}),
    Case("ts-late-audio", "ts", audio_start=0.9, encoder=B_FRAMES),
    Case("ts-intra-refresh", "ts", encoder={"g": "25", "x264-params": "intra-refresh=1:bframes=0"}),
    Case("ts-open-gop", "ts", encoder={"bf": "3", "g": "12", "x264-params": "open-gop=1"}),
    Case("avi-mpeg4-mp3", "avi", "mpeg4", "libmp3lame", rate=44100),
    Case("avi-h264-b-frames", "avi", audio="pcm_s16le", encoder=B_FRAMES),
    Case("avi-mjpeg-pcm", "avi", "mjpeg", "pcm_s16le", pixels="yuvj420p", rate=8000, layout="mono"),
    Case("flv-h264-aac", "flv", rate=44100, encoder=B_FRAMES),
    Case("mpg-mpeg1-mp2", "mpg", "mpeg1video", "mp2", rate=44100, encoder={"bf": "2"}),
    Case("asf-wmv2-wma", "asf", "wmv2", "wmav2", rate=44100),
    Case("gif", "gif", "gif", None, pixels="rgb8", fps=10),
    Case("mp4-without-sound", "mp4", audio=None, encoder=B_FRAMES),
    Case("wav-pcm24", "wav", None, "pcm_s24le", rate=96000),
    Case("flac-192k", "flac", None, "flac", rate=192000),
    Case("mp3-22k", "mp3", None, "libmp3lame", rate=22050, layout="mono"),
    Case("ogg-opus", "ogg", None, "libopus"),
    Case("m4a-aac-5.1", "mp4", None, "aac", layout="5.1"),
]  # fmt: skip


def event_steps(case: Case) -> list[int]:
    """Two time steps, chosen at random, in which the flash and the beep are; the streams are there by then."""
    random = np.random.default_rng(sum(map(ord, case.name)))
    return sorted(int(step) for step in random.choice([3, 5, 7], 2, replace=False))


@at_normal_priority()
def write(case: Case) -> bytes:
    """The file: white around the beginning of each event's step, and a tone within it."""
    file, events = io.BytesIO(), event_steps(case)
    suffix = {"mkv": "matroska", "ts": "mpegts", "mpg": "mpeg"}.get(case.container, case.container)
    with av.open(file, "w", format=suffix, options=case.muxer) as container:
        timed = []
        if case.video is not None:
            timed += video_frames(container, case, events)
        if case.audio is not None:
            timed += audio_frames(container, case, events)
        for _, stream, frame in sorted(timed, key=lambda entry: entry[0]):
            container.mux(stream.encode(frame))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return file.getvalue()


def video_frames(container, case, events):
    stream = container.add_stream(case.video, rate=Fraction(case.fps).limit_denominator(1001))
    stream.height, stream.width, stream.pix_fmt = *case.size, case.pixels
    fixed_rate = case.container in ("avi", "mpg", "gif") or case.video in FIXED_RATE_CODECS
    time_base = 1 / Fraction(case.fps).limit_denominator(1001) if fixed_rate else Fraction(1, 90000)
    stream.codec_context.time_base = time_base
    stream.options = case.encoder
    if case.rotation:
        stream.set_display_rotation(case.rotation)
    times = np.arange(case.video_start, SECONDS, 1 / case.fps)
    if case.jitter:
        random = np.random.default_rng(7)
        times = np.sort(times + random.uniform(0, 0.6 / case.fps, len(times)))[random.random(len(times)) > 0.3]
    rows, columns = np.mgrid[: case.size[0], : case.size[1]]
    for number, time in enumerate(times):
        lit = any(-0.12 <= time - step * STEP < 0.2 for step in events)
        texture = (rows * 3 + columns * 2 + number * 5) % 60
        picture = np.repeat((texture + (190 if lit else 0)).astype(np.uint8)[..., None], 3, axis=-1)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=case.pixels)
        frame.pts, frame.time_base = round(time / time_base), time_base
        yield time, stream, frame


def audio_frames(container, case, events):
    stream = container.add_stream(case.audio, rate=case.rate, layout=case.layout)
    stream.codec_context.bit_rate = 128000 if case.rate > 32000 else 32000
    sample_format = stream.codec_context.format.name
    times = np.arange(round(SECONDS * case.rate)) / case.rate
    sound = 0.5 * np.sin(2 * np.pi * 880 * times) * any_between(times, events, 0.1, 0.4)
    graph = av.AudioResampler(format=sample_format, layout=case.layout, rate=case.rate)
    size = stream.codec_context.frame_size or 1024
    for first in range(round(case.audio_start * case.rate), len(sound), 1024):
        if case.gap and 1.05 < times[first] < 1.35:
            continue
        mono = sound[None, first : first + 1024].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono), "flt", "mono")
        frame.sample_rate, frame.time_base, frame.pts = case.rate, Fraction(1, case.rate), first
        for converted in graph.resample(frame):
            yield times[first] + size * 1e-9, stream, converted


def any_between(times, events, begin, end):
    return np.any([(times >= step * STEP + begin) & (times < step * STEP + end) for step in events], axis=0)


def plain_decode(data: bytes, duration: float, size: tuple[int, int], fps: float) -> np.ndarray:
    """The reference: every picture decoded, the last one not after each time, resized."""
    first_sound = None
    with av.open(io.BytesIO(data)) as container:
        if container.streams.audio:
            first_sound = next(frame.time for frame in container.decode(audio=0) if frame.pts is not None)
    with av.open(io.BytesIO(data)) as container:
        pictures = [(frame.time, frame) for frame in container.decode(video=0)]
        format_name = container.format.name
    if format_name == "avi":  # which stores no presentation times: the decoder's order tells them
        pictures = list(zip(sorted(time for time, _ in pictures), (frame for _, frame in pictures), strict=True))
    first = pictures[0][0]
    origin = first if first_sound is None or first - first_sound < 0.1 else first_sound
    shown = []
    for number in range(max(1, int(np.ceil(duration * fps - 1e-6)))):
        past = [frame for time, frame in pictures if not number / fps < time - origin - 0.002]
        frame = past[-1] if past else pictures[0][1]
        pixels = np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90) % 4).copy()
        pixels = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        shown.append(F.interpolate(pixels, size=size, mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy())
    return np.stack(shown)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_flash_and_beep_share_a_step_and_pictures_are_those_of_a_plain_decode(case):
    data, events, size = write(case), event_steps(case), (28, 28)
    clip = load_media(data, size=size)
    assert clip.duration == pytest.approx(SECONDS, abs=0.15 if case.fps > 2 else 0.6)
    if case.video is None:
        assert clip.frames is None
    else:
        bright = clip.frames.reshape(len(clip.frames), -1).mean(axis=1)
        assert np.flatnonzero(bright > 140).tolist() == events
        for fps in (2.0, 5.0):
            frames = load_media(data, size=size, fps=fps, with_audio=False).frames
            np.testing.assert_array_equal(frames, plain_decode(data, len(frames) / fps, size, fps))
    if case.audio is None:
        assert clip.audio is None
    else:
        steps = [clip.audio[start : start + 8000] for start in range(0, len(clip.audio), 8000)]
        loud = [number for number, step in enumerate(steps) if np.sqrt(np.mean(step**2)) > 0.05]
        assert loud == events
        onset = np.flatnonzero(np.abs(clip.audio) > 0.1)[0] / 16000
        assert onset == pytest.approx(events[0] * STEP + 0.1, abs=0.07)


def test_writing_av1_leaves_all_threads_at_their_priority():
    """Its encoder asks for real-time priority 99 where it may: tests after it then kept a core from all else."""
    write(next(case for case in CASES if case.video == "libsvtav1"))
    policies = {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}
    assert policies == {os.SCHED_OTHER}
