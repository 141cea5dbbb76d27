# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Files and sources as people have them: headers of streams, joined recordings, jitter, names, what is no media."""

import base64
import io
import os
import struct
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from favor.processing import DamagedMediaError, MediaError, load_media
from favor.processing.clock_breaks_favor import PacketTimes, find_breaks
from favor.processing.media_limits_favor import DamageReport, MediaLimits
from favor.processing.media_sources_favor import resample_audio
from favor.processing.sound_track_favor import SoundTrack, check_samples

RATE = 16000


def encoded_sound(suffix, codec, samples, rate=RATE, sample_format=None):
    """Mono samples in [-1, 1] as a file's bytes."""
    file = io.BytesIO()
    with av.open(file, "w", format=suffix) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        if sample_format is not None:
            stream.format = sample_format
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def shown(clip):
    """Each picture's brightness."""
    return clip.frames.reshape(len(clip.frames), -1).mean(axis=1)


# The clock


def part(write_media, path, gray, sound, level):
    """3 s of one gray and a tone."""
    codecs = {
        ".webm": ("libvpx", "libopus"),
        ".mpg": ("mpeg1video", "mp2"),
        ".flv": ("libx264", "aac"),
        ".mkv": ("mpeg4", "mp2"),
    }
    video, audio = codecs.get(path.suffix, ("libx264", "aac"))
    rate = {".webm": 48000, ".flv": 44100}.get(path.suffix, RATE)
    times = np.arange(75) / 25
    return write_media(
        path, gray([level] * 75), times, sound(3.0, rate), rate=rate, video_codec=video, audio_codec=audio
    ).read_bytes()


