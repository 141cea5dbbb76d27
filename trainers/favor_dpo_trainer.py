# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""TRL's DPOTrainer for preferences over video, image and sound; the encoders run once for both answers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from trl import DPOTrainer

from .diversity_weight import diversity_units
from .encoder_cache import EncodedCollator, EncodedRow
from .favor_data_collator import Batch, FavorDataCollator, PreparedSample, TokenRow, pad_text
from .favor_dpo_config import FavorDPOConfig
from .favor_trainer_mixin import FavorTrainerMixin, prepare_model
from .media_features import undecoded
from .muon import check_muon
from .preference_rows import check_rows, origin_of, read_pair
from .prompt_media import answer_row, read_media
from .reference_model import check_same_encoders, copy_for_reference, switch_dropout_off
from .sample_tokens import IGNORED_LABEL
from .trained_modules import check_connector_rate
from .training_checks import check_encoders_frozen, check_launch

MEDIA = (
    *("pixel_values_videos", "video_frame_indices", "qformer_input_ids", "qformer_attention_mask"),
    *("input_features", "input_features_mask"),
)


class FavorPreferenceCollator:
    """
    Collates rows with `prompt`, `chosen` and `rejected` over the media in `video`, `image` and `audio`.

    A batch of n rows has 2 n texts, the chosen ones first, and the media of n: `input_ids`, `attention_mask` and
    `completion_mask` (2 n, length), padded on the right, and of the rows' items what `FavorProcessor` returns, or
    `encoder_states`.

    Args:
        processor: a `FavorProcessor`.
        max_length: see [`FavorDPOConfig`].
        states: of [`encode_prompts`], for its rows.
    """

    def __init__(self, processor: Any, max_length: int | None = None, states: EncodedCollator | None = None):
        self.processor, self.max_length, self.states = processor, max_length, states
        self.samples = FavorDataCollator(processor)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        self.check_states(rows)
        prepared = [self.prepare(row) for row in rows]
        texts: list[Any] = [chosen for chosen, _ in prepared] + [rejected for _, rejected in prepared]
        if self.states is None:
            batch = self.samples.join(texts)
        else:
            batch = pad_text(texts, self.processor.tokenizer.pad_token_id)
            seen = self.states.connector_inputs([cast(EncodedRow, row) for row in rows])
            if seen:
                batch["encoder_states"] = seen
        batch["completion_mask"] = (batch.pop("labels") != IGNORED_LABEL).long()
        return batch

    def check_states(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Raises `ValueError` for rows whose states are kept without what finds them, and the other way round."""
        kept = [row.get("query_tokens") is not None for row in rows]
        if any(kept) if self.states is None else not all(kept):
            raise ValueError(
                f"{origin_of(rows[kept.index(self.states is None)])}: rows of encode_prompts and the states that it "
                "returned beside them go together: give both to FavorPreferenceCollator(processor, states=...), or "
                "neither."
            )

    def prepare(self, row: Mapping[str, Any]) -> tuple[PreparedSample, TokenRow]:
        """A row's two texts, the chosen one with the media."""
        pair = read_pair(row)
        media = read_media(self.processor, pair.prompt, row)
        chosen, rejected = (
            answer_row(self.processor, pair.prompt, answer, media.query_tokens, self.max_length, origin_of(row))
            for answer in (pair.chosen, pair.rejected)
        )
        return {**chosen, **media.inputs}, rejected


class FavorDPOTrainer(FavorTrainerMixin, DPOTrainer):
    """Direct preference optimisation of FAVOR: of two answers about one video, image or sound, the better one.

    The encoders are frozen, and run once for both answers, the model and its reference.

    Args:
        model: a `FavorForConditionalGeneration`, or a `PeftModel` of one.
        ref_model: by default the model as it is when training begins; with a LoRA, the model without it.
        args: a [`FavorDPOConfig`].
        data_collator: a [`FavorPreferenceCollator`] by default.
        train_dataset: rows with `prompt` (a question, or turns whose media blocks are filled from the columns),
            `chosen` and `rejected` (answers, or turns), and media in `video`, `image` and `audio`.
        processing_class: the model's `FavorProcessor`.
        Other arguments: see [`trl.DPOTrainer`].
    """

    _tag_names = ["trl", "dpo", "favor"]
    _name = "FAVOR-DPO"

    def __init__(self, model, ref_model=None, args=None, data_collator=None, processing_class=None, **kwargs):
        if isinstance(model, str):
            raise ValueError(f"model={model!r}: load the model yourself with from_pretrained and give the object.")
        args = FavorDPOConfig() if args is None else args
        check_launch(args)
        for rows in ("train_dataset", "eval_dataset"):
            kwargs[rows] = undecoded(kwargs.get(rows))
            check_rows(kwargs[rows], paired=True)
        peft_config = kwargs.get("peft_config")
        prepare_model(model, args, peft_config)
        if ref_model is not None:
            check_same_encoders(model, ref_model)
        elif peft_config is None and not hasattr(model, "get_base_model"):
            ref_model = copy_for_reference(model, shares_encoders=not (args.fsdp or args.deepspeed))
        self.start_diversity(model, args.diversity_loss_weight)
        super().__init__(
            model=model,
            ref_model=ref_model,
            args=args,
            data_collator=data_collator or FavorPreferenceCollator(processing_class, args.max_length),
            processing_class=processing_class,
            **kwargs,
        )
        check_encoders_frozen(self.model)
        self.check_diversity()
        check_muon(self)
        check_connector_rate(self)
        if args.disable_dropout:
            switch_dropout_off(self.model, self.ref_model)
        self.hook_backbone()

    def check_diversity(self) -> None:
        """No diversity loss for a frozen connector; raises `ValueError` if one was asked for."""
        connector = self.unwrapped_favor().model.connector
        if any(parameter.requires_grad for parameter in connector.parameters()):
            return
        if self.args.diversity_loss_weight:
            raise ValueError(
                f"diversity_loss_weight={self.args.diversity_loss_weight} has no effect on a frozen connector: leave "
                "it out, or train the connector (modules_to_save of the LoRA, or train_only)."
            )
        self.has_diversity_loss = False

    def _prepare_dataset(self, dataset, *args, **kwargs):
        """TRL would tokenise the text here, and lose the media; rows are read when a batch is made."""
        return dataset

    def _set_signature_columns_if_needed(self):
        if self._signature_columns is None:
            self._signature_columns = ["prompt", "chosen", "rejected", "video", "image", "audio", "use_own_audio"]

    def _compute_loss(self, model, inputs, return_outputs):
        """TRL's loss on media that are encoded once, and the diversity loss of a connector that is trained."""
        units = diversity_units(inputs, self.model.config) if self.has_diversity_loss else None
        self._diversity_loss = None
        result = super()._compute_loss(model, self.with_states(inputs), return_outputs)
        if units is None:
            return result
        loss, outputs = result if return_outputs else (result, None)
        loss = self.with_diversity(loss, units, divided=False)
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def with_states(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A batch with its rows' media as encoders' states, for the chosen answers and again for the rejected ones."""
        batch = {name: value for name, value in inputs.items() if name not in (*MEDIA, "encoder_states")}
        media = {name: inputs[name] for name in MEDIA if name in inputs}
        states = inputs.get("encoder_states")
        if states is None and media:
            self.check_whole_encoders()
            with self.accelerator.autocast():
                states = self.unwrapped_favor().model.encode_media(**media)
        if states is not None:
            batch["encoder_states"] = {name: torch.cat((value, value)) for name, value in states.items()}
        return batch


__all__ = ["FavorDPOTrainer", "FavorPreferenceCollator"]
