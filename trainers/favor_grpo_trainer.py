# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""TRL's GRPOTrainer for answers about video, image and sound; the encoders run once for all answers to a prompt."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils import send_to_device
from transformers import TrainerCallback
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import RepeatSampler, add_fused_lm_head, pad

from .answer_log import add_answers
from .encoder_cache import EncodedCollator, EncodedRow, ItemStates, join_states
from .favor_grpo_config import FavorGRPOConfig
from .favor_trainer_mixin import FavorTrainerMixin, prepare_model
from .media_features import undecoded
from .muon import check_muon
from .preference_rows import check_row, check_rows, origin_of, prompt_chat
from .prompt_media import item_states, plain_prompt, read_media
from .reference_model import copy_for_reference, switch_dropout_off
from .same_rows import same_row
from .trained_modules import check_connector_rate
from .training_checks import check_encoders_frozen, check_launch


@dataclass(frozen=True)
class AskedPrompt:
    """
    A prompt that is answered several times.

    Args:
        input_ids: its tokens, with those of its media.
        states: of the encoders, for each of its items.
    """

    input_ids: list[int]
    states: list[ItemStates]


class EpochOrder(TrainerCallback):
    """Gives a sampler of TRL the epoch's random numbers; a new one would begin with those of the first epoch."""

    def __init__(self, sampler: RepeatSampler, seed: int):
        self.sampler, self.seed = sampler, seed

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self.sampler.generator.manual_seed(self.seed + math.floor(round(state.epoch or 0, 6)))


