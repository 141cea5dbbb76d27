# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Puts a FavorProcessor together from the folders or Hub ids of the model's parts."""

import os

from transformers import AutoTokenizer, PreTrainedTokenizerBase, WhisperFeatureExtractor
from transformers.image_processing_base import ImageProcessingMixin

from favor.processing.media_names_favor import PLACEHOLDERS
from favor.processing.processing_favor import QFORMER_TOKENIZER, FavorProcessor
from favor.processing.video_processing_favor import FavorVideoProcessor

FEWEST_TOKENS = 100  # a tokenizer class whose files are missing comes out with a handful of special tokens
PROBE = "What does she say when the door opens?"


def assemble_processor(
    llm: str | os.PathLike,
    whisper: str | os.PathLike,
    vision: str | os.PathLike,
    image_size: int | list[int] | tuple[int, int],
    reads_instruction: bool = False,
    num_mel_bins: int | None = None,
    chunk_frames: int | None = None,
    chat_template: str | None = None,
    **counts,
) -> FavorProcessor:
    """Makes the processor of an assembled model from the files of its parts.

    Args:
        llm: where the language model's tokenizer is.
        whisper: where the feature extractor is.
        vision: where the pictures' mean and standard deviation are (preprocessor_config.json or
            processor_config.json) and, in a sub-folder, the visual Q-Former's tokenizer.
        image_size: height and width of the pictures that the vision tower reads, in pixels.
        reads_instruction: whether the visual Q-Former reads the instruction, as InstructBLIP's does.
        num_mel_bins, chunk_frames: what the audio encoder reads, mel bins and mel frames per chunk; checked.
        chat_template: Vicuna v1 by default.
        counts: the other arguments of [`FavorProcessor`], as the model config's `processor_values()` gives them.

    Raises `ValueError` if a source lacks a file, or its numbers do not fit the audio encoder.
    """
    feature_extractor = load_feature_extractor(whisper)
    check_feature_extractor(feature_extractor, whisper, num_mel_bins, chunk_frames)
    return FavorProcessor(
        video_processor=FavorVideoProcessor(**picture_values(vision, image_size)),
        feature_extractor=feature_extractor,
        tokenizer=prepare_tokenizer(load_tokenizer(llm, "llm", padding_side="left")),
        qformer_tokenizer=load_tokenizer(vision, "vision", QFORMER_TOKENIZER) if reads_instruction else None,
        chat_template=chat_template,
        **counts,
    )


def load_tokenizer(
    source: str | os.PathLike, part: str, subfolder: str = "", padding_side: str = "right"
) -> PreTrainedTokenizerBase:
    """A tokenizer that has its vocabulary; a class without its files would tokenize everything to nothing."""
    where = f"{part} {os.path.join(source, subfolder) if subfolder else source}"
    remedy = "download its tokenizer files, too (tokenizer.json or tokenizer.model, tokenizer_config.json)"
    if os.path.isdir(source) and not os.path.isdir(os.path.join(source, subfolder)):
        raise ValueError(f"{where} does not exist: {remedy}.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, subfolder=subfolder, padding_side=padding_side, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"{where} holds no tokenizer: {remedy}.") from error
    ids = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    if len(tokenizer) <= FEWEST_TOKENS or not ids or set(ids) == {tokenizer.unk_token_id}:
        raise ValueError(
            f"{where} holds a tokenizer of {len(tokenizer)} tokens that encodes {PROBE!r} as {ids}: {remedy}."
        )
    return tokenizer


def prepare_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Adds the media tokens beside other special tokens, and a padding token if there is none.

    The media tokens' ids may lie beyond the language model's vocabulary: their embeddings are always replaced.
    """
    tokenizer.add_special_tokens(
        {"extra_special_tokens": list(PLACEHOLDERS.values())}, replace_extra_special_tokens=False
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def load_feature_extractor(source: str | os.PathLike) -> WhisperFeatureExtractor:
    """Whisper's, with the mask of real mel frames."""
    try:
        return WhisperFeatureExtractor.from_pretrained(source, return_attention_mask=True)
    except OSError as error:
        raise ValueError(f"whisper {source} has no preprocessor_config.json, which says how it hears.") from error


def check_feature_extractor(
    extractor: WhisperFeatureExtractor,
    source: str | os.PathLike,
    num_mel_bins: int | None,
    chunk_frames: int | None,
) -> None:
    """Raises `ValueError` if the audio encoder reads other mel bins or chunks than the extractor makes."""
    if num_mel_bins is not None and extractor.feature_size != num_mel_bins:
        raise ValueError(
            f"whisper {source}: its preprocessor_config.json makes {extractor.feature_size} mel bins, its encoder "
            f"reads {num_mel_bins}."
        )
    if chunk_frames is not None and extractor.nb_max_frames != chunk_frames:
        raise ValueError(
            f"whisper {source}: its preprocessor_config.json makes chunks of {extractor.nb_max_frames} mel frames, "
            f"its encoder reads {chunk_frames}."
        )


def picture_values(source: str | os.PathLike, image_size: int | list[int] | tuple[int, int]) -> dict:
    """Size, mean and standard deviation of the pictures, for [`FavorVideoProcessor`]."""
    where = f"vision {source}"
    try:
        values, _ = ImageProcessingMixin.get_image_processor_dict(source)
    except OSError as error:
        raise ValueError(
            f"{where} has no preprocessor_config.json, which says how pictures are normalised."
        ) from error
    missing = [name for name in ("image_mean", "image_std") if values.get(name) is None]
    if missing:
        raise ValueError(f"{where}: its preprocessor_config.json has no {' and no '.join(missing)}.")
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return {
        "size": {"height": height, "width": width},
        "image_mean": values["image_mean"],
        "image_std": values["image_std"],
    }


__all__ = ["assemble_processor"]
