# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Files decoded in processes of their own come out the same, and what overruns or dies there is one file's loss."""

import base64
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from favor.commands.serve import MEDIA_LIMITS
from favor.processing import DamagedMediaError, MediaError, MediaLimitError, MediaLimits, iterate_media, load_media
from favor.serving import ChatEngine, DecodingWorkers
from favor.serving.chat_engine import decoding_by
from favor.serving.decoding_process import picture_seconds
from favor.serving.decoding_wire import LENGTH, BrokenAnswer, DecodeRequest, receive_answer
from favor.serving.decoding_workers import OPTIONS
from favor.serving.page.perception import perceive

from .conftest import chat, serving, wait_until
from .test_http_server import metrics, post

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what is tested here is Linux's own")
TEXT = [{"role": "user", "content": "Red?"}]


@pytest.fixture(scope="module")
def workers():
    with DecodingWorkers(2) as workers:
        yield workers


def assert_same(one, other):
    for name in ("frames", "frame_times", "audio"):
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None)
        if first is not None:
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
    assert (one.duration, one.still, one.sampling_rate) == (other.duration, other.still, other.sampling_rate)


@pytest.mark.parametrize("name", ["clip.mp4", "silent.mp4", "long_clip.mp4", "photo.png", "sound.wav"])
def test_clips_are_the_same(workers, media_dir, name):
    path = media_dir / name
    expected = load_media(path, size=(32, 48))
    assert_same(workers.load_media(path, size={"height": 32, "width": 48}), expected)
    assert_same(workers.load_media(path.read_bytes(), size=(32, 48)), expected)
    with open(path, "rb") as file, io.BytesIO(path.read_bytes()) as memory:
        file.read(10)
        assert_same(workers.load_media(file, size=(32, 48)), expected)
        assert_same(workers.load_media(memory, size=(32, 48)), expected)
        assert not file.closed


def test_options_are_those_of_load_media(workers, media_dir):
    path = media_dir / "long_clip.mp4"
    for options in (
        {"start": np.float32(0.5), "end": 1.5, "sampling_rate": 8000},
        {"num_frames": 3, "with_audio": False},
        {"max_frames": 2, "long_video": "thin"},
        {"with_frames": False},
    ):
        assert_same(workers.load_media(path, 4.0, **options), load_media(path, 4.0, **options))
    with pytest.raises(TypeError, match="no argument colour"):
        workers.load_media(path, colour="red")


def raised(load, *arguments, **options):
    with pytest.raises((ValueError, OSError)) as error:
        load(*arguments, **options)
    return type(error.value), str(error.value)


def test_errors_are_those_of_load_media(workers, media_dir, tmp_path):
    cut = tmp_path / "cut.wav"
    cut.write_bytes((media_dir / "sound.wav").read_bytes()[:-2000])
    for source, options in (
        (tmp_path / "none.mp4", {}),
        (tmp_path, {}),
        (b"", {}),
        (b"no media at all", {}),
        (cut, {}),
        (media_dir / "photo.png", {"media_limits": {"max_pixels": 4}}),
        (media_dir / "clip.mp4", {"media_limits": {"max_duration": 0.1}}),
        (media_dir / "clip.mp4", {"start": 100.0}),
        (media_dir / "clip.mp4", {"end": 0}),
        (media_dir / "clip.mp4", {"video_track": 7}),
    ):
        assert raised(workers.load_media, source, **options) == raised(load_media, source, **options)
    assert raised(workers.load_media, cut)[0] is DamagedMediaError
    with pytest.warns(UserWarning, match="truncated") as told:
        workers.load_media(cut, on_error="warn")
    with pytest.warns(UserWarning) as expected:
        load_media(cut, on_error="warn")
    assert [str(warning.message) for warning in told] == [str(warning.message) for warning in expected]


# What overruns


