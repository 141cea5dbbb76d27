# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Decoding: one clock for both streams, whatever the file is like, and errors that say what to do."""

import io
import struct

import av
import numpy as np
import pytest
from PIL import Image

from favor.processing import MediaError, load_media


def loudness(audio, step=8000):
    """Root mean square of each half second."""
    return np.array([np.sqrt(np.mean(audio[start : start + step] ** 2)) for start in range(0, len(audio), step)])


def brightness(clip):
    return clip.frames.reshape(len(clip.frames), -1).mean(axis=1)


def test_flash_and_beep_are_in_the_same_half_second(clip_path):
    clip = load_media(clip_path)
    assert clip.frames.shape == (10, 48, 64, 3) and clip.frames.dtype == np.uint8
    assert clip.audio.shape == (80000,) and clip.audio.dtype == np.float32
    assert clip.duration == pytest.approx(5.0) and not clip.still
    np.testing.assert_allclose(clip.frame_times, np.arange(10) / 2)
    assert np.flatnonzero(brightness(clip) > 128).tolist() == [4]
    assert np.flatnonzero(loudness(clip.audio) > 0.2).tolist() == [4]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
def test_late_sound_is_preceded_by_silence(tmp_path, write_media, gray, tone, suffix):
    times = np.arange(40) / 10
    path = write_media(tmp_path / f"late.{suffix}", gray([0] * 40), times, sound_pieces=[(1.5, tone(2.5))])
    clip = load_media(path)
    onset = np.flatnonzero(np.abs(clip.audio) > 0.1)[0] / clip.sampling_rate
    assert onset == pytest.approx(1.5, abs=0.07)
    assert len(clip.frames) == 8


@pytest.mark.parametrize("suffix", ["flv", "ts"])
def test_priming_of_the_sound_codec_moves_nothing(tmp_path, write_media, gray, tone, suffix):
    times, sound = np.arange(100) / 20, tone(5.0)
    sound[:32000] = 0
    levels = np.where(times >= 2.0, 200, 0)
    clip = load_media(write_media(tmp_path / f"primed.{suffix}", gray(levels), times, sound))
    assert (brightness(clip)[:10] > 100).tolist() == [False] * 4 + [True] * 6
    assert np.flatnonzero(np.abs(clip.audio) > 0.1)[0] / 16000 == pytest.approx(2.0, abs=0.07)


def test_late_picture_is_preceded_by_the_first_one(tmp_path, write_media, gray, tone):
    times = 1.0 + np.arange(30) / 10
    levels = np.where(times < 3.0, 100, 200)
    clip = load_media(write_media(tmp_path / "late.mkv", gray(levels), times, tone(4.0)))
    assert len(clip.frames) == 8
    assert (brightness(clip) > 150).tolist() == [False] * 6 + [True] * 2
    assert loudness(clip.audio).min() > 0.2


def test_gap_in_the_sound_becomes_silence(tmp_path, write_media, gray, tone):
    pieces = [(0.0, tone(1.0)), (2.0, tone(1.0))]
    path = write_media(
        tmp_path / "gap.mkv", gray([0] * 30), np.arange(30) / 10, sound_pieces=pieces, audio_codec="pcm_s16le"
    )
    assert (loudness(load_media(path).audio) > 0.2).tolist() == [True, True, False, False, True, True]


def test_variable_frame_rate_goes_by_timestamps(tmp_path, write_media, gray):
    levels = [20, 60, 100, 140, 180]
    clip = load_media(write_media(tmp_path / "vfr.mp4", gray(levels), [0.0, 0.1, 0.2, 1.2, 2.9]))
    shown = [min(levels, key=lambda level: abs(level - value)) for value in brightness(clip)][:6]
    assert shown == [20, 100, 100, 140, 140, 140]


def test_few_pictures_are_repeated(tmp_path, write_media, gray):
    clip = load_media(write_media(tmp_path / "slow.mkv", gray([0, 80, 160]), [0.0, 1.0, 2.0]), fps=4.0)
    np.testing.assert_allclose(brightness(clip)[:9], [0] * 4 + [80] * 4 + [160], atol=6)


def test_sound_longer_than_the_picture_keeps_the_last_picture(tmp_path, write_media, gray, tone):
    path = write_media(tmp_path / "long.mkv", gray([50] * 20), np.arange(20) / 10, tone(3.0), audio_codec="pcm_s16le")
    clip = load_media(path)
    assert len(clip.frames) == 6 and clip.audio.shape == (48000,)
    assert clip.duration == pytest.approx(3.0)


@pytest.mark.parametrize("start, end", [(1.0, 3.0), (2.0, None), (None, 2.5)])
def test_a_part_equals_the_same_part_of_the_whole(clip_path, start, end):
    whole, part = load_media(clip_path), load_media(clip_path, start=start, end=end)
    first, last = int((start or 0) * 2), int((end or 5.0) * 2)
    np.testing.assert_array_equal(part.frames, whole.frames[first:last])
    assert part.frame_times[0] == 0.0
    expected = whole.audio[first * 8000 : last * 8000]
    assert part.audio.shape == expected.shape
    np.testing.assert_allclose(loudness(part.audio), loudness(expected), atol=0.01)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_late_part_is_found_by_seeking(tmp_path, write_media, gray, tone, suffix):
    times = np.arange(150) / 5
    sound = tone(30.0)
    sound[: 22 * 16000] = 0
    path = write_media(tmp_path / f"half_minute.{suffix}", gray(times * 8), times, sound)
    whole, part = load_media(path), load_media(path, start=20.0, end=25.0)
    np.testing.assert_array_equal(part.frames, whole.frames[40:50])
    np.testing.assert_allclose(loudness(part.audio), loudness(whole.audio[320000:400000]), atol=0.01)


