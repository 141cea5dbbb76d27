# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Nearest neighbour: the answer of the training example whose pooled encoder states are most like the question's.

What the frozen towers tell by themselves. Neither connector nor language model runs.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from .answerer import MEDIA_INPUTS, Answer, Answerer, chat_of
from .json_fields import JsonObject
from .sample import EvalSample

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline


class NeighbourAnswerer(Answerer):
    """Answers with the first reference of the example that is nearest by cosine.

    A sample's vector is the mean of the vision tower's vectors over its pictures, or of the audio tower's states over
    its sound, or one after the other; before cosines are taken, the examples' mean is subtracted.

    Args:
        pipe: of a model with the towers. Its visual Q-Former, if it has one, sees no question.
        examples: training samples with media of the same kinds as the questions'.
        batch_size: how many go through the towers together.

    Raises `ValueError` without examples.
    """

    def __init__(self, pipe: "VideoTextToTextPipeline", examples: Sequence[EvalSample], batch_size: int = 16):
        if not examples:
            raise ValueError("A nearest neighbour needs examples; got none. Give rows of the training data.")
        self.pipe, self.batch_size = pipe, batch_size
        self.names = [example.references[0] for example in examples]
        self.given = _given(examples[0])
        vectors = self.vectors(examples)
        self.centre = vectors.mean(0)
        self.examples = torch.nn.functional.normalize(vectors - self.centre, dim=-1)  # (examples, width)
        self.facts: JsonObject = {"examples": len(examples)}

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        """Raises `ValueError` for a sample that has other media than the examples."""
        given = _given(samples[0])
        if given != self.given:
            raise ValueError(
                f"The samples are given {given}, and the examples {self.given}: give examples of the same task."
            )
        asked = self.vectors(samples)
        cosines = torch.nn.functional.normalize(asked - self.centre, dim=-1) @ self.examples.T  # (samples, examples)
        best = cosines.max(dim=1)
        return [
            Answer(self.names[index], {"example": index, "cosine": round(cosine, 4)})
            for index, cosine in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def vectors(self, samples: Sequence[EvalSample]) -> torch.Tensor:
        """(samples, width) float32 pooled states.

        Raises `ValueError` for samples without media, and for some that are given what others are not.
        """
        given = {_given(sample) for sample in samples}
        if len(given) > 1 or "nothing" in given:
            raise ValueError(
                "A nearest neighbour compares samples that have the same media; these are given "
                f"{' or '.join(sorted(given))}."
            )
        batches = (samples[start : start + self.batch_size] for start in range(0, len(samples), self.batch_size))
        vectors = [self._encoded(batch) for batch in batches]
        if len({batch.shape[1] for batch in vectors}) > 1:  # the clips of a whole batch lack what others have
            raise ValueError("Some samples have no sound, or no picture, that others have: leave them out.")
        return torch.cat(vectors)

    def _encoded(self, samples: Sequence[EvalSample]) -> torch.Tensor:
        chats = [chat_of(sample) for sample in samples]
        inputs = self.pipe.preprocess(chats, load_audio_from_video=samples[0].use_own_audio)
        model = self.pipe.model.model
        names = (name for name in MEDIA_INPUTS if name in inputs and not name.startswith("qformer"))
        with torch.inference_mode():
            states = model.encode_media(**{name: inputs[name].to(self.pipe.device) for name in names})
        return pooled_states(states)


def _given(sample: EvalSample) -> str:
    """Which media a system gets, in words."""
    muted = ["muted video" if kind == "video" and not sample.use_own_audio else kind for kind in sorted(sample.media)]
    return " and ".join(muted) or "nothing"


def pooled_states(states: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """(items, width) float32: what `FavorModel.encode_media` returned, averaged over each item's own time.

    Raises `ValueError` if one of several items lacks a stream that others have.
    """
    parts = []
    for stream, count in (("visual", "num_visual_frames"), ("audio", "num_audio_vectors")):
        if stream not in states:
            continue
        values, lengths = states[stream].float().cpu(), states[count].cpu()
        values = values.mean(2) if stream == "visual" else values  # (items, T or S, width)
        if not bool((lengths > 0).all()):
            raise ValueError(f"{int((lengths == 0).sum())} of {len(lengths)} samples have no {stream} stream.")
        real = torch.arange(values.shape[1]) < lengths[:, None]  # (items, T or S)
        parts.append((values * real[..., None]).sum(1) / lengths[:, None])
    return torch.cat(parts, dim=-1)