@pytest.mark.parametrize("suffix", ["ts", "mpg", "mkv", "webm"])
def test_joined_recordings_go_on(tmp_path, write_media, gray, tone, suffix):
    one, two = (part(write_media, tmp_path / f"{level}.{suffix}", gray, tone, level) for level in (200, 40))
    alone = load_media(one)
    clip = load_media(one + two)
    assert clip.duration == pytest.approx(2 * alone.duration, abs=0.1)
    bright = shown(clip) > 120
    assert bright[:6].all() and not bright[7:].any() and len(bright) in (12, 13)
    assert np.mean(clip.audio[RATE // 2 : -RATE // 2] == 0) < 0.05
    late = load_media(one + two, start=4.5, end=5.5)
    assert late.frames.shape[0] == 2 and (shown(late) < 120).all()
    assert np.sqrt(np.mean(late.audio**2)) > 0.2
    if suffix in ("ts", "mpg"):
        assert len(load_media((one + two) * 2).frames) in (24, 25, 26)
    else:
        with pytest.warns(UserWarning, match=r"joined of several recordings: what follows [56]\.\d+ s cannot be read"):
            load_media((one + two) * 2)


def test_what_cannot_be_read_of_joined_recordings_is_named(tmp_path, write_media, gray, tone):
    data = part(write_media, tmp_path / "a.flv", gray, tone, 90)
    with pytest.warns(UserWarning, match=r"joined of several recordings: what follows 2\.\d+ s cannot be read"):
        assert load_media(data * 2).duration == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    "suffix, codec", [("wav", "pcm_s16le"), ("aiff", "pcm_s16be"), ("w64", "pcm_s16le"), ("caf", "pcm_s16le")]
)
@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_sounds_of_which_only_the_first_can_be_read(tone, suffix, codec, seconds):
    data = encoded_sound(suffix, codec, tone(seconds), sample_format="s16")
    alone = load_media(data).audio
    with pytest.warns(
        UserWarning, match=rf"joined of several recordings: what follows {seconds:.2f} s cannot be read"
    ):
        joined = load_media(data + data)
    np.testing.assert_array_equal(joined.audio, alone)


@pytest.mark.parametrize("channels, seconds", [(1, 0.3), (1, 2.5), (6, 0.3)])
def test_joined_wavpack(channels, seconds):
    file = io.BytesIO()
    layout = {1: "mono", 6: "5.1"}[channels]
    with av.open(file, "w", format="wv") as container:
        stream = container.add_stream("wavpack", rate=RATE, layout=layout)
        count = round(seconds * RATE)
        samples = (np.sin(np.arange(count) / 9) * 9000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None].repeat(channels, 0), "s16p", layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = file.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = load_media(data).audio
    assert len(alone) == round(seconds * RATE)
    with pytest.warns(UserWarning, match="joined of several recordings"):
        np.testing.assert_array_equal(load_media(data * 2).audio, alone)


@pytest.mark.parametrize("suffix, codec", [("ogv", None), ("asf", "wmv2"), ("ivf", "libvpx")])
def test_films_of_which_only_the_first_can_be_read(tmp_path, write_media, gray, suffix, codec):
    """2 s at 25 Hz, first black, then white. PyAV cannot encode Theora, which leaves packets of repeats empty:

    ffmpeg -f lavfi -i "color=black:s=32x32:r=25:d=1" -f lavfi -i "color=white:s=32x32:r=25:d=1" -filter_complex
        "[0][1]concat=n=2" -c:v libtheora -q:v 5 -g 12 repeated_pictures.ogv
    """
    path = Path(__file__).with_name("fixtures") / "repeated_pictures.ogv"
    if codec is not None:
        pictures = gray([20] * 25 + [220] * 25)
        path = write_media(tmp_path / f"a.{suffix}", pictures, np.arange(50) / 25, video_codec=codec)
    data = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = load_media(data)
    assert alone.duration == pytest.approx(2.0, abs=0.1)
    assert (shown(alone) > 120).tolist() == [False, False, True, True]
    with pytest.warns(UserWarning, match=r"joined of several recordings: what follows [12]\.\d+ s cannot be read"):
        joined = load_media(data * 2)
    np.testing.assert_array_equal(joined.frames, alone.frames)


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof"])
def test_joined_fragmented_films(tmp_path, write_media, gray, tone, flags):
    path = write_media(tmp_path / "a.mp4", gray([200] * 60), np.arange(60) / 30, tone(2.0))
    file = io.BytesIO()
    with av.open(str(path)) as whole, av.open(file, "w", format="mp4", options={"movflags": flags}) as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
    alone = load_media(file.getvalue())
    with pytest.warns(UserWarning, match="only the first of 2 is read"):
        joined = load_media(file.getvalue() * 2)
    assert joined.duration == alone.duration
    np.testing.assert_array_equal(joined.frames, alone.frames)
    np.testing.assert_array_equal(joined.audio, alone.audio)


def test_a_jump_forward_is_no_time_of_nothing(tmp_path, write_media, gray, tone):
    one, two = (part(write_media, tmp_path / f"{level}.ts", gray, tone, level) for level in (200, 40))
    shifted = io.BytesIO()
    with av.open(io.BytesIO(two)) as container, av.open(shifted, "w", format="mpegts") as output:
        streams = {s.index: output.add_stream_from_template(s) for s in container.streams}
        for packet in container.demux():
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts + 90000 * 1000, packet.dts + 90000 * 1000
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    clip = load_media(one + shifted.getvalue())
    assert clip.duration == pytest.approx(6.0, abs=0.2)
    assert (shown(clip)[:6] > 120).all() and (shown(clip)[7:] < 120).all()


def stamps(*times, stream=0, first=0, place=0):
    return [PacketTimes(place + n, stream, first + n, time, time, 0.1) for n, time in enumerate(times)]


def test_breaks_of_the_clock():
    steady = [n / 10 for n in range(10)]
    assert find_breaks(stamps(*steady), None) == {}
    [(number, shift)] = find_breaks(stamps(*steady, *steady), None)[0]
    assert number == 10 and shift == pytest.approx(1.0)
    [(number, shift)] = find_breaks(stamps(*steady, *(time + 1000 for time in steady)), None)[0]
    assert number == 10 and shift == pytest.approx(-999.0)
    assert find_breaks(stamps(*steady[:5], 77.0, *steady[5:]), None) == {}  # one wrong stamp
    # The sound pauses for 20 s while pictures go on: no break.
    pictures = [PacketTimes(2 * n, 0, n, n / 10, n / 10, 0.1) for n in range(300)]
    sound = [PacketTimes(2 * n + 1, 1, n, n / 10, n / 10, 0.1) for n in [*range(50), *range(250, 300)]]
    packets = sorted([*pictures, *sound], key=lambda packet: packet.place)
    assert find_breaks(packets, 0) == {}
    # Both streams begin again: one shift for both, of the pictures.
    again = [
        PacketTimes(packet.place + 1000, packet.stream, packet.number + 300, packet.decoded, packet.shown, 0.1)
        for packet in packets
    ]
    shifts = find_breaks([*packets, *again], 0)
    assert shifts == {0: [(300, pytest.approx(30.0))], 1: [(300, pytest.approx(30.0))]}


def jittered(jitter, gap=0.0, seconds=4.0):
    """Opus in WebM: packets of 20 ms whose stamps are wrong by up to `jitter` s; a gap after 100 packets."""
    sound = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(48000 * seconds)) / 48000)
    plain, file = encoded_sound("webm", "libopus", sound, 48000), io.BytesIO()
    random, last = np.random.default_rng(0), -1
    with av.open(io.BytesIO(plain)) as container, av.open(file, "w", format="webm") as output:
        stream = output.add_stream_from_template(container.streams.audio[0])
        for number, packet in enumerate(container.demux()):
            if packet.dts is None:
                continue
            time = (
                float(packet.pts * packet.time_base) + random.uniform(-jitter, jitter) + (gap if number > 100 else 0)
            )
            last = max(last + 1, round(time * 1000))
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = last
            packet.stream = stream
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("jitter", [0.005, 0.015, 0.03])
def test_jitter_of_stamps_leaves_sound_whole(jitter):
    clip = load_media(jittered(jitter))
    assert np.mean(clip.audio == 0) < 0.002
    assert clip.duration == pytest.approx(4.0, abs=0.03)


