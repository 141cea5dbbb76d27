# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a training recipe says, as dataclasses: a field is a key of the YAML file, a dataclass in it a section."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .embedding_alignment import OFF_WEIGHT
from .source_spec import TrainingData

# Part of `fresh_parts` -> its weights' names.
FRESH_PARTS = {"connector": ("model.connector.",), "language_model": ("model.language_model.", "lm_head.")}


@dataclass(frozen=True)
class LoraSettings:
    """
    Without this section everything but the encoders is trained.

    Args:
        rank, alpha, dropout: of the LoRA on the language model's attention.
        merge: whether a whole model is written at the end, instead of an adapter.
        connector: whether the connector is trained in full beside it.
    """

    rank: int = 32
    alpha: int = 32
    dropout: float = 0.1
    merge: bool = False
    connector: bool = True


@dataclass(frozen=True)
class CacheSettings:
    """
    Encoders run once over the data; arguments as in [`encode_dataset`].

    Args:
        cache_dir: folder that keeps the states from run to run; by default `encoder_states` in `output_dir`.
        dtype: of the stored states.
        identify_files_by: how a file is told from another.
        workers: processes that decode.
    """

    cache_dir: str | None = None
    dtype: str = "float16"
    identify_files_by: Literal["stat", "content"] = "stat"
    workers: int = 2


@dataclass(frozen=True)
class ScratchModel:
    """
    A model that begins with random weights.

    Args:
        config: of a `FavorConfig`, without vocabulary sizes and token ids.
        vocab_size: pieces of the language model's tokenizer.
        feature_extractor: arguments of `WhisperFeatureExtractor`.
        max_new_tokens: of an answer, unless a caller asks for another number.
        qformer_vocab_size: pieces of the visual Q-Former's tokenizer; needed unless `config.qformer_config` is null.
    """

    config: dict[str, object]
    vocab_size: int
    feature_extractor: dict[str, object]
    max_new_tokens: int
    qformer_vocab_size: int | None = None

    def __post_init__(self) -> None:
        if self.has_qformer and self.qformer_vocab_size is None:
            raise ValueError(
                "`qformer_vocab_size` is missing; give it, or set config.qformer_config to null for a model without a "
                "visual Q-Former."
            )

    @property
    def has_qformer(self) -> bool:
        """Whether the model has a visual Q-Former."""
        return self.config.get("qformer_config", {}) is not None


@dataclass(frozen=True)
class PictureAugmentation:
    """How pictures are changed while towers learn.

    Without it a tower that never saw a red circle takes red as a sign that a shape is no circle.

    Args:
        shift: the most pixels that a picture is moved by.
        recoloured: share of the pictures whose colours are mixed, from 0 to 1.
        colour_labels: labels that a recoloured picture has no longer.
        after_steps: from which step on.
    """

    shift: int = 0
    recoloured: float = 0.0
    colour_labels: list[str] = field(default_factory=list)
    after_steps: int = 0

    def __post_init__(self) -> None:
        if self.recoloured and not self.colour_labels:
            raise ValueError("`recoloured` needs `colour_labels`, which a recoloured picture has no longer.")


@dataclass(frozen=True)
class TowerPretraining:
    """
    The towers of a model `from_scratch` learn before anything else.

    Args:
        scenes: file with a line of labels for each clip.
        visual_labels: names of its lists with a label for each picture.
        visual_steps, audio_steps, visual_batch_size, audio_batch_size: of the two trainings.
        learning_rate: AdamW's.
        muon_learning_rate: Muon's, of the weight matrices; by default AdamW trains these, too.
        augmentation: of the pictures; by default none.
    """

    scenes: str
    visual_labels: list[str]
    visual_steps: int
    audio_steps: int
    visual_batch_size: int
    audio_batch_size: int
    learning_rate: float
    muon_learning_rate: float | None = None
    augmentation: PictureAugmentation = field(default_factory=PictureAugmentation)

    def __post_init__(self) -> None:
        strange = set(self.augmentation.colour_labels) - set(self.visual_labels)
        if strange:
            raise ValueError(
                f"`colour_labels` of `augmentation` has {', '.join(sorted(strange))}, which `visual_labels` has not."
            )


@dataclass(frozen=True)
class ConnectorPretraining:
    """
    The connector of a model `from_scratch` learns to say words, before the first stage that has media.

    Args:
        scenes: file with a line of `half_second_words` for each clip, so many words for each half second as the
            connector has queries for it.
        steps, batch_size: of the training.
        learning_rate: AdamW's.
        diversity_loss_weight: of the diversity loss beside the words' loss.
        muon_learning_rate: Muon's, of the weight matrices; by default AdamW trains these, too.
    """

    scenes: str
    steps: int
    batch_size: int
    learning_rate: float
    diversity_loss_weight: float
    muon_learning_rate: float | None = None


