# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Cards and model folders promise the releases that setup.cfg names, and no others."""

import re

import pytest

from favor.hub_upload import requirements
from favor.hub_upload.model_card import CardFacts
from favor.hub_upload.push import model_repository
from favor.hub_upload.upload import Destination
from tests.conftest import REPOSITORY

NAMES = ["transformers", "torch", "pillow", "av", "jinja2"]
METADATA = ["transformers<5.25,>=5.23", "torch<2.15,>=2.13", "Pillow<14,>=12.3", "av<19,>=18.1", "jinja2<4,>=3.1"]
OF_TRAINING = ["numpy<3,>=2.4", 'peft<1,>=0.21; extra == "train"']


def line_of(name: str) -> str:
    """The line of setup.cfg that requires a distribution."""
    return re.search(rf"^    ({name}[<>=!~].*)$", (REPOSITORY / "setup.cfg").read_text(), re.MULTILINE)[1]


def test_a_checkout_reads_setup_cfg():
    assert requirements.model_requirements("peft") == [line_of(name) for name in (*NAMES, "peft")]


def test_an_installed_package_reads_its_metadata(monkeypatch, tmp_path):
    monkeypatch.setattr(requirements, "CHECKOUT", tmp_path)
    monkeypatch.setattr(requirements.metadata, "requires", lambda name: METADATA + OF_TRAINING)
    assert requirements.model_requirements() == [
        "transformers>=5.23,<5.25",
        "torch>=2.13,<2.15",
        "pillow>=12.3,<14",
        "av>=18.1,<19",
        "jinja2>=3.1,<4",
    ]
    assert requirements.model_requirements("peft")[-1] == "peft>=0.21,<1"


def test_a_model_folder_lists_them(tiny_model_dir):
    assert (tiny_model_dir / "requirements.txt").read_text().splitlines() == [line_of(name) for name in NAMES]


@pytest.mark.parametrize("adapter", [False, True])
def test_the_card_names_them(tiny_model_dir, tmp_path, adapter):
    folder = tiny_model_dir
    if adapter:
        folder = tmp_path / "adapter"
        folder.mkdir()
        (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base", "peft_type": "LORA"}')
        (folder / "adapter_model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with model_repository(folder, Destination("org/mine"), CardFacts(), False, None, False) as outgoing:
        card = outgoing.source("README.md").read_text()
        assert outgoing.source("requirements.txt") is not None or adapter
    quoted = " ".join(f"'{line_of(name)}'" for name in NAMES + ["peft"] * adapter)
    assert f"`pip install {quoted}`" in card
