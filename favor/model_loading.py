# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Opens a model folder, a Hub id or one of the package's own models as a `video-text-to-text` pipeline."""

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from .prepared_model import PREPARED_NAME, prepare

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline

BUNDLED_NAME = "favor-tiny"  # by which it is named everywhere
OWN_MODELS = (BUNDLED_NAME, PREPARED_NAME)
_BUNDLED_FOLDER = "favor_tiny"
_PROBE_SECONDS = 10
_MODEL_FILES = ("config.json", "adapter_config.json")


def bundled_model_path(name: str = BUNDLED_NAME) -> Path:
    """The folder of a model that comes with the package, for `from_pretrained` of transformers and the like.

    Args:
        name: "favor-tiny", or "favor-135m", which is made at the first call (see `prepared_model.prepare`).

    Raises:
        FileNotFoundError: the package was installed without it, or a part of it cannot be had.
        ValueError: the package has no model of that name.
    """
    if name == PREPARED_NAME:
        return prepare()
    if name != BUNDLED_NAME:
        raise ValueError(f"The package has no model {name!r}, but {' and '.join(OWN_MODELS)}.")
    folder = Path(str(files("favor"))) / _BUNDLED_FOLDER
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"The bundled model is missing from {folder}: reinstall the package, or name a model with --model."
        )
    return folder


def load_pipeline(model: str | None = None) -> "VideoTextToTextPipeline":
    """
    The pipeline of a model, on the accelerator if there is one.

    Code that lies in the model's folder is not run: model, processor and pipeline are this package's classes.

    Args:
        model: a model folder, an adapter folder or a Hub id, which may name a branch, tag or commit ("org/name@v1");
            "favor-135m" and "favor-tiny" are the package's own, and no name is favor-tiny.

    Raises:
        ValueError: the folder holds a model of another kind, or broken files.
        OSError: no such folder, Hub id or revision.
    """
    from safetensors import SafetensorError
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

    from favor.modeling_favor import VideoTextToTextPipeline

    from .registration import register

    register()
    source, revision = source_and_revision(model_source(model))
    _check_model_type(source, revision)
    try:
        return pipeline(
            "video-text-to-text",
            model=source,
            revision=revision,
            pipeline_class=VideoTextToTextPipeline,
            trust_remote_code=False,
        )
    except SafetensorError as error:
        raise ValueError(f"The weights in {source} cannot be read: {error}.") from error


def model_source(model: str | os.PathLike | None) -> str:
    """
    What `from_pretrained` loads for the name of a model: a folder for "favor-tiny", "favor-135m" and for no name.

    Args:
        model: as of `load_pipeline`. A model folder of one's own with such a name goes before the package's.

    Raises:
        FileNotFoundError: there is no such folder, and it is no Hub id that is downloaded or can be; or favor-135m
            cannot be made.
    """
    name = named_folder(model)
    if not os.path.exists(name):
        _check_hub_id(name)
    return name


def named_folder(model: str | os.PathLike | None) -> str:
    """The folder of a model of the package's own, by its name; any other name as it is. Raises as [`model_source`]."""
    if model is None or is_bundled(model):
        return str(bundled_model_path())
    return str(prepare()) if own_model(model) == PREPARED_NAME else os.fspath(model)


def own_model(model: str | os.PathLike | None) -> str | None:
    """Which of `OWN_MODELS` a name means, if any."""
    if model is None:
        return BUNDLED_NAME
    name = os.fspath(model)
    return name if name in OWN_MODELS and not _is_model_folder(name) else None


def is_bundled(model: str | os.PathLike | None) -> bool:
    """Whether a name means favor-tiny, which lies in the package and knows only rendered clips."""
    return own_model(model) == BUNDLED_NAME


def _is_model_folder(folder: str) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in _MODEL_FILES)


def _check_hub_id(name: str) -> None:
    """Asks for a model that is no folder once, where transformers would ask for many files, each several times."""
    missing = f"There is no model folder {name!r} (looked in {os.getcwd()})"
    source, revision = source_and_revision(name)
    parts = source.split("/")
    if len(parts) != 2 or not all(parts) or parts[0] in (".", "..", "~") or os.path.isdir(parts[0]):
        raise FileNotFoundError(f"{missing}; name one that exists, a Hub id (ORG/NAME), or {' or '.join(OWN_MODELS)}.")
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        if any(isinstance(try_to_load_from_cache(source, file, revision=revision), str) for file in _MODEL_FILES):
            return
        if constants.HF_HUB_OFFLINE:
            raise FileNotFoundError(f"{missing}, and the Hub's {name} was not downloaded before (HF_HUB_OFFLINE).")
        get_hf_file_metadata(hf_hub_url(source, "config.json", revision=revision), timeout=_PROBE_SECONDS)
    except HFValidationError as error:
        raise FileNotFoundError(f"{missing}, and it is no Hub id: {error}") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"{missing}, and no repository {name} on the Hub that you may read.") from error
    except (EntryNotFoundError, HfHubHTTPError):
        return  # an adapter has no config.json; what else the Hub says is told when the model is loaded
    except OfflineModeIsEnabled as error:
        raise FileNotFoundError(f"{missing}, and the Hub's {name} was not downloaded before ({error}).") from error
    except Exception as error:
        # The Hub's client lets through what its HTTP library raises, which differs from release to release.
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests")):
            raise
        raise FileNotFoundError(
            f"{missing}, and the Hub, where {name} might be, cannot be reached ({type(error).__name__})."
        ) from error


def source_and_revision(model: str) -> tuple[str, str | None]:
    """ "org/name@v1" as ("org/name", "v1"). A folder of that name is meant as it stands."""
    source, at, revision = model.rpartition("@")
    return (source, revision) if at and source and revision and not os.path.exists(model) else (model, None)


def _check_model_type(source: str, revision: str | None) -> None:
    """Raises `ValueError` unless `source` is a FAVOR model, or an adapter whose base model `pipeline()` will find."""
    from transformers import AutoConfig
    from transformers.utils import find_adapter_config_file

    from favor.modeling_favor import FavorConfig

    adapter = find_adapter_config_file(source, revision=revision)
    if adapter is not None:
        _check_base_model(source, Path(adapter))
        return
    if os.path.exists(source) and not os.path.isfile(os.path.join(source, "config.json")):
        raise ValueError(f"{source} is no model folder: it has no config.json.")
    config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    if config.model_type != FavorConfig.model_type:
        raise ValueError(f"{source} holds a model of type {config.model_type!r}, not {FavorConfig.model_type!r}.")


def _check_base_model(source: str, adapter: Path) -> None:
    """Raises `ValueError` or `FileNotFoundError` unless an adapter's base model is where `pipeline()` looks for it."""
    base = json.loads(adapter.read_text(encoding="utf-8")).get("base_model_name_or_path")
    remedy = f"Merge them: favor export {source} OUT_DIR --merge --base-model PATH_OR_ID."
    if not base or own_model(base):
        named = f"names {base} as its base model, which is no folder" if base else "names no base model"
        raise ValueError(f"The adapter {source} {named}. {remedy}")
    try:
        model_source(base)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"The adapter {source} needs its base model. {error} {remedy}") from error