@dataclass(frozen=True)
class ConnectorAlignment:
    """
    In this stage the connector alone learns to say its samples' answers in the language model's embeddings.

    Args:
        distance_weight: of an output's squared distance to what it is to say, in units of that between two pieces.
        pieces: so many of the answers' commonest pieces are said whole, rarer ones are spelt; by default all.
        letters_weight: of the loss by which the queries' states of sounds and videos also spell the answer (see
            [`SpeltStates`]); 0 leaves it out.
        seen_queries: so many of a window's queries, its last, say what is seen, the others what is heard; 0: all say
            the answer. For windows of one frame.
        pair_streams: share of a batch's samples with sound alone that are shown its stills (see [`pair_streams`]);
            needs `seen_queries`.
        state_dropout: share of the encoders' channels that an item's states lack in training (see [`drop_channels`]).
    """

    distance_weight: float = OFF_WEIGHT
    pieces: int | None = None
    letters_weight: float = 0.0
    seen_queries: int = 0
    pair_streams: float = 0.0
    state_dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.distance_weight < math.inf:
            raise ValueError(f"`distance_weight` must be 0 or more, but it is {self.distance_weight}.")
        if not 0 <= self.letters_weight < math.inf:
            raise ValueError(f"`letters_weight` must be 0 or more, but it is {self.letters_weight}.")
        if self.pieces is not None and self.pieces < 1:
            raise ValueError(f"`pieces` must be at least 1, or null for all, but it is {self.pieces}.")
        if self.seen_queries < 0:
            raise ValueError(f"`seen_queries` must be 0 or more, but it is {self.seen_queries}.")
        if not 0 <= self.pair_streams <= 1:
            raise ValueError(f"`pair_streams` is a share from 0 to 1, but it is {self.pair_streams}.")
        if not 0 <= self.state_dropout < 1:
            raise ValueError(f"`state_dropout` is a share from 0 to below 1, but it is {self.state_dropout}.")
        if self.pair_streams and not self.seen_queries:
            raise ValueError(
                f"`pair_streams` is {self.pair_streams}, but without `seen_queries` no query says what is seen beside "
                "a sound: set `seen_queries`, too."
            )


@dataclass(frozen=True)
class AnswersForMedia:
    """
    In this stage the language model reads, in place of its media, what an aligned connector would say of the answers.

    Args:
        errors: share of the pieces that are left out, or of which another is said, from 0 to 1.
        blanks: so many blanks on average after each piece.
        pieces: as of `align_connector`.
    """

    errors: float = 0.1
    blanks: float = 2.0
    pieces: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.errors <= 1:
            raise ValueError(f"`errors` is a share from 0 to 1, but it is {self.errors}.")
        if not 0 <= self.blanks < math.inf:
            raise ValueError(f"`blanks` must be 0 or more, but it is {self.blanks}.")


@dataclass(frozen=True)
class Stage:
    """
    A part of the training; it goes on with the weights of the one before.

    Args:
        sft: what is different from the recipe's `sft`.
        train_data, eval_data: by default the recipe's.
        family_shares: see [`keep_shares`].
        words_for_media: file of scenes whose words the language model reads where its media's query tokens will be.
        align_connector: the connector alone is trained, onto the language model's embeddings.
        answers_for_media: the language model reads pieces of the answers in place of media.
    """

    sft: dict[str, object] = field(default_factory=dict)
    train_data: TrainingData | None = None
    eval_data: TrainingData | None = None
    family_shares: dict[str, float] = field(default_factory=dict)
    words_for_media: str | None = None
    align_connector: ConnectorAlignment | None = None
    answers_for_media: AnswersForMedia | None = None

    def __post_init__(self) -> None:
        kinds = ("words_for_media", "align_connector", "answers_for_media")
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"a stage is of one kind, but it has {' and '.join(given)}: make a stage of each.")

    @property
    def in_text(self) -> bool:
        """Whether no media are read."""
        return self.words_for_media is not None or self.answers_for_media is not None


