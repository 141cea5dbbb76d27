# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Watches a running video: encodes window after window, keeps what is final, and answers for what was seen so far.

A window of the causal Q-Former is final once all its pictures have come and the audio encoder's chunks that cover it
are complete (inside a chunk, every vector depends on all of its sound). Only the encoded windows, a few vectors each,
and the states of the unfinished rest are kept: memory grows by `num_query_tokens` vectors per window.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from .outputs_favor import FavorMediaOutput
from .prefetch_favor import prefetched


class FavorMediaStream:
    """
    The media memory of one running video or sound.

    Feed it the pieces of `FavorProcessor.stream` in order with [`~FavorMediaStream.add`]. At any moment
    [`~FavorMediaStream.encoded`] is what [`~FavorModel.get_video_features`] gives for everything seen so far, to be
    handed to `generate` as `mm_encoder_outputs={"video": stream.encoded()}`.

    Args:
        model: a [`FavorModel`]; its connector must be a synchronised causal Q-Former with windows.

    Raises `ValueError` for another connector: without windows nothing is ever final.
    """

    def __init__(self, model: nn.Module):
        config = model.config.connector_config
        if not getattr(config, "synchronize", False) or config.window_frames is None:
            raise ValueError(
                "A stream needs a causal Q-Former with synchronised windows (synchronize=True and window_frames set): "
                "without them every output depends on the whole video."
            )
        self.model, self.config = model, config
        self.windows: list[torch.Tensor] = []  # of (tokens, text width), final
        self.visual: torch.Tensor | None = None  # (steps, p, d) of the unfinished rest
        self.audio: torch.Tensor | None = None  # (vectors, A) of the unfinished rest, from complete chunks
        self.open_chunk: tuple[torch.Tensor, torch.Tensor] | None = None  # log-mel and mask of the incomplete chunk

    @property
    def num_tokens(self) -> int:
        """Query tokens of everything seen so far: what the placeholders of a prompt must number."""
        steps = 0 if self.visual is None else len(self.visual)
        vectors = 0 if self.audio is None else len(self.audio)
        if self.open_chunk is not None:
            vectors += int(self.model.audio_vector_counts(self.open_chunk[1])[0])
        steps = max(steps, -(-vectors // self.config.audio_vectors_per_frame))
        windows = -(-steps // self.config.window_frames)
        return sum(map(len, self.windows)) + windows * self.config.num_query_tokens

    @torch.no_grad()
    def add(
        self,
        pixel_values_videos: torch.Tensor | None = None,
        video_frame_indices: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        input_features_mask: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
    ) -> None:
        """Takes the next piece.

        Args:
            pixel_values_videos: (1, F, 3, H, W) distinct pictures of the piece.
            video_frame_indices: (1, T) int64, the picture shown in each synchronised frame of the piece.
            input_features: (1, C, mel, mel frames) log-mel of the audio chunk that was incomplete before this piece,
                from its start, and of those that follow; all but the last complete.
            input_features_mask: (1, C, mel frames), 1 where real.
            qformer_input_ids, qformer_attention_mask: (1, Q) the instruction, the same for every piece.
        """
        if pixel_values_videos is not None:
            frames, _ = self.model.encode_frames(
                pixel_values_videos, video_frame_indices, qformer_input_ids, qformer_attention_mask
            )
            self.visual = frames[0] if self.visual is None else torch.cat([self.visual, frames[0]])
        if input_features is not None:
            if input_features_mask is None:
                input_features_mask = torch.ones_like(input_features[:, :, 0], dtype=torch.long)
            complete = input_features_mask[0].all(-1)  # (C,)
            if complete.any():
                self._hear(input_features[:, complete], input_features_mask[:, complete])
            self.open_chunk = None
            if not complete[-1]:
                self.open_chunk = input_features[:, -1:], input_features_mask[:, -1:]
        self._finish_windows()

    def watch(self, pieces: Iterable[Mapping[str, torch.Tensor]]) -> None:
        """Takes all pieces to the end, while a thread makes the next ones: decoding and encoding overlap.

        Args:
            pieces: what [`~FavorMediaStream.add`] takes, such as
                `(window.inputs for window in processor.stream("film.mkv"))`; moved to the model's device.
        """
        for piece in prefetched(pieces, self.model.device):
            self.add(**piece)

    @torch.no_grad()
    def encoded(self) -> FavorMediaOutput:
        """Everything seen so far, as one item: `pooler_output` is [(tokens, text width)].

        Raises `ValueError` before the first piece.
        """
        kept = list(self.windows)
        audio = self.audio
        if self.open_chunk is not None:
            states, _ = self.model.encode_audio(*self.open_chunk)
            audio = states[0] if audio is None else torch.cat([audio, states[0].to(audio.device)])
        rest = [stream for stream in (self.visual, audio) if stream is not None and len(stream)]
        if rest:
            kept.append(self._connect(self.visual, audio))
        if not kept:
            raise ValueError("Nothing was seen yet: add the first piece of the stream before asking.")
        return FavorMediaOutput(pooler_output=[torch.cat(kept)])

    def _hear(self, features: torch.Tensor, mask: torch.Tensor) -> None:
        states, _ = self.model.encode_audio(features, mask)  # (1, S, A)
        self.audio = states[0] if self.audio is None else torch.cat([self.audio, states[0]])

    def _finish_windows(self) -> None:
        """Encodes the windows that nothing to come can change, and forgets their encoder states."""
        per_frame = self.config.audio_vectors_per_frame
        known = []
        if self.visual is not None:
            known.append(len(self.visual))
        if self.audio is not None or self.open_chunk is not None:
            known.append(0 if self.audio is None else len(self.audio) // per_frame)
        steps = min(known, default=0) // self.config.window_frames * self.config.window_frames
        if not steps:
            return
        visual = None if self.visual is None else self.visual[:steps]
        audio = None if self.audio is None else self.audio[: steps * per_frame]
        self.windows.append(self._connect(visual, audio))
        # Copies: a view would keep the whole piece alive.
        self.visual = None if self.visual is None else self.visual[steps:].clone()
        self.audio = None if self.audio is None else self.audio[steps * per_frame :].clone()

    def _connect(self, visual: torch.Tensor | None, audio: torch.Tensor | None) -> torch.Tensor:
        """(steps, p, d) and (vectors, A) states to their (tokens, text width) embeddings."""
        outputs = self.model.connector(
            visual=None if visual is None else visual[None], audio=None if audio is None else audio[None]
        )
        return outputs.embeddings[0]


__all__ = ["FavorMediaStream"]