FORBIDDEN = """
import os, socket, subprocess, sys
PATH = sys.path[0] + "/sitecustomize.py"
from favor.processing import MediaError
done = []
def tries(name, action):
    try:
        action()
        done.append(name)
    except OSError:
        pass
tries("socket", lambda: socket.socket())
tries("socketpair", lambda: socket.socketpair())
tries("program", lambda: os.execv("/bin/true", ["true"]))
tries("process", os.fork)
tries("spawn", lambda: subprocess.run(["/bin/true"]))
tries("write", lambda: open(PATH, "w"))
tries("append", lambda: open(PATH, "a"))
tries("remove", lambda: os.remove(PATH))
tries("rename", lambda: os.rename(PATH, PATH + "2"))
tries("folder", lambda: os.mkdir(PATH + "3"))
tries("kill", lambda: os.kill(os.getppid(), 0))
tries("files", lambda: [os.open(os.devnull, os.O_RDONLY) for _ in range(100)])
if "FAVOR_API_KEY" in os.environ:
    done.append("key")
raise MediaError("done: " + " ".join(done) + ".")
"""
DEEDS = {
    "sleeps": "import time; time.sleep(60)",
    "runs": "while True: pass",
    "takes memory": "bytearray(1 << 28)",
    "aborts": "import os; os.abort()",
    "reads nowhere": "import ctypes; ctypes.string_at(0)",
    "leaves": "import os; os._exit(0)",
    "reaches out": FORBIDDEN,
}
REPLACEMENT = f"""
import sys
if "favor.serving.decoding_process" in " ".join(sys.orig_argv):
    import favor.processing.media_favor as media
    real, deeds = media.load_media, {DEEDS!r}
    def load_media(file, *arguments, **options):
        file.seek(-100, 2)
        _, marked, deed = file.read().rpartition(b"deed: ")
        if marked:
            exec(deeds[deed.partition(b".")[0].decode()], dict())
        return real(file, *arguments, **options)
    media.load_media = load_media
"""