class FavorGRPOTrainer(FavorTrainerMixin, GRPOTrainer):
    """Group relative policy optimisation of FAVOR: several answers to a prompt, each with its reward.

    The encoders are frozen, and run once for all answers to a prompt.

    Args:
        model: a `FavorForConditionalGeneration`, or a `PeftModel` of one.
        reward_funcs: as TRL's: called with `prompts`, `completions` and the rows' other columns as lists, and gives a
            number (or None) for each answer.
        args: a [`FavorGRPOConfig`].
        train_dataset: rows with `prompt` (a question, or turns whose media blocks are filled from the columns), or
            with `messages`, of which the last answer is left out; media in `video`, `image` and `audio`; and what the
            rewards read. Rewards see the rows as they are, and of the prompts the text.
        processing_class: the model's `FavorProcessor`.
        encoder_states: of [`encode_prompts`], for its rows: the encoders do not run at all.
        Other arguments: see [`trl.GRPOTrainer`].
    """

    _tag_names = ["trl", "grpo", "favor"]
    _name = "FAVOR-GRPO"

    def __init__(
        self,
        model,
        reward_funcs=None,
        args=None,
        processing_class=None,
        encoder_states: EncodedCollator | None = None,
        **kwargs,
    ):
        if isinstance(model, str):
            raise ValueError(f"model={model!r}: load the model yourself with from_pretrained and give the object.")
        for name in ("tools", "rollout_func", "environment_factory"):
            if kwargs.get(name):
                raise ValueError(f"{name} is not possible in FAVOR's reward training: an answer is one turn of text.")
        args = FavorGRPOConfig() if args is None else args
        check_launch(args)
        if args.cast_lm_head_to_fp32 and model.config.tie_word_embeddings:
            raise ValueError("cast_lm_head_to_fp32 is not possible with tied embeddings: leave it out.")
        for rows in ("train_dataset", "eval_dataset"):
            kwargs[rows] = undecoded(kwargs.get(rows))
            check_rows(kwargs[rows], paired=False)
        peft_config = kwargs.get("peft_config")
        prepare_model(model, args, peft_config)
        self.start_diversity(model, 0.0)
        self.has_diversity_loss = False  # see FavorGRPOConfig
        self.encoder_states = encoder_states
        self._asked: Sequence[AskedPrompt] = ()
        self._rows: Sequence[Mapping[str, Any]] = ()
        whole = peft_config is None and not hasattr(model, "get_base_model")
        reference = copy_for_reference(model, not (args.fsdp or args.deepspeed)) if whole and args.beta else None
        beta, args.beta = args.beta, 0.0 if whole else args.beta  # TRL would load the reference from the Hub
        try:
            super().__init__(
                model=model, reward_funcs=reward_funcs, args=args, processing_class=processing_class, **kwargs
            )
        finally:
            args.beta = beta
        self.beta = beta
        self.check_enough_prompts()
        check_encoders_frozen(self.model)
        check_muon(self)
        check_connector_rate(self)
        if reference is not None:
            self.start_reference(reference)
        if args.disable_dropout:
            switch_dropout_off(self.model, self.ref_model)
        self.hook_backbone()

    def check_enough_prompts(self) -> None:
        """Raises `ValueError` for fewer rows than are asked at once: TRL drops what fills no batch, here all."""
        asked = self.args.generation_batch_size // self.num_generations
        if hasattr(self.train_dataset, "__len__") and len(self.train_dataset) < asked:
            raise ValueError(
                f"{asked} prompts are asked at once (generation_batch_size {self.args.generation_batch_size} / "
                f"num_generations {self.num_generations}), but the data has {len(self.train_dataset)} rows, so "
                "that no step could be made: make batches smaller, or give more rows."
            )

    def start_reference(self, reference: torch.nn.Module) -> None:
        """Makes a model the reference, as TRL does with what it loads."""
        head = {"temperature": self.temperature, "cast_lm_head_to_fp32": self.args.cast_lm_head_to_fp32}
        add_fused_lm_head(reference, **head)
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise ValueError(
                f"beta={self.beta} without a LoRA needs a second model, which is not possible with FSDP or DeepSpeed: "
                "train a LoRA, or set beta to 0."
            )
        self.ref_model = self.accelerator.prepare_model(reference, evaluation_mode=True)

    def _get_train_sampler(self, dataset=None):
        """As inherited, but each epoch's order follows from the epoch alone, so that a resumed run has it, too."""
        sampler = super()._get_train_sampler(dataset)
        if self.shuffle_dataset:
            self.add_callback(EpochOrder(sampler, self.args.seed))
        return sampler

    # From rows to prompts

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As inherited, on prompts whose media are opened and encoded once, however many answers they get."""
        self._asked, self._rows = self.asked_prompts(inputs), inputs
        # TRL reads pictures off a row by itself, and looks for templates: it gets the text alone.
        output = super()._generate_and_score_completions([{"prompt": plain_prompt(row)} for row in inputs])
        output["asked"] = list(self._asked)  # shuffled and split with the answers
        return output

    def asked_prompts(self, rows: Sequence[Mapping[str, Any]]) -> list[AskedPrompt]:
        """Each row's prompt; rows that follow each other and are the same share one."""
        asked: list[AskedPrompt] = []
        for number, row in enumerate(rows):
            again = number and same_row(row, rows[number - 1])
            asked.append(asked[-1] if again else self.ask(row))
        return asked

    def ask(self, row: Mapping[str, Any]) -> AskedPrompt:
        """A row's tokens and states. Raises `BadSampleError` for what cannot be read."""
        check_row(row)
        chat, processor = prompt_chat(row), self.processing_class
        media = read_media(processor, chat, row)
        tokens = processor.prompt_tokens(
            chat, media.query_tokens, add_generation_prompt=True, **self.chat_template_kwargs
        )
        return AskedPrompt(tokens.input_ids, self.states_of(row, media.inputs))

    def states_of(self, row: Mapping[str, Any], inputs: Mapping[str, torch.Tensor]) -> list[ItemStates]:
        """The encoders' states of a row's items, from the cache or from the encoders."""
        if row.get("query_tokens") is not None:
            if self.encoder_states is None:
                raise ValueError(
                    f"{origin_of(row)} is a row of encode_prompts: give what it returned beside the rows as "
                    "encoder_states."
                )
            return send_to_device(self.encoder_states.states(cast(EncodedRow, row)), self.accelerator.device)
        if not inputs:
            return []
        self.check_whole_encoders()
        with self.accelerator.autocast():
            return item_states(self.unwrapped_favor(), send_to_device(dict(inputs), self.accelerator.device))

    def _tokenize_prompts(self, prompts: list) -> tuple[list[list[int]], None, dict]:
        return [asked.input_ids for asked in self._asked], None, {}

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        """As inherited, with the rows as they are in the data."""
        return super()._calculate_rewards(self._rows, prompts, completions, completion_ids_list)

    # From prompts to answers, and to their probabilities

    def _generate_single_turn(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        """Samples an answer to each prompt; TRL's own hands media to `generate` as flat tensors only."""
        tokens = [torch.tensor(ids) for ids in prompt_ids]
        options = {"padding_side": "left", "pad_to_multiple_of": self.pad_to_multiple_of}
        inputs = {
            "input_ids": pad(tokens, padding_value=self._tokenizer.pad_token_id, **options),
            "attention_mask": pad([torch.ones_like(ids) for ids in tokens], padding_value=0, **options),
        }
        inputs = send_to_device(inputs, self.accelerator.device) | self.media_of(self._asked)
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gather_deepspeed3_params=self.args.ds3_gather_for_generation,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            torch.no_grad(),
            self._dist.summon_full_params(self.model_wrapped, recurse=False),
            self.accelerator.autocast(),
        ):
            said = model.generate(**inputs, generation_config=self.generation_config)
        answers = said[:, inputs["input_ids"].shape[1] :].tolist()
        return [up_to_end(answer, self.eos_token_ids) for answer in answers], None

    def media_of(self, asked: Sequence[AskedPrompt]) -> dict[str, dict[str, torch.Tensor]]:
        """The model's argument for the items of these prompts; none without any."""
        states = [item for prompt in asked for item in prompt.states]
        return {"encoder_states": send_to_device(join_states(states), self.accelerator.device)} if states else {}

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, **options
    ):
        """As inherited, each part of the batch with its own media."""
        size = batch_size or len(input_ids)
        parts = []
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            seeing = functools.partial(model, **self.media_of(self._asked[rows]))
            parts.append(
                super()._get_per_token_logps_and_entropies(
                    seeing, input_ids[rows], attention_mask[rows], logits_to_keep, **options
                )
            )
        logps, entropies, auxiliary = zip(*parts, strict=True)
        return (
            torch.cat(logps),
            None if entropies[0] is None else torch.cat(entropies),
            None if auxiliary[0] is None else torch.stack(auxiliary).mean(),
        )

    def _compute_loss(self, model, inputs):
        self._asked = inputs["asked"]
        return super()._compute_loss(model, inputs)

    # Logs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As inherited; answers with their rewards are written down, too (see [`add_answers`])."""
        answered = self._logs["prompt"] and ("loss" in logs or "eval_loss" in logs)  # not the summary at the end
        if self.args.should_save and self.args.logged_answers and answered:
            split = "train" if self.model.training else "eval"
            answers = self.last_answers(self.args.logged_answers)
            add_answers(Path(self.args.output_dir), self.state.global_step, split, answers)
        super().log(logs, start_time)

    def last_answers(self, count: int) -> list[dict[str, Any]]:
        """The last prompts and answers, with each reward and the advantage."""
        prompts, answers = list(self._logs["prompt"])[-count:], list(self._logs["completion"])[-count:]
        rewards = {name: list(values)[-count:] for name, values in self._logs["rewards"].items()}
        advantages = list(self._logs["advantages"])[-count:]
        return [
            {
                "prompt": spoken(prompt),
                "answer": spoken(answer),
                "rewards": {name: finite(values[number]) for name, values in rewards.items()},
                "advantage": advantages[number],
            }
            for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        ]

    def _set_signature_columns_if_needed(self):
        if self._signature_columns is None:
            self._signature_columns = ["prompt", "messages", "video", "image", "audio", "use_own_audio"]


def up_to_end(answer: list[int], ends: Sequence[int]) -> list[int]:
    """An answer's tokens up to its first end token, which is its last."""
    place = next((number for number, token in enumerate(answer) if token in ends), len(answer))
    return answer[: place + 1]


def spoken(value: Any) -> str:
    """The text of a prompt or an answer: of the last turn, where it is several."""
    return value if isinstance(value, str) else str(value[-1]["content"])


def finite(value: float) -> float | None:
    """JSON knows no NaN, which stands for an answer that a reward says nothing about."""
    return None if value != value else value


__all__ = ["FavorGRPOTrainer"]