@dataclass(frozen=True)
class Recipe:
    """
    One training run, from data to a saved model (docs/training.md).

    Args:
        output_dir: of the model or adapter, and what the run says of itself.
        train_data, eval_data: see [`load_training_data`].
        seed: of every choice.
        model: folder or Hub id of the model that the run begins with; or else `from_scratch`.
        config: what is changed in its config, nested.
        fresh_parts: of it, that begin with random weights.
        time_shaped_queries: whether each query of a fresh connector begins with its attention on its own stretch of
            the window (see [`shape_queries_in_time`]); the paper's begin alike.
        attn_implementation: of a `model`, how its parts compute attention: "eager", "sdpa", "flash_attention_2"; by
            default as transformers chooses. For windows of a second and short texts "eager" is fastest on a CPU.
        quantization: arguments of `BitsAndBytesConfig`: the language model is loaded in 4 or 8 bit, to train a `lora`.
        media_options: what is changed in the processor's.
        resume: "auto": the run goes on where it was stopped; a folder: at this checkpoint.
        sft: arguments of [`FavorSFTConfig`], without `output_dir` and `seed`.
        dpo: in place of `sft`, those of [`FavorDPOConfig`]: `train_data` is a file of preferences.
        grpo: in place of `sft`, those of [`FavorGRPOConfig`]: `train_data` is a file of prompts.
        rewards: names of the rewards of `grpo` (favor/rewards.py).
        given: the mapping that the recipe was read from, for the run's records.
    """

    output_dir: str
    train_data: TrainingData
    seed: int = 0
    model: str | None = None
    config: dict[str, object] = field(default_factory=dict)
    fresh_parts: list[str] = field(default_factory=list)
    time_shaped_queries: bool = False
    attn_implementation: str | None = None
    quantization: dict[str, object] = field(default_factory=dict)
    media_options: dict[str, object] = field(default_factory=dict)
    resume: str | None = None
    eval_data: TrainingData | None = None
    from_scratch: ScratchModel | None = None
    tower_pretraining: TowerPretraining | None = None
    connector_pretraining: ConnectorPretraining | None = None
    cache_encoder_states: CacheSettings | None = None
    lora: LoraSettings | None = None
    sft: dict[str, object] = field(default_factory=dict)
    dpo: dict[str, object] | None = None
    grpo: dict[str, object] | None = None
    rewards: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    given: Mapping[str, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.model is None) == (self.from_scratch is None):
            raise ValueError("give either `model` (a folder or Hub id) or `from_scratch`.")
        if self.config and self.model is None:
            raise ValueError("`config` changes the config of a `model`; from_scratch has a config of its own.")
        if self.attn_implementation is not None and self.model is None:
            raise ValueError("`attn_implementation` is of a `model`; leave it out with from_scratch.")
        if not {*self.fresh_parts} <= {*FRESH_PARTS} or (self.fresh_parts and self.model is None):
            raise ValueError(
                f"`fresh_parts` lists parts of a `model` ({', '.join(sorted(FRESH_PARTS))}), but it is "
                f"{self.fresh_parts!r}."
            )
        if self.time_shaped_queries and self.model is not None and "connector" not in self.fresh_parts:
            raise ValueError(
                "`time_shaped_queries` are start values: they would overwrite the model's trained connector. Add "
                "connector to fresh_parts, or leave them out."
            )
        self._check_stages()
        if self.quantization:
            self._check_quantization()
        self._check_method()
        if self.connector_pretraining is not None and self.cache_encoder_states is None:
            raise ValueError("`connector_pretraining` reads encoder states; set `cache_encoder_states`, too.")

    @property
    def method(self) -> Literal["sft", "dpo", "grpo"]:
        """By which trainer the recipe is run."""
        return "dpo" if self.dpo is not None else "grpo" if self.grpo is not None else "sft"

    def _check_method(self) -> None:
        if self.dpo is not None and self.grpo is not None:
            raise ValueError("give `dpo` or `grpo`, not both: one run, one kind of training.")
        if bool(self.rewards) != (self.method == "grpo"):
            raise ValueError("`grpo` needs `rewards`, names of what scores its answers, and nothing else has any.")
        if self.method == "sft":
            return
        for name in ("sft", "stages", "from_scratch", "tower_pretraining", "connector_pretraining"):
            if getattr(self, name):
                raise ValueError(f"`{self.method}` goes without `{name}`: it trains a `model` further, in one stage.")
        for name in ("train_data", "eval_data"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise ValueError(f"`{name}` of `{self.method}` is one file, not a mixture: join the files into one.")

    def _check_stages(self) -> None:
        """An aligned connector is trained in full: a LoRA, once it is around the model, stays there."""
        aligning = [stage.align_connector is not None for stage in self.stages]
        late = next((number for number, aligns in enumerate(aligning) if aligns and not all(aligning[:number])), None)
        if self.lora is not None and late is not None:
            raise ValueError(
                f"stages.{late} has align_connector after a stage that trains the LoRA: put the stages that align the "
                "connector first."
            )
        if self.lora is not None and aligning and all(aligning):
            raise ValueError(
                "every stage has align_connector, which trains no LoRA: leave `lora` out, or add a stage."
            )

    def _check_quantization(self) -> None:
        if self.model is None or self.lora is None or self.fresh_parts:
            raise ValueError(
                "`quantization` loads a `model` in few bits, where only a `lora` can be trained, and no fresh_parts."
            )
        if self.lora.merge:
            raise ValueError(
                "`quantization` goes without lora.merge, which would round the sum to few bits: merge afterwards "
                "(favor export OUTPUT_DIR OUT --merge)."
            )
        if not (self.quantization.get("load_in_4bit") or self.quantization.get("load_in_8bit")):
            raise ValueError(f"`quantization` needs load_in_4bit or load_in_8bit, but it is {self.quantization!r}.")
