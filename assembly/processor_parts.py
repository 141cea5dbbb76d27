# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Puts a FavorProcessor together from the folders or Hub ids of the model's parts."""

import os

from transformers import AutoFeatureExtractor, AutoTokenizer, FeatureExtractionMixin, PreTrainedTokenizerBase
from transformers.image_processing_base import ImageProcessingMixin

from favor.processing.log_mel_favor import reads_samples
from favor.processing.media_names_favor import PLACEHOLDERS
from favor.processing.processing_favor import QFORMER_TOKENIZER, FavorProcessor
from favor.processing.video_processing_favor import FavorVideoProcessor

CHUNK_SECONDS = 30  # of sound that an encoder without a table of positions reads at once, as long as Whisper's
FEWEST_TOKENS = 100  # a tokenizer class whose files are missing comes out with a handful of special tokens
PROBE = "What does she say when the door opens?"


def assemble_processor(
    llm: str | os.PathLike,
    whisper: str | os.PathLike,
    vision: str | os.PathLike,
    image_size: tuple[int, int],
    channels: int,
    chunk_frames: int | None,
    reads_instruction: bool = False,
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
        channels, chunk_frames: what the audio encoder reads, mel bins (1: samples) and frames per chunk (None: any
            number); checked.
        chat_template: Vicuna v1 by default.
        counts: the other arguments of [`FavorProcessor`], as the model config's `processor_values()` gives them.

    Raises `ValueError` if a source lacks a file, or its numbers do not fit the audio encoder.
    """
    feature_extractor = load_feature_extractor(whisper)
    check_feature_extractor(feature_extractor, whisper, channels, chunk_frames)
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


def load_feature_extractor(source: str | os.PathLike) -> FeatureExtractionMixin:
    """Whisper's, with the mask of real mel frames, or one of samples, with the length of its chunks."""
    try:
        extractor = AutoFeatureExtractor.from_pretrained(source, trust_remote_code=False, return_attention_mask=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"whisper {source} has no preprocessor_config.json, which says how it hears.") from error
    if reads_samples(extractor) and getattr(extractor, "chunk_length", None) is None:
        extractor.chunk_length = CHUNK_SECONDS
    return extractor


def check_feature_extractor(
    extractor: FeatureExtractionMixin, source: str | os.PathLike, channels: int, chunk_frames: int | None
) -> None:
    """Raises `ValueError` if the audio encoder reads other mel bins or chunks than the extractor makes."""
    if extractor.feature_size != channels:
        raise ValueError(
            f"whisper {source}: its preprocessor_config.json makes {extractor.feature_size} mel bins, its encoder "
            f"reads {channels}."
        )
    if chunk_frames is not None and extractor.nb_max_frames != chunk_frames:
        raise ValueError(
            f"whisper {source}: its preprocessor_config.json makes chunks of {extractor.nb_max_frames} mel frames, "
            f"its encoder reads {chunk_frames}."
        )


def preprocessed_size(source: str | os.PathLike) -> list[int]:
    """Height and width in pixels of the pictures that preprocessor_config.json makes.

    Raises `ValueError` if it does not say.
    """
    try:
        values, _ = ImageProcessingMixin.get_image_processor_dict(source)
    except OSError as error:
        raise ValueError(
            f"vision {source} has no preprocessor_config.json, which says how large pictures are."
        ) from error
    # What is cut out of a picture counts, where one is cut out.
    size = values.get("crop_size") if values.get("do_center_crop", False) else None
    size = values.get("size") if size is None else size
    if isinstance(size, dict):
        size = [size.get("height", size.get("shortest_edge")), size.get("width", size.get("shortest_edge"))]
    sides = [size, size] if isinstance(size, int) else list(size or ())
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise ValueError(
            f"vision {source}: neither its config.json (image_size) nor its preprocessor_config.json (size) says how "
            "large pictures are."
        )
    return sides


def picture_values(source: str | os.PathLike, image_size: tuple[int, int]) -> dict:
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
    height, width = image_size
    return {
        "size": {"height": height, "width": width},
        "image_mean": values["image_mean"],
        "image_std": values["image_std"],
    }


__all__ = ["assemble_processor"]
