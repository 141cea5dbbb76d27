# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tensors of a published checkpoint by name, whichever of the four file layouts it has, read one at a time.

The layouts: `model.safetensors`, its shards with an index, `pytorch_model.bin`, its shards with an index. Of a Hub
repository only the files that hold a tensor asked for are downloaded.
"""

import json
import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME
from transformers.utils.hub import cached_file

SAFETENSORS_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}
HEADER_SIZE_BYTES = 8  # of a safetensors file: little-endian, before the header's JSON


class CheckpointFiles:
    """
    The weight files of a local folder or a Hub repository.

    Attributes:
        files (`dict[str, str]`): the file of each tensor.

    Raises:
        ValueError: no weight files, a broken or missing file, or a file without a tensor that the index promises.
        OSError: a Hub repository that cannot be reached.
    """

    def __init__(self, source: str | os.PathLike):
        self.source = os.fspath(source)
        self.files: dict[str, str] = {}
        for name in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME):
            path = find_file(self.source, name)
            if path is not None:
                self.files = read_index(path) if name.endswith(".json") else dict.fromkeys(read_shapes(path), name)
                return
        raise ValueError(
            f"{self.source} holds no weights: none of {SAFE_WEIGHTS_NAME}, {WEIGHTS_NAME} or their indices"
            f"{_other_files(self.source)}."
        )

    def path(self, file: str) -> str:
        """Where `file` is on this machine; downloaded if need be."""
        path = find_file(self.source, file)
        if path is None:
            raise ValueError(f"{self.source} lacks the file {file}, which its index names: download it again.")
        return path

    def shapes(self, names: list[str]) -> dict[str, torch.Tensor]:
        """Shape and dtype of tensors, as tensors on the meta device; only their headers are read."""
        shapes = {}
        for file in sorted({self.files[name] for name in names}):
            path = self.path(file)
            held = read_shapes(path)
            wanted = [name for name in names if self.files[name] == file]
            lacking = [name for name in wanted if name not in held]
            if lacking:
                raise ValueError(f"{path} lacks {shortened(lacking)}, which the index promises: download it again.")
            shapes.update({name: held[name] for name in wanted})
        return shapes

    def load(self, name: str) -> torch.Tensor:
        """One tensor, of whose file nothing else is read."""
        return load_tensor(self.path(self.files[name]), name)


def find_file(source: str, name: str) -> str | None:
    """The local path of a file of a folder or Hub repository, or None if there is no such file."""
    if os.path.isdir(source):
        path = os.path.join(source, name)
        return path if os.path.isfile(path) else None
    return cached_file(source, name, _raise_exceptions_for_missing_entries=False)


def read_index(path: str) -> dict[str, str]:
    """The file of each tensor, from a `*.index.json`."""
    try:
        files = json.loads(Path(path).read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no index of weight files: it has no weight_map ({error}).") from error
    strange = sorted({file for file in files.values() if os.path.basename(file) != file})
    if strange:
        raise ValueError(f"{path} names files outside its folder: {shortened(strange)}.")
    return files


def read_shapes(path: str) -> dict[str, torch.Tensor]:
    """All tensors of a weight file on the meta device."""
    if path.endswith(".safetensors"):
        try:
            # As numpy: torch's way reserves memory for the whole file, which a large one may be refused.
            with safe_open(path, framework="np") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
                return {
                    name: torch.empty(part.get_shape(), dtype=SAFETENSORS_DTYPES[part.get_dtype()], device="meta")
                    for name, part in slices.items()
                }
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path} is no readable safetensors file: {error}.") from error
    return {name: tensor.to("meta") for name, tensor in load_pickled(path).items()}


def load_tensor(path: str, name: str) -> torch.Tensor:
    """One tensor of a weight file that `read_shapes` has found sound."""
    if not path.endswith(".safetensors"):
        return load_pickled(path)[name]
    with open(path, "rb") as file:
        header_size = int.from_bytes(file.read(HEADER_SIZE_BYTES), "little")
        entry = json.loads(file.read(header_size))[name]
        begin, end = entry["data_offsets"]
        content = torch.empty(end - begin, dtype=torch.uint8)
        file.seek(HEADER_SIZE_BYTES + header_size + begin)
        if file.readinto(content.numpy()) != end - begin:
            raise ValueError(f"{path} ended while {name} was read: download it again.")
    return content.view(SAFETENSORS_DTYPES[entry["dtype"]]).reshape(entry["shape"])


def load_pickled(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a pickled state dict."""
    return {name: tensor for name, tensor in read_pickle(path).items() if isinstance(tensor, torch.Tensor)}


def read_pickle(path: str) -> dict:
    """The content of a file by `torch.save`, without running what a pickle can run; memory-mapped if its age allows.

    A file from before torch 1.6 cannot be mapped: all of it is read.
    """
    try:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} is no file of weights that can be read safely: {reason}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict.")
    return content


def shortened(names: list[str], most: int = 8) -> str:
    """Names in a line, the first few if they are many."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _other_files(source: str) -> str:
    if not os.path.isdir(source):
        return ""
    found = sorted(name for name in os.listdir(source) if os.path.isfile(os.path.join(source, name)))
    return f" (it holds {shortened(found)})" if found else " (it is empty)"


__all__ = ["CheckpointFiles", "find_file", "load_tensor", "read_pickle", "read_shapes", "shortened"]
