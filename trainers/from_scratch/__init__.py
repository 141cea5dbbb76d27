# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What only a model needs that begins with random weights, as favor-tiny did: tokenisers, towers, words, connector.

Fine-tuning imports nothing of it: a recipe that begins with a `model` runs without these files.
"""