def test_muting_and_sizes_do_not_move_pictures(clip_path):
    muted = load_media(clip_path, with_audio=False, size={"height": 24, "width": 32})
    assert muted.audio is None and muted.frames.shape == (10, 24, 32, 3)
    assert np.flatnonzero(brightness(muted) > 128).tolist() == [4]
    assert load_media(clip_path, with_frames=False).frames is None


def test_path_bytes_and_file_object_give_the_same(clip_path):
    expected = load_media(str(clip_path))
    with open(clip_path, "rb") as file:
        file.read(100)
        clips = [load_media(clip_path.read_bytes()), load_media(io.BytesIO(clip_path.read_bytes())), load_media(file)]
        assert not file.closed
    for clip in clips:
        np.testing.assert_array_equal(clip.frames, expected.frames)
        np.testing.assert_array_equal(clip.audio, expected.audio)


def test_sound_file_is_resampled(tmp_path, write_media, tone):
    path = write_media(tmp_path / "tone.flac", sound=tone(2.0, 44100), rate=44100, audio_codec="flac")
    clip = load_media(path)
    assert clip.frames is None and clip.frame_times is None
    assert clip.audio.shape == (32000,) and clip.duration == pytest.approx(2.0)
    np.testing.assert_allclose(clip.audio[1000:-1000], tone(2.0)[1000:-1000], atol=0.02)


def test_cover_art_is_no_video(tmp_path, tone):
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16000, layout="mono")
        picture = container.add_stream("mjpeg", rate=1, width=32, height=32, pix_fmt="yuvj420p")
        picture.disposition = 0x400
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(picture.encode(av.VideoFrame(32, 32, "yuvj420p")))
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    with av.open(str(path)) as container:
        assert any(int(stream.disposition) & 0x400 for stream in container.streams.video)
    cover = load_media(path)
    assert cover.frames is None and cover.duration == pytest.approx(1.0, abs=0.1)


def test_rotation_metadata_is_applied(tmp_path, write_media):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = 255  # the left half is white
    path = write_media(tmp_path / "upright.mp4", picture[None].repeat(4, 0), np.arange(4) / 4)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)  # clockwise
    frame = load_media(bytes(data)).frames[0]
    assert frame.shape == (64, 48, 3)
    assert frame[:28].mean() > 230 and frame[36:].mean() < 25  # left became top


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif"])
def test_pictures_are_stills(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.new("RGB", (40, 20), (200, 30, 60)).save(path)
    clip = load_media(path)
    assert clip.still and clip.audio is None and clip.duration == 0.0
    assert clip.frames.shape == (1, 20, 40, 3)
    np.testing.assert_allclose(clip.frames[0, 10, 10], [200, 30, 60], atol=8)


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    assert load_media(tmp_path / "turned.png").frames.shape == (1, 40, 20, 3)


def test_animated_gif_is_a_video(tmp_path):
    pictures = [Image.new("L", (16, 16), level) for level in (0, 255)]
    pictures[0].save(tmp_path / "blink.gif", save_all=True, append_images=pictures[1:], duration=1000)
    clip = load_media(tmp_path / "blink.gif")
    assert not clip.still
    np.testing.assert_allclose(brightness(clip)[:4], [0, 0, 255, 255], atol=3)


def test_damaged_packets_are_counted_and_left_out(tmp_path, write_media, gray, tone):
    path = write_media(tmp_path / "damaged.mkv", gray([90] * 50), np.arange(50) / 10, tone(5.0))
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.size]
    for packet in packets[30:33]:
        place = data.index(bytes(packet))
        data[place : place + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"damaged\.mkv is damaged at \d\.\d+ s"):
        load_media(path)
    with pytest.warns(UserWarning, match=r"damaged\.mkv is damaged: \d+ packets? could not be decoded"):
        clip = load_media(path, on_error="warn")
    assert len(clip.frames) == 10 and (loudness(clip.audio) > 0.2).all()


def test_playlist_opens_nothing(tmp_path, clip_path):
    playlist = tmp_path / "playlist.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{clip_path}\n#EXT-X-ENDLIST\n")
    with pytest.raises(ValueError, match="cannot be read as media"):
        load_media(playlist)
    playlist.write_text(f"ffconcat version 1.0\nfile '{clip_path}'\n")
    with pytest.raises(ValueError, match="cannot be read as media"):
        load_media(playlist)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fps": 0}, "fps must be a positive"),
        ({"start": -1}, "start must be 0 or more"),
        ({"start": 3, "end": 2}, "end must be after"),
        ({"start": 9}, "could be decoded|ends before start"),
        ({"max_frames": 4}, "Choose a part by start and end"),
        ({"with_audio": False, "with_frames": False}, "keep one"),
    ],
)
def test_options_out_of_range(clip_path, options, message):
    with pytest.raises(ValueError, match=message):
        load_media(clip_path, **options)


def test_sources_that_cannot_be_used(tmp_path, clip_path, silent_path, wav_path):
    with pytest.raises(FileNotFoundError, match=r"No such media file: .*nowhere\.mp4"):
        load_media(tmp_path / "nowhere.mp4")
    whole = clip_path.read_bytes()
    for source, message in [
        ("https://example.org/clip.mp4", "nothing is downloaded here"),
        (tmp_path, "is a folder"),
        (b"", "is empty"),
        (b"no media at all" * 99, "cannot be read as media"),
        (whole[: len(whole) // 2], "cannot be read as media"),
        (b"\x89PNG\r\n\x1a\n but no picture", "begins as a picture does"),
        (3.14, "not float"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_media(source)
    with pytest.raises(ValueError, match="has no sound stream"):
        load_media(silent_path, with_frames=False)
    with pytest.raises(ValueError, match="has no picture stream"):
        load_media(wav_path, with_audio=False)
