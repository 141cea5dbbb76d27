# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Files that want more than they may: other files, the network, memory, time; and files that are damaged."""

import ctypes
import io
import os
import socket
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager, suppress
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from benchmarks.media_fuzz import PIXELS, mutate, outcome, seed_files
from favor.processing import DamagedMediaError, MediaError, MediaLimitError, MediaLimits, iterate_media, load_media

IN_ACCESS_OR_OPEN = 0x1 | 0x20


@contextmanager
def watched(path):
    """Yields a function that tells whether anybody, FFmpeg's own code too, has opened or read the file: inotify."""
    libc = ctypes.CDLL(None, use_errno=True)
    watcher = libc.inotify_init1(os.O_NONBLOCK)
    assert watcher >= 0 and libc.inotify_add_watch(watcher, os.fsencode(path), IN_ACCESS_OR_OPEN) >= 0

    def was_touched():
        try:
            return bool(os.read(watcher, 4096))
        except BlockingIOError:
            return False

    yield was_touched
    os.close(watcher)


@contextmanager
def counting_server():
    """Yields a loopback port and the list of connections made to it."""
    connections = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            connections.append(address)
            connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield server.getsockname()[1], connections
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def disguises(address):
    """Texts that make some media player open `address`."""
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{address}'\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT5S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet '
        f'mimeType="video/mp4"><Representation id="1" bandwidth="9"><BaseURL>{address}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{address}\n"
        "m=video 9 RTP/AVP 96\n",
        "smooth streaming": f'<SmoothStreamingMedia><StreamIndex Url="{address}"/></SmoothStreamingMedia>',
        "real": f"rtsptext\n{address}\n",
        "asx": f'<asx version="3.0"><entry><ref href="{address}"/></entry></asx>',
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}"/></svg>',
        "image sequence": f"{address}%d.png",
    }  # fmt: skip


def box(name, *contents):
    body = b"".join(contents)
    return struct.pack(">I", 8 + len(body)) + name + body


def reference_movie(address):
    """A QuickTime movie that only refers to another one."""
    reference = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(address) + 1), address.encode() + b"\0")
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


def movie_with_outside_samples(movie, name):
    """A QuickTime movie whose track says that its samples lie in the file `name` beside it."""
    data = bytearray(movie)
    place = data.index(b"dref") + 12
    old = struct.unpack(">I", data[place : place + 4])[0]
    path = os.fsencode(name)
    entry = bytes(4) + bytes(10) + b"\x01x" + bytes(26) + bytes(12)
    entry += bytes([len(name.name)]) + os.fsencode(name.name).ljust(63, b"\0") + bytes(16)
    entry += struct.pack(">hh", 1, 1) + bytes(16)
    entry += struct.pack(">hh", 2, len(path)) + path + bytes(len(path) % 2) + struct.pack(">hh", -1, 0)
    entry = box(b"alis", entry)
    data[place : place + old] = entry
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = data.rindex(name, 0, place) - 4
        data[start : start + 4] = struct.pack(">I", struct.unpack(">I", data[start : start + 4])[0] + len(entry) - old)
    return bytes(data)


def test_disguised_playlists_open_no_local_file(tmp_path, clip_path, gray, write_media):
    target = tmp_path / "target.mp4"
    target.write_bytes(clip_path.read_bytes())
    silent = write_media(tmp_path / "silent.mov", gray(range(9)), np.arange(9) / 10)
    with watched(target) as was_touched:
        files = {name: text.encode() for name, text in disguises(f"file://{target}").items()}
        files |= {f"{name}, relative": text.encode() for name, text in disguises("target.mp4").items()}
        files["reference movie"] = reference_movie(str(target))
        files["outside samples"] = movie_with_outside_samples(silent.read_bytes(), target)
        for name, data in files.items():
            for suffix in ("mp4", "mkv", "wav"):
                disguised = tmp_path / f"disguised.{suffix}"
                disguised.write_bytes(data)
                with pytest.raises(MediaError):
                    clip = load_media(disguised)
                    raise MediaError(f"{name} gave {len(clip.frames)} pictures")
                assert not was_touched(), f"{name} as .{suffix} opened the target"
        disguised.with_suffix(".mp4").write_bytes(files["concat, relative"])
        av.open(str(tmp_path / "disguised.mp4")).close()
        assert was_touched(), "without protection the same file is followed, so the watch is no idle one"


