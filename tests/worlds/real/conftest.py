# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A tiny stand-in for the packages of the world of real things, in the formats in which they come."""

import json
import stat
import sys
import wave
from pathlib import Path

import av
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw

from favor.worlds.real.assets import Assets
from favor.worlds.real.prepare import prepare

# things whose sign the stand-in for Noto's font (DejaVu Sans) holds, too
EMOJI = {
    "☀": ("sun", "Travel & Places"),
    "☁": ("cloud", "Travel & Places"),
    "☂": ("umbrella", "Travel & Places"),
    "☃": ("snowman", "Travel & Places"),
    "⚓": ("anchor", "Travel & Places"),
    "✂️": ("scissors", "Objects"),
    "✈": ("airplane", "Travel & Places"),
    "✉": ("envelope", "Objects"),
    "✏": ("pencil", "Objects"),
    "⚙": ("gear", "Objects"),
    "☎": ("telephone", "Objects"),
    "⚔": ("crossed swords", "Objects"),
    "😀": ("grinning face", "Smileys & Emotion"),
    "🐶": ("dog face", "Animals & Nature"),
    "🐷": ("pig face", "Animals & Nature"),
    "🐮": ("cow face", "Animals & Nature"),
    "🦁": ("lion", "Animals & Nature"),
    "🐓": ("rooster", "Animals & Nature"),
    "🚁": ("helicopter", "Travel & Places"),
    "🕛": ("twelve o’clock", "Travel & Places"),
    "🔥": ("fire", "Travel & Places"),
    "👶": ("baby", "People & Body"),
}
ESC_CLASSES = ("dog", "rooster", "rain", "sea_waves", "crackling_fire", "crying_baby", "clock_tick", "helicopter")
_SPEAKER = """#!{python}
import sys, wave, zlib
arguments = sys.argv[1:]
file = arguments[arguments.index("{flag}") + 1]
text = arguments[arguments.index("-t") + 1] if "-t" in arguments else arguments[-1]
voice = arguments[arguments.index("{voice}") + 1]
tone = 100 + zlib.crc32(voice.encode()) % 50
samples = bytearray()
for letter in text:
    for place in range(400):
        value = 9000 if (place // (ord(letter) - 20)) % 2 else -9000
        samples += value.to_bytes(2, "little", signed=True)
with wave.open(file, "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000 + tone); out.writeframes(bytes(samples))
"""


