# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The connector as its description reads, plain and eager: what the benchmark holds FAVOR's own connector against.

Paper, sections 3.1 and 3.2, and the released code's order of operations: synchronisation by zero-padding and
concatenation, windows, block-causal attention with its scores written out under an additive mask, projection. It uses
the weights of a [`FavorConnector`] and knows one form of it: synchronised, `causal_attention="previous"`, no dropout.

Three ways to read the windows:

- `"padded batch"`: every clip of the batch is padded to the longest, all windows go through together, as in the
  released code.
- `"window by window"`: one window at a time, and only those that hold a frame.
- `"one mask per clip"`: all of a clip's vectors in one attention; a mask says which window and frame may be seen.
"""

import math

import torch
from torch import nn

from favor.modeling_favor import FavorConnector

READINGS = ("padded batch", "window by window", "one mask per clip")
HIDDEN = -1e9


def plain_connector(
    connector: FavorConnector,
    reading: str,
    visual: torch.Tensor,
    audio: torch.Tensor,
    num_visual_frames: torch.Tensor,
    num_audio_vectors: torch.Tensor,
) -> torch.Tensor:
    """(B, windows of the longest clip * N, L) embeddings, zero beyond each clip's own; arguments as FAVOR's."""
    config = connector.config
    clips, k = len(visual), config.window_frames
    audio = connector.audio_projection(audio)  # (B, S, d)
    audio = audio * real(num_audio_vectors, audio.shape[1])[:, :, None]
    visual = visual * real(num_visual_frames, visual.shape[1])[:, :, None, None]
    num_frames = torch.maximum(num_visual_frames, -(-num_audio_vectors // config.audio_vectors_per_frame))
    longest = -(-int(num_frames.max()) // k) * k

    p, heard = config.vectors_per_frame, config.audio_vectors_per_frame
    audio = nn.functional.pad(audio, (0, 0, 0, longest * heard - audio.shape[1])).view(clips, longest, heard, -1)
    audio = nn.functional.pad(audio, (0, 0, 0, p - heard))
    visual = nn.functional.pad(visual, (0, 0, 0, p - visual.shape[2], 0, longest - visual.shape[1]))
    features = torch.cat([visual, audio], dim=-1)  # (B, T, p, D)
    windows = features.reshape(clips * longest // k, k * p, -1)
    frame_mask = real(num_frames, longest).view(-1, k)  # (windows of all clips, k)

    if reading == "padded batch":
        states = encode(connector, windows, block_mask(k, p), frame_mask)
    elif reading == "window by window":
        mask = block_mask(k, p)
        empty = windows.new_zeros(1, config.num_query_tokens, config.hidden_size)
        states = torch.cat(
            [
                encode(connector, window[None], mask, real_frames[None]) if real_frames.any() else empty
                for window, real_frames in zip(windows, frame_mask, strict=True)
            ]
        )
    else:
        states = encode_clips(connector, windows.view(clips, longest * p, -1), frame_mask.view(clips, longest))
    states = connector.language_projection(states) * frame_mask.any(1)[:, None, None]
    return states.reshape(clips, -1, states.shape[-1])


def encode(
    connector: FavorConnector, windows: torch.Tensor, mask: torch.Tensor, frame_mask: torch.Tensor
) -> torch.Tensor:
    """(windows, s, D) to (windows, N, d): both blocks, each from the original features."""
    qformer = connector.causal_qformer
    features = qformer.feature_norm(windows) + qformer.position_embedding.weight[: windows.shape[1]]
    vectors = windows.shape[1] // frame_mask.shape[1]
    unseen = torch.where(frame_mask.repeat_interleave(vectors, dim=1), 0.0, HIDDEN)[
        :, None, None
    ]  # (windows, 1, 1, s)
    queries = qformer.query_norm(qformer.query_tokens).expand(len(windows), -1, -1)
    for layer in qformer.layers:
        encoded = attend(layer.causal_attention, features, features, mask)
        queries = attend(layer.self_attention, queries, queries, None)
        queries = feed_forward(layer, attend(layer.cross_attention, queries, encoded, unseen))
    return queries


def encode_clips(connector: FavorConnector, clips: torch.Tensor, frame_mask: torch.Tensor) -> torch.Tensor:
    """(B, vectors, D) to (windows of all clips, N, d): windows only by masks."""
    qformer, config = connector.causal_qformer, connector.config
    frames, k, p = frame_mask.shape[1], config.window_frames, config.vectors_per_frame
    place = torch.arange(clips.shape[1]) % (k * p)
    features = qformer.feature_norm(clips) + qformer.position_embedding.weight[place]
    window = torch.arange(clips.shape[1]) // (k * p)
    mask = block_mask(frames, p) + torch.where(window[:, None] == window, 0.0, HIDDEN)
    window_of_query = torch.arange(frames // k).repeat_interleave(config.num_query_tokens)
    unseen = torch.where(window_of_query[:, None] == window, 0.0, HIDDEN)
    padding = torch.where(frame_mask.repeat_interleave(p, dim=1), 0.0, HIDDEN)[:, None, None]
    among_queries = torch.where(window_of_query[:, None] == window_of_query, 0.0, HIDDEN)
    queries = qformer.query_norm(qformer.query_tokens).repeat(len(clips), frames // k, 1)
    for layer in qformer.layers:
        encoded = attend(layer.causal_attention, features, features, mask)
        queries = attend(layer.self_attention, queries, queries, among_queries)
        queries = feed_forward(layer, attend(layer.cross_attention, queries, encoded, unseen + padding))
    return queries.reshape(-1, config.num_query_tokens, config.hidden_size)


def attend(attention: nn.Module, states: torch.Tensor, read: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Multi-head attention with all its scores, residual and LayerNorm."""
    heads = attention.query.out_features // attention.head_dim
    query, key, value = (
        layer(given).view(*given.shape[:2], heads, -1).permute(0, 2, 1, 3)  # (b, heads, length, head_dim)
        for layer, given in ((attention.query, states), (attention.key, read), (attention.value, read))
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(attention.head_dim)
    if mask is not None:
        scores = scores + mask
    context = (torch.softmax(scores, dim=-1) @ value).permute(0, 2, 1, 3).reshape(states.shape)
    return attention.layer_norm(attention.dense(context) + states)


def feed_forward(layer: nn.Module, queries: torch.Tensor) -> torch.Tensor:
    return layer.layer_norm(layer.output(nn.functional.gelu(layer.intermediate(queries))) + queries)


def block_mask(frames: int, vectors: int) -> torch.Tensor:
    """(s, s), 0 where a vector may see another: those of its own frame and of earlier ones."""
    frame = torch.arange(frames).repeat_interleave(vectors)
    return torch.where(frame[:, None] >= frame, 0.0, HIDDEN)


def real(lengths: torch.Tensor, longest: int) -> torch.Tensor:
    """(B, longest) booleans, True before each length."""
    return torch.arange(longest) < lengths[:, None]