def test_a_movie_whose_samples_lie_outside_is_followed_only_without_protection(tmp_path, gray, write_media):
    movie = write_media(tmp_path / "target.mov", gray(range(9)), np.arange(9) / 10)
    outside = tmp_path / "outside.mov"
    outside.write_bytes(movie_with_outside_samples(movie.read_bytes(), movie))
    with watched(movie) as was_touched:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(MediaError):
                load_media(outside, on_error="warn")
        assert not was_touched()
        av.open(str(outside), options={"enable_drefs": "1", "use_absolute_path": "1"}).close()
        assert was_touched()


def test_disguised_playlists_reach_no_server(tmp_path):
    with counting_server() as (port, connections):
        for scheme in ("http", "tcp", "rtsp", "rtmp", "ftp"):
            address = f"{scheme}://127.0.0.1:{port}/x.mp4"
            files = {name: text.encode() for name, text in disguises(address).items()}
            files["reference movie"] = reference_movie(address)
            for data in files.values():
                for source in (data, tmp_path / "disguised.mp4"):
                    (tmp_path / "disguised.mp4").write_bytes(data)
                    with pytest.raises(MediaError):
                        load_media(source)
        with pytest.raises(MediaError, match="nothing is downloaded"):
            load_media(f"http://127.0.0.1:{port}/x.mp4")
        assert connections == []
        with pytest.raises(av.FFmpegError):
            av.open(f"http://127.0.0.1:{port}/x.mp4")
        assert connections, "the server does count"