@pytest.fixture(scope="module")
def doing(tmp_path_factory):
    """Workers whose processes do something else with a file that ends in the name of a deed."""
    folder = tmp_path_factory.mktemp("replacement")
    (folder / "sitecustomize.py").write_text(REPLACEMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("FAVOR_API_KEY", "a-secret")
        workers = DecodingWorkers(2, memory_bytes=1 << 26)
    with workers:
        yield workers


def doing_so(path: Path, deed: str) -> bytes:
    return path.read_bytes() + f"deed: {deed}.".encode()


ENDINGS = [
    ("sleeps", "time", "more time than max_decode_seconds=0.5"),
    ("runs", "time", "more time than max_decode_seconds=0.5"),
    ("takes memory", "memory", "more than 64 MiB of memory"),
    ("aborts", "crash", "it ended the decoder"),
    ("reads nowhere", "crash", "it ended the decoder .signal 11"),
    ("leaves", "crash", "it ended the decoder"),
]


@pytest.mark.parametrize("deed, reason, message", ENDINGS)
def test_a_process_that_overruns_or_dies_costs_one_file(doing, media_dir, deed, reason, message):
    workers, before = doing, doing.ended.copy()
    good, bad = media_dir / "clip.mp4", doing_so(media_dir / "clip.mp4", deed)
    expected = load_media(good, size=(16, 16))
    assert_same(workers.load_media(good, size=(16, 16)), expected)
    results = []
    other = threading.Thread(target=lambda: results.extend(workers.load_media(good, size=(16, 16)) for _ in range(3)))
    other.start()
    started = time.monotonic()
    kind = MediaLimitError if reason != "crash" else MediaError
    with pytest.raises(kind, match=f"{len(bad)} bytes of media .*{message}"):
        workers.load_media(bad, size=(16, 16), media_limits={"max_decode_seconds": 0.5})
    assert time.monotonic() - started < 10
    other.join()
    for result in results:
        assert_same(result, expected)
    assert len(results) == 3 and workers.ended - before == {reason: 1} and workers.restarts == 0


def test_memory_bounds_what_a_small_file_of_many_pixels_takes():
    side = 5792  # as many pixels as a server's default bound allows
    data = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(data, "JPEG")
    content, limits = data.getvalue(), MediaLimits(max_pixels=int(MEDIA_LIMITS["max_pixels"]))
    assert limits.max_pixels * 0.99 < side * side <= limits.max_pixels
    assert len(content) < 1 << 20
    with DecodingWorkers(1, memory_bytes=512 << 20) as workers:
        clip = workers.load_media(content, size=(32, 32), media_limits=limits)
        assert clip.frames is not None and len(clip.frames) == 1
    with DecodingWorkers(1, memory_bytes=128 << 20) as workers:
        with pytest.raises(MediaLimitError, match="more than 128 MiB"):
            workers.load_media(content, size=(32, 32), media_limits=limits)
        assert workers.ended["memory"] == 1


def test_a_decoder_that_nothing_interrupts_is_ended(workers):
    """The bound that would refuse the file before is raised, so that libjpeg goes over 15,000 scans."""
    data = io.BytesIO()
    Image.new("L", (1024, 1024), 128).save(data, "JPEG", progressive=True)
    content = data.getvalue()
    last = content.rindex(b"\xff\xda")
    scans = content[:last] + content[last:-2] * 15_000 + content[-2:]
    limits = {"max_pixels": 1 << 30, "max_decode_seconds": 0.5}
    before, started = workers.ended["time"], time.monotonic()
    with pytest.raises(MediaLimitError, match="was given up: decoding it takes more time"):
        workers.load_media(scans, media_limits=limits)
    assert time.monotonic() - started < 10
    assert workers.ended["time"] == before + 1


def test_the_program_that_makes_processes_may_die(media_dir):
    with DecodingWorkers(2) as workers:
        workers.load_media(media_dir / "photo.png")
        os.kill(workers._program.pid, signal.SIGKILL)
        workers.load_media(media_dir / "photo.png")
        assert workers.restarts == 1
        assert workers.ended.total() == 0


def test_pictures_have_the_time_of_the_largest_one():
    assert picture_seconds(MediaLimits(max_pixels=1 << 20)) < 6
    assert 30 < picture_seconds(MediaLimits()) < 60


# What a process may not do


@LINUX
def test_a_process_reaches_nothing(doing, media_dir):
    with pytest.raises(MediaError) as error:
        doing.load_media(doing_so(media_dir / "photo.png", "reaches out"))
    assert str(error.value) == "done: ."


def test_threads_are_no_processes(workers):
    """libavif decodes in threads, which a process may have."""
    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    Image.fromarray(noise).save(data, "AVIF")
    assert_same(workers.load_media(data.getvalue()), load_media(data.getvalue()))


@LINUX
def test_no_process_outlives_the_one_that_made_it(media_dir):
    program = (
        "import os, sys, time\n"
        "from favor.serving import DecodingWorkers\n"
        "workers = DecodingWorkers(2)\n"
        "workers.load_media(sys.argv[1])\n"
        "print(workers._program.pid, *(process.pid for process in workers._spares), flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(media_dir / "photo.png")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        pids = [int(pid) for pid in server.stdout.readline().split()]
        assert len(pids) >= 2 and all(Path(f"/proc/{pid}").exists() for pid in pids)
        server.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


def test_nothing_stays_open(workers, media_dir):
    for source in (media_dir / "photo.png", (media_dir / "photo.png").read_bytes(), b"none"):
        for number in range(6):
            if number == 2:
                before = len(os.listdir("/proc/self/fd"))
            with contextlib.suppress(MediaError):
                workers.load_media(source)
        assert len(os.listdir("/proc/self/fd")) <= before


# What a process that is no longer ours may answer


def answered(data: bytes, **limits):
    options = {name: value for name, value in OPTIONS.items() if name not in ("media_limits", "max_frames")}
    request = DecodeRequest("a.mp4", 2.0, None, None, vars(MediaLimits(**limits)), options)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return receive_answer(ours, request, time.monotonic() + 5)


def head(**fields) -> bytes:
    clip = {"frames": None, "audio": None, "duration": 1.0, "still": False, "warnings": []}
    data = json.dumps({**clip, **fields}).encode()
    return LENGTH.pack(len(data)) + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        LENGTH.pack(1 << 31),
        LENGTH.pack(3) + b"{}}",
        LENGTH.pack(2) + b"[]",
        LENGTH.pack(1) + b"1",
        LENGTH.pack(200_000) + b"[" * 200_000,
        head(frames=[1 << 20, 1 << 20, 1 << 20]),
        head(frames=[-1, 2, 2]),
        head(frames=[1.0, 2, 2]),
        head(frames=[1, 2]),
        head(frames="abc"),
        head(frames=[2, 4, 4]) + bytes(10),
        head(audio=1 << 39),
        head(audio="1"),
        head(audio=True),
        head(duration="long"),
        head(warnings=3),
        head()[:-5],
    ],
)
def test_what_is_no_answer_is_none(data):
    with pytest.raises(BrokenAnswer):
        answered(data)


