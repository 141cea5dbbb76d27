# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tokens of a prompt and of its answer, tokenised apart, join to those of the whole: TRL's trainers build on it."""

import itertools
import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast
from trl.data_utils import apply_chat_template

from favor.model_loading import bundled_model_path
from favor.processing import FavorProcessor
from tests.assembly.source_checkpoints import make_tokenizer

ANSWERS = ["red", "A bell, then red.", "3", "-5", "(b)", "$5", "'s", ": x", "_x", "Zwölf", "é", "中文", "😀", ""]
SECOND = ["red", "(b)", "Zwölf"]
TEXTS = ["What does she say when the door opens?", "USER: Which?\nASSISTANT: A bell rings twice, then red (b)."]
SPLITS = {  # before GPT-2's own: SmolLM2's with digits apart
    "gpt2": None,
    "smollm": pre_tokenizers.Digits(individual_digits=True),
    "punctuation": pre_tokenizers.Punctuation(),
}


def byte_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE that has merged ":(" and the like."""
    split = SPLITS[kind]
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = level if split is None else pre_tokenizers.Sequence([split, level])
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXTS, "x:(b) :-5 :$5 :' ::"] * 4, trainer)
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def piece_tokenizer(**options: bool) -> LlamaTokenizer:
    """Llama's pieces, as SentencePiece learns them: none crosses a space."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{value:02X}>" for value in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return LlamaTokenizer(vocab=model["vocab"], merges=merges, pad_token="</s>", **options)


def with_tokenizer(processor: FavorProcessor, tokenizer: PreTrainedTokenizerFast) -> FavorProcessor:
    """A processor as `assemble_processor` makes it of that tokenizer."""
    from favor.assembly.processor_parts import prepare_tokenizer

    return FavorProcessor(
        processor.video_processor, processor.feature_extractor, prepare_tokenizer(tokenizer), num_query_tokens=2
    )


MAKERS = {
    "favor-tiny": lambda scratch: FavorProcessor.from_pretrained(bundled_model_path()),
    "from scratch": lambda scratch: scratch,
    "vicuna-like bytes": lambda scratch: with_tokenizer(scratch, make_tokenizer()),
    "qwen-like bytes": lambda scratch: with_tokenizer(scratch, make_tokenizer(qwen_like=True)),
    **{kind: lambda scratch, kind=kind: with_tokenizer(scratch, byte_tokenizer(kind)) for kind in SPLITS},
    "llama": lambda scratch: with_tokenizer(scratch, piece_tokenizer()),
    "legacy llama": lambda scratch: with_tokenizer(scratch, piece_tokenizer(legacy=True)),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_tokens_of_prompt_and_answer_join(tiny_parts, kind):
    processor = MAKERS[kind](tiny_parts[1])

    def tokens(text: str) -> list[int]:
        return processor(text=text, add_special_tokens=False)["input_ids"][0]

    for answer, other in itertools.product(ANSWERS, SECOND):
        turn = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": answer}]
        for asked in (turn[:1], [*turn, *turn[:1]]):
            for given in {answer, other}:
                chat = {"prompt": asked, "completion": [{"role": "assistant", "content": given}]}
                text = apply_chat_template(chat, processor)
                prompt, completion = text["prompt"], text["completion"]
                whole = tokens(prompt + completion)
                assert prompt == processor.apply_chat_template(asked, add_generation_prompt=True)
                assert tokens(prompt) + tokens(completion) == whole, (answer, given)
                assert whole[: len(tokens(prompt))] == tokens(prompt)


@pytest.mark.parametrize("kind", ["favor-tiny", "from scratch", "gpt2", "llama"])
def test_all_of_an_answer_is_learnt_and_nothing_before_it(tiny_parts, kind):
    processor = MAKERS[kind](tiny_parts[1])
    for answer in ANSWERS:
        chat = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": answer}]
        prompt = processor.prompt_tokens(chat[:1], [], add_generation_prompt=True).input_ids
        whole = processor.prompt_tokens(chat, [], return_assistant_tokens_mask=True)
        assert whole.answers == [0] * len(prompt) + [1] * (len(whole.input_ids) - len(prompt)), answer
