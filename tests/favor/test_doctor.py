# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor doctor` says in one block what is installed and what is missing, and who is told nothing stays untold."""

import logging
import subprocess
import sys
import warnings

import pytest

from favor import diagnosis, third_party_noise
from favor.cli import main
from favor.diagnosis import diagnose


def test_one_block_says_what_is_there(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    facts = {line.split("  ", 1)[0]: line for line in printed.splitlines()}
    assert {"favor", "python", "machine", "needed", "train", "codecs", "favor-tiny"} <= set(facts)
    assert "torch " in facts["needed"] and "h264" in facts["codecs"] and "problems: none" in printed
    assert "\n\n" not in printed


def test_what_is_missing_is_named_with_its_remedy(monkeypatch, capsys):
    rows = [
        ("train", "trl", ">=1.0", None, False),
        ("train", "peft", ">=1.0", "0.9", False),
        ("", "torch", ">=99", "2.0", False),
    ]
    monkeypatch.setattr(diagnosis, "_requirements", lambda: iter(rows))
    monkeypatch.setattr(diagnosis.shutil, "which", lambda program: None)
    monkeypatch.setattr(diagnosis, "_can_decode", lambda name: name != "av1")
    found = diagnose()
    assert "trl>=1.0, peft>=1.0 (is 0.9): pip install 'favor[train]'" in found.missing
    assert any(text.startswith("java, for METEOR") for text in found.missing)
    assert any(text.startswith("decoders of av1") for text in found.missing)
    assert found.problems == ["torch>=99 (is 2.0) needed: pip install --upgrade favor"]
    assert main(["doctor"]) == 2
    assert "1 problems, see above" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("logger", "said", "heard"),
    [
        ("bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward from kernels-community: %s", False),
        ("bitsandbytes.backends.cpu.ops", "Another failure", True),
        ("favor.trainers", "Failed to load CPU gemm_4bit_forward", True),
    ],
)
def test_only_what_no_user_can_act_on_is_silent(logger, said, heard, caplog):
    with caplog.at_level(logging.WARNING):
        logging.getLogger(logger).warning(said)
    assert (said in [record.msg for record in caplog.records]) == heard


def test_announcements_are_silent_on_the_command_line_unless_they_are_asked_for(monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "")
    monkeypatch.setattr(third_party_noise.sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        third_party_noise.silence_announcements()
        warnings.warn("x is deprecated", FutureWarning, stacklevel=1)
        warnings.warn("look at this", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["look at this"]
    code = "import sys, favor.cli; sys.argv = ['favor', 'doctor']; favor.cli.silence_announcements()\n"
    code += "import warnings; warnings.warn('x', FutureWarning)"
    asked = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True)
    assert "FutureWarning" in asked.stderr
