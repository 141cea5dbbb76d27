# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Rendered worlds, whose every answer is known from what was drawn: data to train on and to be tested on.

A world is a folder: subclasses of `scene.Scene`, one for each task, and a function that samples them for
`split.write_scenes`. The files here know no world: scenes and their lines, splits, questions, the half-second grid,
sampling by name, speech and media files. `mini` is AVEB-mini, `real` the world of real things.
"""