@pytest.mark.parametrize("jitter, gap", [(0.0, 0.06), (0.0, 1.0), (0.015, 0.5), (0.01, 0.12)])
def test_a_gap_that_lasts_is_silent(jitter, gap):
    audio = load_media(jittered(jitter, gap)).audio
    silent = np.flatnonzero(np.abs(audio) < 1e-4)
    silent = silent[(silent > 1.9 * RATE) & (silent < 3.3 * RATE)]
    run = silent[np.abs(silent - np.median(silent)) < gap * RATE]
    assert len(run) == pytest.approx(gap * RATE, abs=(0.01 + 2.2 * jitter) * RATE)
    assert audio.size == pytest.approx((4.0 + gap) * RATE, abs=(0.03 + 2 * jitter) * RATE)


def placed(times, seconds=0.02):
    """What a track with pictures hears of tones of `seconds` that start at `times`: (S,) at 16 kHz."""
    length = round(16000 * seconds)
    damage = DamageReport("sound", "raise", MediaLimits())
    track = SoundTrack(16000, float("inf"), 3600.0, damage, alone=False)
    for time in times:
        frame = av.AudioFrame.from_ndarray(np.full((1, length), 0.5, np.float32), "flt", "mono")
        frame.sample_rate = 16000
        track.add(frame, float(time))
    track.finish()
    return track.take(round(track.end_time * 16000))


@pytest.mark.parametrize("late", [0.03, 0.06, 0.09, -0.03, -0.06])
@pytest.mark.parametrize("pieces", [1, 3, 12])
def test_stamps_that_are_off_at_the_end_leave_sound_whole(late, pieces):
    """The last pieces of a stream are too few to tell jitter from a gap."""
    heard = placed(np.arange(100) * 0.02 + np.where(np.arange(100) >= 100 - pieces, late, 0.0))
    assert len(heard) == 2 * 16000
    assert (heard > 0.4).mean() > 0.99


