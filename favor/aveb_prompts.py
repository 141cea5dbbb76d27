# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVEB's own prompts, by which the rendered worlds ask. Their texts stand in the tasks of the benchmark alone."""

from favor.evaluation.readers import questions, sounds, spoken_questions
from favor.evaluation.tasks import ac, asr, avsr, avssd, ic
from favor.worlds.question import Prompts

AVEB_PROMPTS = Prompts(
    asr=asr.PROMPT,
    ac=ac.PROMPT,
    ic=ic.PROMPT,
    avsr=avsr.PROMPT,
    isqa=spoken_questions.PROMPT,
    avssd=avssd.PROMPT,
    avm_image=sounds.IMAGE_QUESTION,
    avm_video=sounds.VIDEO_QUESTION,
    options=questions.OPTIONS_PROMPT,
)
