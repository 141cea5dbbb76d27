# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Builds a small FAVOR model, its tokenisers and its processor from a recipe, with random weights."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import GenerationConfig, PreTrainedTokenizerFast, WhisperFeatureExtractor

from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration
from favor.processing import FavorProcessor, FavorVideoProcessor
from favor.processing.media_names_favor import PLACEHOLDERS

from ..recipe_sections import ScratchModel


def build_from_scratch(
    settings: ScratchModel, texts: Iterable[str], seed: int, tokenizer_dir: Path | None = None
) -> tuple[FavorForConditionalGeneration, FavorProcessor]:
    """Makes a model with random weights, and its processor with tokenisers of its own.

    Args:
        settings: the recipe's `from_scratch` section.
        texts: what the tokenisers learn from.
        seed: of the random weights. Tokenisers do not follow from it: pieces that are equally frequent get their
            ids in another order in each process.
        tokenizer_dir: folder of tokenisers that were trained before, in place of `texts`.
    """
    qformer_size = settings.qformer_vocab_size if settings.has_qformer else None
    if tokenizer_dir is None:
        texts = list(texts)
        tokenizer = train_tokenizer(texts, settings.vocab_size)
        qformer_tokenizer = None if qformer_size is None else train_qformer_tokenizer(texts, qformer_size)
    else:
        load = PreTrainedTokenizerFast.from_pretrained
        tokenizer = load(tokenizer_dir)
        qformer_tokenizer = None if qformer_size is None else load(tokenizer_dir / "qformer_tokenizer")
    torch.manual_seed(seed)
    model = FavorForConditionalGeneration(scratch_config(settings.config, tokenizer, qformer_tokenizer))
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=settings.max_new_tokens,
        # A generated placeholder would be read back as an item without media.
        suppress_tokens=tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values())),
    )
    image_size = model.config.vision_config.image_size
    processor = FavorProcessor(
        video_processor=FavorVideoProcessor(size={"height": image_size, "width": image_size}),
        feature_extractor=WhisperFeatureExtractor(return_attention_mask=True, **settings.feature_extractor),
        tokenizer=tokenizer,
        qformer_tokenizer=qformer_tokenizer,
        **model.config.processor_values(),
    )
    return model, processor


def scratch_config(
    values: Mapping[str, object], tokenizer: PreTrainedTokenizerFast, qformer_tokenizer: PreTrainedTokenizerFast | None
) -> FavorConfig:
    """The recipe's config with the vocabulary sizes and token ids of the tokenisers."""
    token_ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    # Whisper's decoder is not part of FAVOR; its defaults name tokens beyond a small vocabulary.
    whisper_tokens = {**token_ids, "decoder_start_token_id": tokenizer.bos_token_id, "vocab_size": len(tokenizer)}
    qformer_config = None
    if qformer_tokenizer is not None:
        qformer_tokens = {"vocab_size": len(qformer_tokenizer), "pad_token_id": qformer_tokenizer.pad_token_id}
        qformer_config = {**part(values, "qformer_config"), **qformer_tokens}
    return FavorConfig(
        **{
            **values,
            "qformer_config": qformer_config,
            "audio_config": {**part(values, "audio_config"), **whisper_tokens},
            "text_config": {**part(values, "text_config"), **token_ids, "vocab_size": len(tokenizer)},
            "video_token_id": tokenizer.convert_tokens_to_ids(PLACEHOLDERS["video"]),
        }
    )


def part(values: Mapping[str, object], name: str) -> dict[str, object]:
    """The values of a part's config, none if there are none."""
    return cast(dict[str, object], values.get(name, {}))


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text can be encoded, words of the training text are one token each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        with_prompt_words(texts),
        trainers.BpeTrainer(
            vocab_size=vocab_size - len(PLACEHOLDERS) - 2,
            special_tokens=["<pad>", "<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=list(PLACEHOLDERS.values()),
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
    wrapped.add_tokens([AddedToken("<Img>", special=False), AddedToken("</Img>", special=False)])
    return wrapped


def train_qformer_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Lower-case WordPiece in BERT's layout, for the visual Q-Former's instruction."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special_tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=special_tokens, show_progress=False)
    )
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    )


def with_prompt_words(texts: Iterable[str]) -> Iterator[str]:
    """The texts, and the chat template's own words often enough to become tokens."""
    for text in texts:
        yield text
        yield f"USER: {text}\nASSISTANT: {text}"