@pytest.mark.parametrize("gap", [0.15, 1.0])
def test_a_gap_before_the_last_pieces_is_silent(gap):
    heard = placed(np.arange(100) * 0.02 + np.where(np.arange(100) >= 95, gap, 0.0))
    assert len(heard) == round((2 + gap) * 16000)
    assert (heard < 0.1).sum() == pytest.approx(gap * 16000, abs=200)


# What is no sound


def wav(samples, rate=RATE, kind=None, size=None):
    """A WAV file of an array of any type; `size` stands in the header of its data, in place of the true one."""
    kind = (3 if samples.dtype.kind == "f" else 1) if kind is None else kind
    data, width = samples.tobytes(), samples.dtype.itemsize
    layout = struct.pack("<HHIIHH", kind, 1, rate, rate * width, width, 8 * width)
    size = len(data) if size is None else size
    riff = min(36 + size, 0xFFFFFFFF)
    return (
        b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt \x10\0\0\0" + layout + b"data" + struct.pack("<I", size) + data
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype, rate", [(np.float32, RATE), (np.float64, RATE), (np.float32, 44100)])
def test_samples_that_are_no_numbers(tone, value, dtype, rate):
    samples = tone(1.0, rate).astype(dtype)
    samples[5000] = value
    with pytest.raises(DamagedMediaError, match=r"holds samples that are not finite \(NaN or infinity\)"):
        load_media(wav(samples, rate))
    with pytest.warns(UserWarning, match="samples that are not finite; they are silent"):
        audio = load_media(wav(samples, rate), on_error="warn").audio
    assert np.isfinite(audio).all() and np.abs(audio).max() < 0.8
    with pytest.raises(MediaError, match="an array holds samples that are not finite"):
        check_samples(resample_audio(samples, rate, RATE), "an array")


@pytest.mark.parametrize("scale", [32767, 128, 2**31])
def test_floats_far_beyond_full_scale_are_refused(tone, scale):
    with pytest.raises(MediaError, match=r"holds samples of up to .*Divide integers by their full scale"):
        load_media(wav(tone(0.5) * np.float32(scale)))
    with pytest.raises(MediaError, match=r"must lie in \[-1, 1\]"):
        check_samples(tone(0.5) * scale, "an array")
    assert np.abs(load_media(wav(tone(0.5) * np.float32(4))).audio).max() == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    "dtype, zero, full",
    [("u1", 128, 127), ("u2", 32768, 32767), ("i1", 0, 127), ("i2", 0, 32767), ("i4", 0, 2**31 - 1)],
)
def test_integers_are_scaled_about_their_middle(tone, dtype, zero, full):
    samples = np.rint(tone(0.5) * full + zero).astype(dtype)
    np.testing.assert_allclose(resample_audio(samples, RATE, RATE), tone(0.5), atol=0.01)
    if dtype in ("u1", "i2", "i4"):
        np.testing.assert_allclose(load_media(wav(samples)).audio, tone(0.5), atol=0.01)


def test_lists_of_integers_are_samples_of_16_bits(tone):
    samples = (tone(0.1) * 32767).astype(int)
    np.testing.assert_allclose(resample_audio(samples.tolist(), RATE, RATE), tone(0.1), atol=0.01)
    with pytest.raises(MediaError, match="one is 1000000"):
        resample_audio([0, 1000000], RATE, RATE)
    for values in (np.array(["a"]), np.array([1j]), np.array([True])):
        with pytest.raises(MediaError, match="its dtype is"):
            resample_audio(values, RATE, RATE)


# Headers


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF - 36, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 44, 1 << 30])
def test_sizes_that_streaming_writers_leave(tone, size):
    samples = (tone(1.0) * 32767).astype(np.int16)
    assert load_media(wav(samples, size=size)).audio.shape == (RATE,)


@pytest.mark.parametrize("excess", [1, 8, 36, 44])
def test_a_few_bytes_are_no_damage(tone, excess):
    samples = (tone(1.0) * 32767).astype(np.int16)
    assert load_media(wav(samples, size=2 * RATE + excess)).audio.shape == (RATE,)
    data = bytearray(wav(samples))
    data[4:8] = struct.pack("<I", len(data) + 5000)  # of chunks after the sound that are not there
    assert load_media(bytes(data)).audio.shape == (RATE,)


