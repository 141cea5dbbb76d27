# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVEB: tasks, metrics, judge, report and baselines of the audio-visual evaluation benchmark."""