def write_video(times, size=(16, 16), codec="mjpeg", container_format="mp4", rate=25, time_base=Fraction(1, 1000)):
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, PIXELS.get(codec, "yuv420p")
        stream.codec_context.time_base = Fraction(1, rate) if codec == "mpeg2video" else time_base
        for time in times:
            frame = av.VideoFrame(*size, stream.pix_fmt)
            frame.pts, frame.time_base = round(time / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def png_of(side):
    """The header of a PNG, and too little of its data."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def gif_of(side):
    data = bytearray(write_video([0.0, 0.5], codec="gif", container_format="gif", time_base=Fraction(1, 100)))
    data[6:10] = struct.pack("<HH", side, side)
    return bytes(data)


def many_tracks(count):
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        for _ in range(count):
            container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for stream in container.streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 80), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
            container.mux(stream.encode(frame))
    return file.getvalue()


@pytest.mark.parametrize(
    "make, limits, bound",
    [
        (lambda: png_of(65000), {}, "max_pixels"),
        (lambda: png_of(12000), {}, "max_pixels"),
        (lambda: gif_of(16000), {}, "max_pixels"),
        (lambda: write_video([0.0], size=(64, 64)), {"max_pixels": 4095}, "max_pixels"),
        (lambda: write_video([0.0, 7200.0]), {}, "max_frames"),
        (lambda: write_video([0.0, 86400.0]), {"max_frames": 1 << 20}, "max_duration"),
        (lambda: write_video(np.arange(600) / 1000, rate=1000), {"max_source_frames": 500}, "max_source_frames"),
        (lambda: write_video(np.arange(60) / 10), {"max_decode_seconds": 1e-9}, "max_decode_seconds"),
        (lambda: write_video([0.0, 10.0], size=(256, 256)), {"max_clip_bytes": 1 << 20}, "max_clip_bytes"),
        (lambda: write_video([0.0]), {"max_file_bytes": 100}, "max_file_bytes"),
        (lambda: many_tracks(9), {"max_tracks": 8}, "max_tracks"),
    ],
)
def test_each_bound_is_named_with_the_way_to_raise_it(make, limits, bound):
    data = make()
    for source in (data, io.BytesIO(data)):
        with pytest.raises(MediaLimitError, match=rf"(?s)bound is {bound}=.* raise {bound} .*media_limits="):
            load_media(source, media_limits=limits)
    with pytest.raises(MediaLimitError, match=bound):
        list(iterate_media(data, media_limits=MediaLimits(**limits)))


def test_a_raised_bound_lets_the_file_through():
    data = write_video([0.0, 10.0])
    assert len(load_media(data, media_limits={"max_frames": 30}).frames) >= 20
    with pytest.raises(MediaError, match="no bound max_colours"):
        load_media(data, media_limits={"max_colours": 3})
    with pytest.raises(MediaError, match="max_frames must be a positive"):
        load_media(data, media_limits={"max_frames": 0})


def test_a_picture_that_grows_in_mid_stream_is_seen():
    small, large = (write_video(np.arange(30) / 10, (size, size), "mpeg2video", "mpegts") for size in (32, 256))
    with pytest.raises(MediaLimitError, match="max_pixels"):
        load_media(small + large, media_limits={"max_pixels": 64 * 64})


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory, write_media, gray, tone):
    """4 s in containers that begin with their index."""
    folder, files = tmp_path_factory.mktemp("whole"), {}
    times = np.arange(40) / 10
    noise = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    for suffix in ("mkv", "avi"):
        codec = "mpeg4" if suffix == "avi" else "libx264"
        path = write_media(
            folder / f"whole.{suffix}", noise, times, tone(4.0), video_codec=codec, audio_codec="pcm_s16le"
        )
        files[suffix] = path.read_bytes()
    with (
        av.open(io.BytesIO(files["mkv"])) as source,
        av.open(str(folder / "whole.mp4"), "w", options={"movflags": "faststart"}) as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    return files | {"mp4": (folder / "whole.mp4").read_bytes()}


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_truncated_files(tmp_path, whole_files, suffix):
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole_files[suffix])
    whole = load_media(path)
    path.write_bytes(whole_files[suffix][: len(whole_files[suffix]) * 6 // 10])
    with pytest.raises(DamagedMediaError, match=rf"cut\.{suffix} is truncated at [123]\.\d+ s: \d+ bytes"):
        load_media(path)
    with pytest.warns(UserWarning, match=rf"cut\.{suffix} is truncated: it ends at [123]\.\d+ s"):
        part = load_media(path, on_error="warn")
    count = len(part.frames) - 1  # the last picture may be cut, too
    assert 2 <= count < len(whole.frames)
    np.testing.assert_array_equal(part.frames[:count], whole.frames[:count])
    early = load_media(path, end=1.0)  # what is missing lies behind
    np.testing.assert_array_equal(early.frames, whole.frames[:2])


def test_a_truncated_file_without_its_index(clip_path):
    data = clip_path.read_bytes()
    with pytest.raises(DamagedMediaError, match="cannot be read as media .*truncated"):
        load_media(data[: len(data) // 2], on_error="warn")


def test_a_damaged_packet_is_named_with_its_time(tmp_path, write_media, gray, tone):
    path = write_media(tmp_path / "noise.mkv", gray([90] * 50), np.arange(50) / 10, tone(5.0), audio_codec="flac")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.size]
    packet = packets[len(packets) // 2]
    place = data.index(bytes(packet))
    data[place : place + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    seconds = float(packet.pts * packet.time_base)
    with pytest.raises(DamagedMediaError, match=rf"noise\.mkv is damaged at {seconds:.2f} s .*on_error=.warn."):
        load_media(path)
    with pytest.warns(UserWarning, match="1 packet could not be decoded"):
        assert len(load_media(path, on_error="warn").frames) == 10
    assert load_media(path, start=4.5, end=5.0).duration == 0.5
    with pytest.raises(MediaError, match="on_error must be"):
        load_media(path, on_error="ignore")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("packets", [1, 7, 20, 33])
def test_a_recording_that_begins_between_key_pictures_is_no_damage(packets):
    data = write_video(np.arange(100) / 25, (64, 48), "mpeg2video", "mpegts")
    with av.open(io.BytesIO(data)) as container:
        positions = [packet.pos for packet in container.demux(video=0) if packet.size]
    clip = load_media(data[positions[packets] :])
    assert len(clip.frames) in range(4, 9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "codec, suffix", [("libx264", "ts"), ("mpeg4", "avi"), ("libx264", "flv"), ("libx264", "mkv")]
)
def test_a_late_part_of_a_whole_file_is_no_damage(tmp_path, write_media, tone, codec, suffix):
    pictures = np.random.default_rng(0).integers(0, 255, (90, 48, 64, 3), dtype=np.uint8)
    path = write_media(tmp_path / f"whole.{suffix}", pictures, np.arange(90) / 10, tone(9.0), video_codec=codec)
    whole, part = load_media(path), load_media(path, start=6.5)
    np.testing.assert_array_equal(part.frames[:4], whole.frames[13:17])


def test_large_pictures_are_turned_away_before_they_are_decoded():
    file = io.BytesIO()
    Image.new("L", (3000, 3000)).save(file, "PNG")
    with pytest.raises(MediaLimitError, match="3000 x 3000 = 9000000 pixels; the bound is max_pixels=1000"):
        load_media(file.getvalue(), media_limits={"max_pixels": 1000})


@pytest.fixture(scope="module")
def seeds():
    return seed_files()


@pytest.mark.parametrize("number", range(40))
def test_mutated_files_end_in_a_clip_or_a_media_error(seeds, number):
    data = mutate(seeds, number, seed=1)
    assert {outcome(data, on_error) for on_error in ("raise", "warn")} <= {
        "clip",
        "MediaError",
        "MediaLimitError",
        "DamagedMediaError",
    }