def picture(name: str, vendor: str, side: int) -> Image.Image:
    """A coloured blob that is another one for each name and vendor."""
    rng = np.random.default_rng([ord(letter) for letter in name + vendor])
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        left, top = rng.integers(0, side // 2, 2)
        colour = tuple(int(value) for value in rng.integers(0, 255, 3))
        draw.ellipse((left, top, left + side // 2, top + side // 2), fill=(*colour, 255))
    return image


def tone(seed: int, seconds: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (np.sin(np.arange(round(seconds * 16000)) * rng.uniform(0.05, 0.5)) * 0.5).astype(np.float32)


def write_ogg(path: Path, samples: np.ndarray) -> None:
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")  # the wheel has no encoder of Vorbis
        frame = av.AudioFrame.from_ndarray(np.repeat(samples, 3)[None], format="flt", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_wave(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def make_packages(folder: Path) -> dict[str, Path]:
    """Unpacked packages by name, as `fetch_packages` returns them."""
    names = folder / "unicode-emoji-json" / "package"
    names.mkdir(parents=True)
    table = {emoji: {"name": name, "group": group} for emoji, (name, group) in EMOJI.items()}
    (names / "data-by-emoji.json").write_text(json.dumps(table))
    font = folder / "fonts-noto-color-emoji" / "usr" / "share" / "NotoColorEmoji.ttf"
    font.parent.mkdir(parents=True)
    font.write_bytes((Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf").read_bytes())
    fluent, twitter = folder / "lobehub-fluent-emoji-3d" / "package" / "assets", folder / "emoji-datasource-twitter"
    fluent.mkdir(parents=True)
    (twitter / "package" / "img" / "twitter" / "64").mkdir(parents=True)
    for emoji in EMOJI:
        codes = "-".join(f"{ord(letter):04x}" for letter in emoji)
        picture(codes, "fluent", 256).save(fluent / f"{codes}.webp")
        picture(codes, "twitter", 64).save(twitter / "package" / "img" / "twitter" / "64" / f"{codes}.png")
    _make_stamps(folder / "tuxpaint-stamps-default" / "usr" / "share" / "tuxpaint" / "stamps")
    wordnet = folder / "wordnet-base" / "usr" / "share" / "wordnet"
    wordnet.mkdir(parents=True)
    lines = [f'00001740 03 n 01 entity 0 | that; "the {word} lay on the old table"; "short one"' for word in range(3)]
    lines += [f'0 | x; "she saw the {word} in the garden"' for word in "abcdefghijklmnopqrstuvwxyz" for _ in range(2)]
    (wordnet / "data.noun").write_text("\n".join(lines))
    return {path.name: path for path in folder.iterdir()} | {
        "@lobehub/fluent-emoji-3d": folder / "lobehub-fluent-emoji-3d"
    }


def _make_stamps(root: Path) -> None:
    sentences = {
        "animals/pig": "A pig.",
        "animals/pig_golden": "A Tamworth pig.",
        "animals/pig_copy": "A small pig.",
        "animals/cow": "A cow.",
        "animals/sea_lion": "A sea lion.",
        "animals/cartoon/cow2": "A happy cow!",
        "animals/silent": "A yak.",
        "animals/lion": "A lion.",
        "town/airplane": "An airplane.",
        "town/sun": "The Sun.",
        "town/snowman": "A snowman.",
        "town/helicopter": "A helicopter.",
        "town/anchor": "An old anchor.",
        "town/umbrella": "A red umbrella.",
        "town/telephone": "A telephone.  Hello? Hello?",
        "town/pencil": "A pencil.",
        "town/envelope": "An envelope.",
        "town/scissors": "A pair of open scissors.",
        "symbols/letter": "The letter A.",
    }
    for number, (key, sentence) in enumerate(sentences.items()):
        file = root / f"{key}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{sentence}\nde.utf8=Etwas\n", encoding="utf-8")
        picture(key, "stamps", 300).save(root / f"{key}.png")
        if key in ("animals/pig", "animals/pig_golden", "animals/cow", "animals/cartoon/cow2", "animals/sea_lion"):
            write_ogg(root / f"{key}.ogg", tone(number))
            write_ogg(root / f"{key}_desc.ogg", tone(number + 100))
    (root / "animals" / "pig_copy.ogg").write_bytes((root / "animals" / "pig.ogg").read_bytes())
    write_ogg(root / "animals" / "silent.ogg", np.zeros(16000, np.float32))


def make_sounds(folder: Path) -> Path:
    """ESC-50's folder, with two classes that are not in ESC-10."""
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for number, name in enumerate((*ESC_CLASSES, "cat", "frog")):
        for fold in (1, 2, 4):
            file = f"{fold}-{number}-A-{number}.wav"
            write_wave(folder / "audio" / file, tone(1000 + 10 * number + fold, 2.0))
            rows.append(f"{file},{fold},{number},{name},{name in ESC_CLASSES},{number},A")
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    return folder


def make_digits(folder: Path) -> Path:
    for digit in range(3):
        write_wave(folder / f"{digit}_jackson_0.wav", tone(2000 + digit, 0.4))
    return folder


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Assets:
    """A prepared folder of the stand-in."""
    folder = tmp_path_factory.mktemp("real")
    return prepare(
        folder / "assets",
        lambda text: None,
        sounds=make_sounds(folder / "esc"),
        digits=make_digits(folder / "digits"),
        packages=make_packages(folder / "unpacked"),
    )


@pytest.fixture
def speakers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs flite and espeak-ng that hum a text, before any others on the PATH."""
    for name, flag, voice in (("flite", "-o", "-voice"), ("espeak-ng", "-w", "-v")):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(_SPEAKER.format(python=sys.executable, flag=flag, voice=voice))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
