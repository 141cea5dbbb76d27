# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Trains the connector alone, to say its samples' answers in the language model's own embeddings, before any LoRA.

What a connector gives at first, or learns from scores alone, lies nowhere near the embeddings of words, and a
language model that can read does not read it: its loss stays that of no input at all. Here sound is learnt by CTC over
the pieces of the answers (see `answer_pieces.py`), a still, which has no order, as a bag of words; and each
output is drawn to the embedding of what it is to say.
"""

import random
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from datasets import Dataset
from transformers import PreTrainedConfig
from transformers.utils import logging

from favor.modeling_favor.connector_streams_favor import FavorConnectorOutput

from .alignment_losses import alignment_losses, check_count, check_length, heard_queries, stream_losses
from .answer_pieces import AnswerPieces, answer_text, answer_texts
from .data_mixture import SampleDataset
from .embedding_alignment import EmbeddedPieces
from .favor_data_collator import TEXT_INPUTS, Batch
from .favor_sft_trainer import FavorSFTTrainer
from .paired_streams import PairedStreams, own_streams, pair_streams
from .recipe_sections import ConnectorAlignment
from .spelt_states import SpeltStates
from .state_dropout import drop_channels

logger = logging.get_logger(__name__)

CONNECTOR = "connector"


class ConnectorAlignmentTrainer(FavorSFTTrainer):
    """[`FavorSFTTrainer`] with another loss, of the connector alone; the language model lends its embeddings.

    Data, checkpoints, resuming and evaluation are as inherited. Answers in `samples.jsonl` are what the outputs say
    that are nearest to a piece each. Logs have `said_loss` (CTC or bag of words, by the answer's pieces; with
    `seen_queries` also the part of it that is seen, `seen_loss`), `off`
    (squared distance of an output to what it is to say, in units of that between two pieces) and `diversity_loss`.

    Args:
        alignment: the stage's `align_connector`.
        Other arguments: see [`FavorSFTTrainer`]; `args.train_only` names the connector, or parts of it.

    Raises `ValueError` with FSDP or DeepSpeed, for other modules in `train_only`, and, unless `on_bad_sample` is
    "skip", for encoded samples whose answers have more pieces than their media have outputs.
    """

    train_dataset: SampleDataset
    eval_dataset: SampleDataset | None

    def __init__(self, *args, alignment: ConnectorAlignment, **kwargs):
        super().__init__(*args, **kwargs)
        self.alignment, self._step_items = alignment, 0
        self.spelt: SpeltStates | None = None
        names = self.args.train_only or [""]
        if any(name.removeprefix("model.").split(".")[0] != CONNECTOR for name in names):
            raise ValueError(
                f"align_connector trains the connector alone, but train_only is {self.args.train_only!r}: name the "
                "connector, or parts of it."
            )
        check_connector(self.unwrapped_favor().config.connector_config, alignment)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise ValueError(
                "align_connector does not run with FSDP or DeepSpeed, which shard the connector: it is small. Start "
                "plain processes (torchrun, or recipes/accelerate/ddp.yaml), or one."
            )
        tokenizer = self.processing_class.tokenizer
        self.pieces = AnswerPieces(tokenizer, answer_texts(tokenizer, self.train_dataset), alignment.pieces)
        favor = self.unwrapped_favor()
        device = favor.model.language_model.device
        tokens = torch.tensor(self.pieces.tokens, device=device)
        # As the language model reads them: some scale their embeddings.
        self.embedded = EmbeddedPieces(favor.get_input_embeddings()(tokens).float())
        mixture = getattr(favor.model.connector, "word_mixture", None)
        if mixture is not None:  # by the very scores that are learnt here
            mixture.fill(self.embedded.embeddings, self.embedded.sharpness)
        rule = self.pieces, self.model.config.video_token_id, self.args.on_bad_sample == "skip", self.stream_shares()
        self.train_dataset = alignable_rows(self.train_dataset, *rule)
        self.eval_dataset = alignable_rows(self.eval_dataset, *rule)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The mean over an optimisation step's samples that have media."""
        training = self.model.training
        states, texts = self.connector_inputs(inputs), self.answers(inputs)
        seen_queries = self.alignment.seen_queries
        paired = self.paired(states, texts)
        with self.accelerator.autocast():
            output = self.unwrapped_favor().model.connector(**self.read_states(paired.states, texts))
        targets = [self.pieces.places(text) for text in texts]
        still, seen = stills(states, output), None
        with torch.autocast(output.embeddings.device.type, enabled=False):  # distances are small differences
            check_count(targets, output.num_tokens)
            if seen_queries:
                windows = self.alignable(output).unflatten(1, output.query_states.shape[1:3])
                losses = stream_losses(windows, output.num_windows, targets, paired.shown, seen_queries, self.embedded)
                seen, off = losses.seen, losses.off
                said = losses.heard + seen
            else:
                said, off = alignment_losses(self.alignable(output), output.num_tokens, targets, still, self.embedded)
            spelt = self.spelling_loss(output, texts, still)
        diversity = said.new_zeros(()) if output.diversity_loss is None else output.diversity_loss
        loss = said.mean() + self.alignment.distance_weight * off.mean()
        loss = loss + self.current_diversity_weight() * diversity
        metrics = {"said_loss": said.mean(), "off": off.mean(), "diversity_loss": diversity}
        if seen is not None:
            metrics["seen_loss"] = seen.mean()
        if spelt is not None:
            loss = loss + self.alignment.letters_weight * spelt
            metrics["spelt_loss"] = spelt
        for name, value in metrics.items():
            self._metrics["train" if training else "eval"][name].append(value.item())
        if training:  # gradients of micro-batches are added up, those of processes averaged
            loss = loss * len(targets) * self.accelerator.num_processes / self._step_items
        return (loss, {"loss": loss.detach()}) if return_outputs else loss

    def stream_shares(self) -> tuple[float, float]:
        """Of a sample's outputs the shares that say its answer: of one with sound, and of one without."""
        seen_queries = self.alignment.seen_queries
        if not seen_queries:
            return 1.0, 1.0
        share = seen_queries / self.unwrapped_favor().config.connector_config.num_query_tokens
        return 1.0 - share, share

    def spelling_loss(
        self, output: FavorConnectorOutput, texts: Sequence[str], still: torch.Tensor
    ) -> torch.Tensor | None:
        """By how much the states of sounds and videos spell their answers wrongly, a mean over all items."""
        if not self.alignment.letters_weight:
            return None
        heard_states = heard_queries(cast(torch.Tensor, output.query_states).float(), self.alignment.seen_queries)
        states = heard_states.flatten(1, 2)  # (B, W * n, d)
        lengths = cast(torch.Tensor, output.num_windows) * heard_states.shape[2]
        heard = [text for text, silent in zip(texts, still.tolist(), strict=True) if not silent]
        if not heard:
            return states.new_zeros(())
        self.spelt = self.spelt or SpeltStates(states.shape[-1], states.device)
        losses = self.spelt.losses(states[~still], lengths[~still], heard)
        return losses.sum() / len(texts)

    def paired(self, states: Mapping[str, torch.Tensor], texts: Sequence[str]) -> PairedStreams:
        """A batch's streams; in training stills stand beside some of its sounds, the same ones in every run."""
        if not self.model.training or not self.alignment.pair_streams:
            return own_streams(states)
        window_vectors = self.unwrapped_favor().config.connector_config.audio_vectors_per_frame
        return pair_streams(states, window_vectors, self.alignment.pair_streams, self.step_random(texts))

    def read_states(self, states: Mapping[str, torch.Tensor], texts: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """What the connector reads of a batch's streams: in training with `state_dropout`, the same in every run."""
        if not self.model.training or not self.alignment.state_dropout:
            return states
        generator = torch.Generator().manual_seed(self.step_random(texts).getrandbits(63))
        return drop_channels(states, self.alignment.state_dropout, generator)

    def step_random(self, texts: Sequence[str]) -> random.Random:
        """Chance that is the same whenever this step's batch is met again, as in a run that was resumed."""
        return random.Random("/".join([str(self.args.seed), str(self.state.global_step), *texts]))

    def alignable(self, output: FavorConnectorOutput) -> torch.Tensor:
        """(B, T, L) float32 outputs, before they are mixed; autocast may have made them in fewer bits than needed."""
        connector = self.unwrapped_favor().model.connector
        if getattr(connector, "word_mixture", None) is None:
            return cast(torch.Tensor, output.embeddings).float()
        projection = connector.language_projection
        states = cast(torch.Tensor, output.query_states).to(projection.weight.dtype)
        return projection(states).flatten(1, 2).float()

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """As inherited; also counts the step's samples that have media, over its micro-batches and processes."""
        batches, num_items_in_batch = super().get_batch_samples(epoch_iterator, num_batches, device)
        items = torch.tensor(sum(int(self.has_media(batch).sum()) for batch in batches), device=device)
        self._step_items = int(self.accelerator.gather(items).sum())
        return batches, num_items_in_batch

    def training_step(self, *args, **kwargs) -> torch.Tensor:
        """As inherited; the processes' gradients are averaged here: the loss passes by the wrapped model."""
        loss = super().training_step(*args, **kwargs)
        if self.accelerator.num_processes > 1 and self.accelerator.sync_gradients:
            for weight in self.unwrapped_favor().model.connector.parameters():
                if weight.requires_grad:
                    own = torch.zeros_like(weight) if weight.grad is None else weight.grad
                    weight.grad = self.accelerator.reduce(own, "mean")
        return loss

    def has_media(self, batch: Batch) -> torch.Tensor:
        """(batch,) which samples have media."""
        return (batch["input_ids"] == self.model.config.video_token_id).any(1)

    def answers(self, batch: Batch) -> list[str]:
        """The answers of the samples that have media."""
        tokenizer = self.processing_class.tokenizer
        return [answer_text(tokenizer, labels) for labels in batch["labels"][self.has_media(batch)].tolist()]

    def connector_inputs(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """The encoders' states of a batch. Raises `ValueError` for a batch without media."""
        if batch.get("encoder_states"):
            return batch["encoder_states"]
        media = {name: value for name, value in batch.items() if name not in TEXT_INPUTS}
        if not media:
            raise ValueError("A batch of align_connector has no media: there is nothing that the connector could say.")
        with torch.no_grad():
            return self.unwrapped_favor().model.encode_media(**media)

    def say(self, prompt: Batch, max_new_tokens: int | None) -> str:
        """What the outputs say that stand for a sample's media; the language model is not asked."""
        output: FavorConnectorOutput = self.unwrapped_favor().model.connector(**self.connector_inputs(prompt))
        outputs = self.alignable(output)[0, : int(cast(torch.Tensor, output.num_tokens)[0])]
        with torch.autocast(outputs.device.type, enabled=False):
            nearest = self.embedded.distances(outputs).argmin(-1)
        seen_queries = self.alignment.seen_queries
        if not seen_queries:
            return self.pieces.text(nearest.tolist())
        windows = nearest.unflatten(0, (int(cast(torch.Tensor, output.num_windows)[0]), -1))  # (W, N)
        heard = self.pieces.text(heard_queries(windows[None], seen_queries).flatten().tolist())
        names = [self.pieces.text(window) for window in windows[:, -seen_queries:].tolist()]
        seen = [name for before, name in zip(["", *names], names, strict=False) if name != before]
        return " / ".join(text for text in (heard, *seen) if text)


def stills(states: Mapping[str, torch.Tensor], output: FavorConnectorOutput) -> torch.Tensor:
    """(B,) which items are a single picture without sound: what is in it has no order."""
    none = torch.zeros_like(output.num_tokens)
    pictures, sound = states.get("num_visual_frames", none), states.get("num_audio_vectors", none)
    return (pictures == 1) & (sound == 0)


def check_connector(config: PreTrainedConfig, alignment: ConnectorAlignment) -> None:
    """Raises `ValueError` for options of a stage that this connector cannot honour."""
    queries = getattr(config, "num_query_tokens", None)
    for name in ("letters_weight", "seen_queries"):
        if getattr(alignment, name) and queries is None:
            raise ValueError(f"{name} needs queries, but the connector is a projector: set it to 0.")
    if not alignment.seen_queries:
        return
    if alignment.seen_queries >= cast(int, queries):
        raise ValueError(
            f"seen_queries is {alignment.seen_queries}, but a window has {queries} queries (num_query_tokens), and "
            "some are to say what is heard: set it lower."
        )
    if config.window_frames != 1 or not config.synchronize or config.modalities != "audio_visual":
        raise ValueError(
            "seen_queries needs windows of one frame, as longer ones show several pictures, with both streams: set "
            "connector_config.window_frames to 1, synchronize to true and modalities to audio_visual, now "
            f"{config.window_frames}, {config.synchronize} and {config.modalities}."
        )


def alignable_rows(
    rows: SampleDataset | None, pieces: AnswerPieces, video_token_id: int, skip: bool, shares: tuple[float, float]
) -> SampleDataset | None:
    """Encoded samples that [`check_length`] accepts; others are refused before training, or with `skip` left out.

    `shares`: of the outputs of a sample with sound, and of one without, that say its answer.
    """
    if not isinstance(rows, Dataset) or "input_ids" not in rows.column_names:
        return rows
    kept, faults = [], []
    for number, row in enumerate(rows):
        outputs, answer = row["input_ids"].count(video_token_id), answer_text(pieces.tokenizer, row["labels"])
        outputs = round(outputs * shares[0 if any(row["audio_states"]) else 1])
        try:
            check_length(pieces.places(answer), outputs, row.get("origin") or "a sample")
            kept.append(number)
        except ValueError as error:
            if not skip:
                raise
            faults.append(str(error))
    if not faults:
        return rows
    if not kept:
        raise ValueError(f"None of the {len(rows)} samples can be aligned; the first: {faults[0]}")
    logger.warning(f"{len(faults)} of {len(rows)} samples are left out of align_connector; the first: {faults[0]}")
    return rows.select(kept)