def test_only_errors_about_media_can_be_sent():
    for kind in ("MediaError", "MediaLimitError", "DamagedMediaError"):
        with pytest.raises(MediaError, match="^so$") as error:
            answered(head(error=kind, message="so"))
        assert type(error.value).__name__ == kind
    answer = answered(head(frames=[1, 1, 2], audio=2) + bytes(6 + 8) + np.float32([0.5, 1]).tobytes())
    assert answer.clip.frames.shape == (1, 1, 2, 3) and answer.clip.audio.tolist() == [0.5, 1.0]


# In the engine, the page and the server


def test_answers_are_the_same(pipe, media_dir, workers):
    questions = [chat(media_dir / name, kind=kind) for name, kind in (("clip.mp4", "video"), ("photo.png", "image"))]
    with ChatEngine(pipe) as engine:
        expected = ["".join(engine.ask(question)) for question in questions]
    with ChatEngine(pipe, decoders=workers) as engine:
        assert ["".join(engine.ask(question)) for question in questions] == expected
        assert engine._processor.media_loader == workers.load_media
    assert pipe.processor.media_loader is load_media


def test_a_model_whose_code_cannot_is_refused(pipe, workers, monkeypatch):
    monkeypatch.delattr(type(pipe.processor).__mro__[2], "media_loader")
    with pytest.raises(ValueError, match="code is older"):
        ChatEngine(pipe, decoders=workers)


def test_the_page_perceives_the_same(pipe, media_dir, workers):
    one = perceive(pipe.processor, media_dir / "clip.mp4")
    other = perceive(decoding_by(pipe.processor, workers), media_dir / "clip.mp4")
    np.testing.assert_array_equal(one.pictures, other.pictures)
    np.testing.assert_array_equal(one.loudness, other.loudness)


def test_a_file_that_kills_its_decoder_is_told_and_counted(doing, pipe, media_dir):
    good, bad = (media_dir / "photo.png").read_bytes(), doing_so(media_dir / "photo.png", "reads nowhere")
    crashes, late = doing.ended["crash"], doing.ended["time"]
    with ChatEngine(pipe, decoders=doing) as engine, serving(engine) as address:
        before = post(address, {"messages": TEXT})
        status, body, _ = post(address, {"messages": asked(bad)})
        assert (status, body["error"]["code"]) == (400, "invalid_media")
        assert f"{len(bad)} bytes of media cannot be decoded: it ended the decoder" in body["error"]["message"]
        assert post(address, {"messages": asked(good)})[0] == 200
        after = post(address, {"messages": TEXT})
        assert before[1]["choices"] == after[1]["choices"]
        seen = metrics(address)
        assert seen['favor_decoders_ended_total{reason="crash"}'] == crashes + 1
        assert seen['favor_decoders_ended_total{reason="time"}'] == late
        assert seen["favor_decoder_restarts_total"] == 0


def test_while_decoders_hang_text_is_answered_and_health_tells(doing, pipe, media_dir, monkeypatch):
    monkeypatch.setattr("favor.serving.engine_state.STANDS_STILL", 0.3)
    late = doing.ended["time"]
    limits = {"max_decode_seconds": 1.5}
    with ChatEngine(pipe, decoders=doing, media_limits=limits) as engine, serving(engine) as address:
        bad = doing_so(media_dir / "photo.png", "sleeps")
        answers = [engine.ask(chat(bad + bytes([number]), kind="image")) for number in range(3)]
        wait_until(lambda: engine.standing_still == ["media"])
        started = time.monotonic()
        assert post(address, {"messages": TEXT})[0] == 200
        assert time.monotonic() - started < 2
        seen = metrics(address)
        assert (seen['favor_lane_working{lane="media"}'], seen['favor_lane_waiting{lane="media"}']) == (2, 1)
        for answer in answers:
            with pytest.raises(MediaLimitError, match="more time than max_decode_seconds=1.5"):
                list(answer)
        assert doing.ended["time"] == late + 3 and not engine.standing_still


def asked(file: bytes) -> list[dict]:
    url = f"data:;base64,{base64.b64encode(file).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Red?"}]
    return [{"role": "user", "content": content}]


def test_pieces_are_what_iterate_media_makes(workers, media_dir):
    """`iterate_media` stays in this process: whoever wants a film in pieces trusts it."""
    pieces = list(iterate_media(media_dir / "clip.mp4", size=(16, 16)))
    whole = workers.load_media(media_dir / "clip.mp4", size=(16, 16))
    np.testing.assert_array_equal(np.concatenate([piece.frames for piece in pieces]), whole.frames)