@pytest.mark.parametrize("size", [1 << 28, (1 << 29) - 36, (1 << 30) - 44])
def test_sizes_that_are_a_power_of_two_in_a_small_file(tone, size):
    samples = (tone(1.0) * 32767).astype(np.int16)
    assert load_media(wav(samples, size=size)).audio.shape == (RATE,)


@pytest.mark.parametrize("size", [1_152_000_000, 3 << 29, 2_000_000_000, 3_456_789_012, 999_999_998])
def test_a_real_cut_of_a_long_recording_is_found(tone, size):
    samples = (tone(1.0) * 32767).astype(np.int16)
    with pytest.raises(DamagedMediaError, match=f"{size - 2 * RATE} bytes that it announces are missing"):
        load_media(wav(samples, size=size))


@pytest.mark.parametrize("missing", [200, RATE, 2 * RATE - 10])
def test_a_real_cut_is_found(tone, missing):
    data = wav((tone(1.0) * 32767).astype(np.int16))
    with pytest.raises(DamagedMediaError, match=f"{missing} bytes that it announces are missing"):
        load_media(data[:-missing])


def test_sizes_of_64_bits(tone):
    data = wav((tone(1.0) * 32767).astype(np.int16), size=0xFFFFFFFF)
    long = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<IQQQI", 28, len(data) + 28, 2 * RATE, RATE, 0) + data[12:]
    assert load_media(long).audio.shape == (RATE,)
    with pytest.raises(DamagedMediaError, match="16000 bytes"):
        load_media(long[:-RATE])


@pytest.mark.parametrize("size", [2**63 + 100, 2**64 - 1, 2**62])
def test_a_box_larger_than_any_file(silent_path, size):
    with pytest.raises(DamagedMediaError, match="is truncated"):
        load_media(silent_path.read_bytes() + struct.pack(">I4sQ", 1, b"free", size))


def test_films_joined_byte_by_byte_are_named(silent_path):
    with pytest.warns(UserWarning, match="is joined of several recordings: only the first of 2 is read"):
        assert load_media(silent_path.read_bytes() * 2).duration == pytest.approx(3.0)


# Streams that resynchronise

STREAMS = [("mp3", "libmp3lame", "fltp"), ("adts", "aac", "fltp"), ("mp2", "mp2", "s16")]
TAG = b"TAG" + b"x" * 125
ID3 = b"ID3\x04\0\0\0\0\x07\x76" + bytes(1014)


