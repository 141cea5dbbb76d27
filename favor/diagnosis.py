# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is installed, what it can do and what is missing, found without loading a model or asking the network."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version

GIBIBYTE = 1 << 30
CODECS = ("h264", "hevc", "vp9", "av1", "aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le")
# Program -> what it is for, and how it is had.
PROGRAMS = {
    "java": "METEOR and SPICE (apt-get install openjdk-17-jre-headless)",
    "ffmpeg": "nothing here: files are read without it (to compare with, or to convert what cannot be read)",
}
NAMED_IN_REPORTS = (
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "FAVOR_CACHE",
    "PYTORCH_ENABLE_MPS_FALLBACK",
)


@dataclass
class Diagnosis:
    """`facts`: (name, what was found). `problems`: what stands in the way of everything. `missing`: of single uses."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """One block to paste into a report."""
        width = max(len(name) for name, _ in self.facts)
        lines = [f"{name.ljust(width)}  {found}" for name, found in self.facts]
        lines += [f"problem: {text}" for text in self.problems] or ["problems: none"]
        return lines + [f"missing: {text}" for text in self.missing]


def diagnose() -> Diagnosis:
    """Looks at the packages, the accelerator, the codecs, the programs and the bundled model of this machine."""
    from . import __version__

    found = Diagnosis()
    found.facts += [
        ("favor", __version__),
        ("python", f"{platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"),
        ("machine", _machine()),
    ]
    _look_at_packages(found)
    _look_at_accelerator(found)
    _look_at_codecs(found)
    for program, use in PROGRAMS.items():
        found.facts.append((program, "found" if shutil.which(program) else "not found"))
        if not shutil.which(program):
            found.missing.append(f"{program}, for {use}")
    _look_at_bundled_model(found)
    _look_at_prepared_model(found)
    settings = [f"{name}={os.environ[name]}" for name in NAMED_IN_REPORTS if name in os.environ]
    found.facts.append(("environment", ", ".join(settings) or "nothing set that matters"))
    return found


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIBIBYTE:.0f} GiB memory"
    except (ValueError, OSError, AttributeError):
        memory = ""
    free = shutil.disk_usage(os.getcwd()).free / GIBIBYTE
    return f"{cores} cores{memory}, {free:.0f} GiB free here"


def _look_at_packages(found: Diagnosis) -> None:
    """The packages that this one names: of each extra, and whether they are there in a release that fits."""
    extras: dict[str, list[str]] = {}
    lacking: dict[str, list[str]] = {}
    for extra, package, bounds, installed, fits in _requirements():
        shown = f"{package} {installed or 'not installed'}"
        extras.setdefault(extra, []).append(shown)
        if not fits:
            lacking.setdefault(extra, []).append(f"{package}{bounds}" + (f" (is {installed})" if installed else ""))
    if not extras:
        found.problems.append("the package is not installed, only on Python's path: pip install -e . in its checkout")
    for extra, packages in extras.items():
        found.facts.append((extra or "needed", ", ".join(packages)))
    for extra, packages in lacking.items():
        if extra:
            found.missing.append(f"{', '.join(packages)}: pip install 'favor[{extra}]'")
        else:
            found.problems.append(f"{', '.join(packages)} needed: pip install --upgrade favor")


def _requirements() -> Iterator[tuple[str, str, str, str | None, bool]]:
    """Extra ("" of what is always needed), package, bounds, installed release, and whether that fits."""
    from packaging.requirements import Requirement

    try:
        named = [Requirement(text) for text in requires("favor") or ()]
    except PackageNotFoundError:
        return
    seen = set()
    for requirement in named:
        marker = str(requirement.marker or "")
        extra = marker.partition("extra == ")[2].strip("\"'() ") if "extra ==" in marker else ""
        if requirement.name == "favor" or extra == "dev" or (extra, requirement.name) in seen:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        seen.add((extra, requirement.name))
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield extra, requirement.name, str(requirement.specifier), None, False
            continue
        fits = requirement.specifier.contains(installed, prereleases=True)
        yield extra, requirement.name, str(requirement.specifier), installed, fits


def _look_at_accelerator(found: Diagnosis) -> None:
    try:
        import torch
    except (ImportError, OSError) as error:
        found.problems.append(f"torch cannot be imported: {error}")
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            device = torch.cuda.get_device_properties(index)
            bits = "bfloat16" if torch.cuda.is_bf16_supported() else "no bfloat16"
            found.facts.append((f"cuda:{index}", f"{device.name}, {device.total_memory / GIBIBYTE:.0f} GiB, {bits}"))
        return
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    built = torch.version.cuda or getattr(torch.version, "hip", None)
    found.facts.append(("accelerator", str(kind) if kind else "none: models run on the CPU"))
    if kind is None and built:
        found.missing.append(f"a GPU that this torch (built for {built}) can use; see nvidia-smi or rocm-smi")


def _look_at_codecs(found: Diagnosis) -> None:
    try:
        import av
    except (ImportError, OSError) as error:
        found.problems.append(f"PyAV, which reads media, cannot be imported: {error}")
        return
    libraries = ".".join(str(part) for part in av.library_versions.get("libavcodec", ()))
    there = [name for name in CODECS if _can_decode(name)]
    absent = [name for name in CODECS if name not in there]
    found.facts.append(("codecs", f"{', '.join(there)} (libavcodec {libraries})"))
    if absent:
        found.missing.append(f"decoders of {', '.join(absent)}: install PyAV from its wheels (pip install --force av)")


def _can_decode(name: str) -> bool:
    import av

    try:
        av.Codec(name, "r")
    except (ValueError, av.FFmpegError):
        return False
    return True


def _look_at_bundled_model(found: Diagnosis) -> None:
    from .model_loading import BUNDLED_NAME, bundled_model_path

    try:
        size = sum(file.stat().st_size for file in bundled_model_path().glob("*.safetensors"))
    except FileNotFoundError as error:
        found.problems.append(str(error))
        return
    found.facts.append((BUNDLED_NAME, f"{size / 1e6:.1f} MB"))


def _look_at_prepared_model(found: Diagnosis) -> None:
    from .prepared_model import MEGABYTES, PREPARED_NAME, is_prepared, prepared_folder

    try:
        from transformers.utils import logging

        logging.set_verbosity_error()  # what it says of torchvision, which nothing here needs
        state = f"made, in {prepared_folder()}" if is_prepared() else ""
    except ImportError as error:  # told above
        found.facts.append((PREPARED_NAME, f"not looked for: {error}"))
        return
    except FileNotFoundError as error:
        found.facts.append((PREPARED_NAME, "not installed"))
        found.missing.append(str(error))
        return
    found.facts.append((PREPARED_NAME, state or f"not made yet: its first use fetches {MEGABYTES} MB of parts by pip"))
