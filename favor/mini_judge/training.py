# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Trains the judge, a causal language model of 0.7 million weights with a tokenizer of its own, on pairs of answers.

The fixed pieces of the two prompts are one token each, and function words none, so that a prompt has some ten tokens;
that is what lets it be trained in minutes on one core. The model replies "Yes" or "No".
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .answer_pairs import PROMPTS, AnswerPair, known_words, sample_pairs

REPLIES = {"no": "No", "yes": "Yes"}  # token -> its text
PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
CHAT_TEMPLATE = "<s>{% for message in messages %}{{ message['content'] }}{% endfor %}"
NOT_LEARNT = -100
CARD = """# Judge of AVEB-mini

A causal language model of {parameters} weights that replies "Yes" or "No" to the prompts by which AVEB has AVSD and
AVSSD judged, written by `python -m favor.mini_judge` with seed {seed}.

It tells whether two answers name the same colours, shapes, sounds and words of AVEB-mini. Its replies are those of
that rule in {agreement:.2%} of new pairs of answers, and in {agreement_held_out:.2%} of pairs that show combinations
of colour and shape that it never saw. It knows no other words, no synonyms and no grammar:
**it is no judge for real data.**
"""
PAIRS_FROM = {"train": 1, "test": 2}  # what is drawn for testing has a seed of its own


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a run; the defaults are those of `python -m favor.mini_judge`."""

    seed: int = 0
    steps: int = 2400
    batch_size: int = 96
    learning_rate: float = 2e-3
    warmup: float = 0.07  # share of the steps


def train_judge(
    settings: TrainingSettings | None = None, progress: bool = True
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The trained model and its tokenizer; on one thread the same settings give the same weights."""
    from tqdm import tqdm

    settings = settings or TrainingSettings()
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.steps, pct_start=settings.warmup
    )
    model.train()
    with tqdm(total=settings.steps, unit="step", disable=not progress) as bar:
        for inputs in _batches(tokenizer, settings):
            loss = model(**inputs).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            bar.update()
            if bar.n % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.4f}")
    return model.eval(), tokenizer


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of the words that tell answers apart, the replies, and the fixed pieces of the two prompts."""
    content, function_words = known_words()
    vocabulary = [PAD, BEGIN, END, UNKNOWN, *content]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, UNKNOWN))
    dropped = Regex(rf"\b(?:{'|'.join(function_words)})\b|[^\w\s]")
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(dropped, " ")])
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.Sequence([decoders.Replace(word, reply) for word, reply in REPLIES.items()])
    backend.add_special_tokens([PAD, BEGIN, END])
    backend.add_tokens([AddedToken(piece, normalized=False) for piece in prompt_pieces()])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def prompt_pieces() -> list[str]:
    """What stands between the fields of the prompts."""
    from string import Formatter

    return [text for prompt in PROMPTS for text, *_ in Formatter().parse(prompt.template) if text]


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model.

    Queries and keys start with the same projection: a word attends to the same word in the other answer from the first
    step on, which otherwise takes most of the training to be found.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.09,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.copy_(layer.self_attn.k_proj.weight)
    return model


def agreement(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, pairs: Sequence[AnswerPair]) -> float:
    """Share of pairs on which the model's greedy reply is the rule's."""
    agreed = 0
    for start in range(0, len(pairs), 256):
        batch = pairs[start : start + 256]
        inputs = tokenizer([BEGIN + pair.prompt for pair in batch], return_tensors="pt", padding=True)
        with torch.inference_mode():
            said = model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).logits[:, -1].argmax(-1)
        wanted = tokenizer.convert_tokens_to_ids([_reply(pair) for pair in batch])
        agreed += int((said == torch.tensor(wanted)).sum())
    return agreed / len(pairs)


def save_judge(
    out_dir: Path, seed: int, steps: int = TrainingSettings.steps, pairs: int = 4000, progress: bool = True
) -> dict[str, float]:
    """Trains, measures the agreement with the rule, and writes a model folder that `--judge-model` takes.

    Returns:
        "agreement" on new pairs of combinations as in training, "agreement_held_out" on pairs that show combinations
        of colour and shape that training never had, "parameters", "train_cpu_seconds" and "seed".
    """
    settings = TrainingSettings(seed, steps)
    start = time.process_time()
    model, tokenizer = train_judge(settings, progress)
    seconds = time.process_time() - start
    model.save_pretrained(out_dir)
    tokenizer.save_pretrained(out_dir)
    measured = {
        "agreement": agreement(model, tokenizer, sample_pairs(pairs, PAIRS_FROM["test"], held_out=False)),
        "agreement_held_out": agreement(model, tokenizer, sample_pairs(pairs, PAIRS_FROM["test"], held_out=True)),
        "parameters": model.num_parameters(),
        "train_cpu_seconds": round(seconds, 1),
        "seed": seed,
    }
    (out_dir / "README.md").write_text(CARD.format(**measured), encoding="utf-8")
    return measured


def _reply(pair: AnswerPair) -> str:
    return "yes" if pair.equivalent else "no"


def _batches(tokenizer: PreTrainedTokenizerFast, settings: TrainingSettings) -> Iterator[dict[str, torch.Tensor]]:
    """Inputs of every step: prompts of similar length together, labels on the reply and the end only."""
    chunk = 16
    for first in range(0, settings.steps, chunk):
        count = min(chunk, settings.steps - first)
        pairs = sample_pairs(
            count * settings.batch_size, settings.seed * 1000003 + first * 10 + PAIRS_FROM["train"], False
        )
        texts = [f"{BEGIN}{pair.prompt} {_reply(pair)}{END}" for pair in pairs]
        rows = sorted(tokenizer(texts).input_ids, key=len)
        for number in torch.randperm(count).tolist():
            yield _padded(
                rows[number * settings.batch_size : (number + 1) * settings.batch_size], tokenizer.pad_token_id
            )


def _padded(rows: Sequence[list[int]], pad: int) -> dict[str, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])  # (batch, tokens)
    labels = torch.full_like(ids, NOT_LEARNT)
    labels[:, -2:] = ids[:, -2:]
    return {"input_ids": ids, "attention_mask": (ids != pad).long(), "labels": labels}