@pytest.mark.parametrize("suffix, codec, sample_format", STREAMS)
@pytest.mark.filterwarnings("ignore:.*bytes between its frames of sound")
def test_what_lies_between_frames_of_sound_is_skipped(tone, suffix, codec, sample_format):
    data = encoded_sound(suffix, codec, tone(2.0), RATE, sample_format)
    alone = load_media(data).duration
    junk = np.random.default_rng(1).integers(0, 256, 3000, dtype=np.uint8).tobytes()
    for between in (b"", TAG, ID3, TAG + ID3, bytes(3000), junk):
        clip = load_media(data + between + data)
        assert clip.duration == pytest.approx(2 * alone, abs=0.25)
        assert np.sqrt(np.mean(clip.audio**2)) == pytest.approx(0.35, abs=0.06)  # junk may look like a frame
    for end in (TAG, bytes(5000), junk, data[: len(data) // 3] + data):
        assert load_media(data + end).duration >= alone - 0.05


def test_joined_flac(tone):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE).astype(np.float32)
    data = encoded_sound("flac", "flac", noise, RATE, "s16")
    assert load_media(data * 2).duration > 1.85 * load_media(data).duration


# Codecs that nobody knows


def test_pictures_of_an_unknown_codec_are_named(clip_path, tmp_path, write_media, gray, tone):
    movie = clip_path.read_bytes().replace(b"avc1", b"zzzz")
    matroska = write_media(tmp_path / "a.mkv", gray([9] * 20), np.arange(20) / 10, tone(2.0)).read_bytes()
    matroska = matroska.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ")
    for data, name in ((movie, "zzzz"), (matroska, "V_MPEG4/ISO/XYZ")):
        with pytest.raises(MediaError, match=f"picture stream of codec '{name}', which cannot be decoded"):
            load_media(data)
        with pytest.warns(UserWarning, match=f"codec '{name}', which cannot be decoded; it was left out"):
            clip = load_media(data, on_error="warn")
        assert clip.frames is None and np.sqrt(np.mean(clip.audio**2)) > 0.1
        assert load_media(data, with_frames=False).audio is not None


def test_sound_of_an_unknown_codec_is_named(tmp_path, write_media, gray, tone):
    path = write_media(tmp_path / "a.mkv", gray([9] * 20), np.arange(20) / 10, tone(2.0))
    data = path.read_bytes().replace(b"A_AAC", b"A_XYZ")
    with pytest.raises(MediaError, match="sound stream of codec 'A_XYZ'"):
        load_media(data)
    with pytest.warns(UserWarning, match="it was left out"):
        assert load_media(data, on_error="warn").frames.shape[0] == 4
    assert load_media(data, with_audio=False).audio is None


# Mirrors


@pytest.mark.parametrize(
    "matrix, expected",
    [
        ((1, 0, 0, 1), lambda pixels: pixels),
        ((-1, 0, 0, 1), lambda pixels: pixels[:, ::-1]),
        ((1, 0, 0, -1), lambda pixels: pixels[::-1]),
        ((-1, 0, 0, -1), lambda pixels: pixels[::-1, ::-1]),
        ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1)),
        ((0, -1, 1, 0), lambda pixels: np.rot90(pixels)),
        ((0, 1, 1, 0), lambda pixels: pixels.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2)),
    ],
)
def test_the_whole_display_matrix_is_applied(tmp_path, write_media, matrix, expected):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:] = 250, 90
    data = bytearray(write_media(tmp_path / "a.mp4", picture[None].repeat(4, 0), np.arange(4) / 4).read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    difference = np.abs(load_media(bytes(data)).frames[0].astype(int) - expected(picture))
    assert difference.mean() < 3


# Sources


@pytest.fixture(scope="module")
def sound_data(tone):
    return wav((tone(0.5) * 32767).astype(np.int16))


def test_data_urls_as_browsers_and_mail_write_them(sound_data):
    text = base64.b64encode(sound_data).decode()
    folded = "\r\n ".join(text[start : start + 76] for start in range(0, len(text), 76))
    safe = base64.urlsafe_b64encode(sound_data).decode().rstrip("=")
    escaped = text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    for url in (
        f"data:audio/wav;base64,{text}",
        f"data:video/webm;codecs=vp8,opus;base64,{text}",
        f'data:video/webm;codecs="vp8, opus";base64,{text}',
        f"DATA:AUDIO/WAV;BASE64,{text}",
        f" data:;base64,{folded}",
        f'data:audio/wav;name="a;base64,b.wav";base64,{text}',
        f"data:;base64,{safe}",
        f"data:;base64,{escaped}",
    ):
        assert load_media(url).audio.shape == (8000,)
    for url, message in (
        ("data:audio/wav,abc", "Only base64"),
        ("data:;base64,@@@@", "not valid base64"),
        ("data:;base64,", "is empty"),
        ("data:;base64,\u00e9\u00e9", "not valid base64"),
    ):
        with pytest.raises(MediaError, match=message):
            load_media(url)


def test_names_are_taken_as_they_stand(tmp_path, monkeypatch, sound_data):
    monkeypatch.chdir(tmp_path)
    names = ["~clip.wav", "~", "a#b.wav", "a?b.wav", "a b.wav", "a%20b.wav", "data:x", "\u00e9.wav"]
    for name in names:
        (tmp_path / name).write_bytes(sound_data)
    (tmp_path / "file:" / "x").mkdir(parents=True)
    (tmp_path / "file:" / "x" / "a.wav").write_bytes(sound_data)
    monkeypatch.setenv("HOME", str(tmp_path))
    urls = ["a%23b.wav", "a#b.wav", "a%3Fb.wav", "a?b.wav", "a%20b.wav", "a%2520b.wav"]
    sources = [*names, *(f"./{name}" for name in names), "~/a b.wav", "file://x/a.wav"]
    sources += [f"file://{tmp_path}/{url}" for url in urls] + [f"file://localhost{tmp_path}/a b.wav"]
    sources += [f"file:{tmp_path}/a#b.wav", f"FILE://{tmp_path}/a#b.wav"]
    for source in sources:
        assert load_media(source).audio.shape == (8000,), source

    class Name:
        def __fspath__(self):
            return os.fsencode("a b.wav")

    assert load_media(Name()).audio.shape == (8000,)


def test_what_is_no_name_is_told_shortly(tmp_path, monkeypatch, sound_data):
    monkeypatch.chdir(tmp_path)
    for source, message in (
        (base64.b64encode(sound_data * 6).decode(), "is no path. Give base64 text as a data: URL"),
        ("a\0b", "is no path"),
        ("", "path of the media file is empty"),
        ("https://example.org/" + "x" * 5000, "nothing is downloaded here"),
        (os.devnull, "is no regular file"),
    ):
        with pytest.raises(MediaError, match=message) as caught:
            load_media(source)
        assert len(str(caught.value)) < 400
    for source in ("~nobody/x.wav", "x" * 300, "~/nothing.wav"):
        with pytest.raises(FileNotFoundError, match="No such media file") as caught:
            load_media(source)
        assert len(str(caught.value)) < 400


class Raising(io.BytesIO):
    """A file object that fails after some reads."""

    def __init__(self, data, reads):
        super().__init__(data)
        self.reads = reads

    def read(self, *size):
        self.reads -= 1
        if self.reads < 0:
            raise RuntimeError("the connection broke")
        return super().read(*size)


class Stream:
    """What is read from a socket: it cannot seek."""

    def __init__(self, value):
        self.value = value

    def read(self, size=-1):
        return self.value


@pytest.mark.parametrize("reads", range(12))
def test_a_file_object_that_fails_is_a_media_error(sound_data, reads):
    with pytest.raises(MediaError, match="the connection broke|cannot be read"):
        load_media(Raising(sound_data, reads))


def test_sources_of_the_wrong_kind(tmp_path, sound_data):
    text = tmp_path / "a.txt"
    text.write_text("text")
    closed = open(text, "rb")  # noqa: SIM115  it is closed on purpose
    closed.close()
    with open(text) as lines:
        for source in (
            lines,
            io.StringIO("text"),
            closed,
            Stream("text"),
            Stream(None),
            Stream(b""),
            b"",
            3,
            None,
            [1],
        ):
            with pytest.raises(MediaError):
                load_media(source)
    assert load_media(memoryview(sound_data)).audio.shape == (8000,)
    assert load_media(Stream(sound_data)).audio.shape == (8000,)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "PNG"])
def test_pictures_without_a_width(kind):
    file = io.BytesIO()
    Image.new("P", (4, 4)).save(file, kind)
    data = bytearray(file.getvalue())
    place = {"BMP": 18, "GIF": 6, "PNG": 16}[kind]
    data[place : place + 4] = bytes(4)
    try:
        frames = load_media(bytes(data)).frames  # a GIF takes its picture's own size
    except MediaError:
        return
    assert frames.shape == (1, 4, 4, 3) and kind == "GIF"


@pytest.mark.parametrize("form, cut", [("JPEG", 6), ("PNG", 12), ("TIFF", 6), ("WEBP", 12), ("BMP", 6)])
def test_errors_are_about_the_file_and_not_about_objects_of_python(form, cut):
    """What PIL says of bytes that it cannot identify holds an address of this process."""
    data = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 10, 10)).save(data, form)
    for rest in (b"", bytes(40)):
        with pytest.raises(MediaError) as raised:
            load_media(data.getvalue()[:cut] + rest)
        assert " object at 0x" not in str(raised.value)
