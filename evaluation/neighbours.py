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
        vectors = self.vectors(examples)
        self.centre = vectors.mean(0)
        self.examples = torch.nn.functional.normalize(vectors - self.centre, dim=-1)  # (examples, width)
        self.facts: JsonObject = {"examples": len(examples)}

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        """Raises `ValueError` for a sample that has other streams than the examples."""
        asked = self.vectors(samples)
        if asked.shape[1] != self.examples.shape[1]:
            raise ValueError(
                f"The samples' vectors are {asked.shape[1]} wide, the examples' {self.examples.shape[1]}: they have other "
                "streams. Give examples of the same task."
            )
        cosines = torch.nn.functional.normalize(asked - self.centre, dim=-1) @ self.examples.T  # (samples, examples)
        best = cosines.max(dim=1)
        return [
            Answer(self.names[index], {"example": index, "cosine": round(cosine, 4)})
            for index, cosine in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def vectors(self, samples: Sequence[EvalSample]) -> torch.Tensor:
        """(samples, width) float32 pooled states.

        Raises `ValueError` for samples without media, and if some have streams that others lack.
        """
        rows = []
        for start in range(0, len(samples), self.batch_size):
            rows.append(self._encoded(samples[start : start + self.batch_size]))
        if len({len(row) for batch in rows for row in batch}) > 1:
            raise ValueError("Some samples have a picture or a sound that others lack. Give those of one task.")
        return torch.cat(rows)

    def _encoded(self, samples: Sequence[EvalSample]) -> torch.Tensor:
        missing = [sample.id for sample in samples if not sample.media]
        if missing:
            raise ValueError(f"Sample {missing[0]} has no media, which a nearest neighbour needs.")
        own_audio = {sample.use_own_audio for sample in samples}
        if len(own_audio) > 1:
            raise ValueError("Some samples are muted and others are not. Give those of one run.")
        chats = [chat_of(sample) for sample in samples]
        inputs = self.pipe.preprocess(chats, load_audio_from_video=own_audio.pop())
        model = self.pipe.model.model
        names = (name for name in MEDIA_INPUTS if name in inputs and not name.startswith("qformer"))
        with torch.inference_mode():
            states = model.encode_media(**{name: inputs[name].to(self.pipe.device) for name in names})
        return pooled_states(states)


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
