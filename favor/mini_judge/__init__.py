# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A tiny language model that judges answers of AVEB-mini's closed world, trained on the spot: nothing to download.

`python -m favor.mini_judge OUT_DIR` trains it, and `favor eval --judge-model OUT_DIR` asks it. It compares
what two answers name (colours, shapes, sounds, words) and knows nothing else: no judge for the real benchmark.
"""
