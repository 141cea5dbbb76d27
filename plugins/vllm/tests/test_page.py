# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Runs the Python of docs/vllm.md; its commands are those of `conftest.vllm_serve` and the Makefile."""

import re

from conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "vllm.md").read_text(encoding="utf-8")


def test_the_python_of_the_page_runs(checkpoint_dir, media_dir, capsys):
    from vllm.distributed import cleanup_dist_env_and_memory

    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = code.replace("MODEL_DIR", str(checkpoint_dir("llama")))
    code = code.replace("clips/media", str(media_dir)).replace("000000.mp4", "clip.mp4")
    names: dict = {}
    try:
        exec(compile(code, "vllm.md", "exec"), names)
    finally:
        names.pop("llm").llm_engine.engine_core.shutdown()
        cleanup_dist_env_and_memory()
    assert len(capsys.readouterr().out.splitlines()) >= 2
