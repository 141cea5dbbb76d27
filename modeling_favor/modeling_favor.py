# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR: vision tower, audio tower, connector and a causal language model, composed on transformers' own classes."""

from dataclasses import replace

import torch
from transformers import AutoModel
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin
from transformers.modeling_utils import slice_logits_to_keep
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, can_return_tuple

from .cache_favor import CACHE_NAME, cache_argument, cache_of
from .clip_states_favor import ClipStatesMixin
from .configuration_favor import FavorConfig
from .diversity_favor import sample_diversity, share_of_step
from .encoder_recording_favor import record_encoders, recorded_states
from .language_head_favor import adjust_logits, build_language_head, input_embedding_name
from .media_stream_favor import FavorMediaStream
from .outputs_favor import FavorCausalLMOutputWithPast, FavorMediaOutput, FavorModelOutputWithPast

# Transformers saves a model with the files that this one imports, so the pipeline comes along.
from .pipeline_favor import TASK, VideoTextToTextPipeline
from .placeholders_favor import check_placeholders, insert_media
from .pretrained_favor import FavorPreTrainedModel

AUTO_CLASSES = ("AutoModel", "AutoModelForMultimodalLM", "AutoModelForImageTextToText", "AutoModelForCausalLM")
# What `generate` encodes once, instead of repeating it for every beam and step.
MEDIA_INPUTS = (
    "pixel_values_videos",
    "video_frame_indices",
    "input_features",
    "input_features_mask",
    "qformer_input_ids",
    "qformer_attention_mask",
    "encoder_states",
)


class FavorModel(ClipStatesMixin, FavorPreTrainedModel):
    """FAVOR without the language-model head."""

    def __init__(self, config: FavorConfig):
        super().__init__(config)
        self.add_encoders(config)
        self.language_model = AutoModel.from_config(config.text_config)
        # A decoding step runs the embedding and the language model alone: it is one graph where that model is.
        self._can_compile_fullgraph = self.language_model._can_compile_fullgraph
        self.post_init()
        self.keep_present_no_split_modules()

    def train(self, mode: bool = True) -> "FavorModel":
        """As in torch, but a frozen encoder stays in eval mode: its dropout would only add noise (section 4.2)."""
        super().train(mode)
        for part, trained in (
            (self.vision_tower, self.trains_visual_encoder),
            (self.visual_qformer, self.trains_visual_encoder),
            (self.audio_tower, self.trains_audio_encoder),
        ):
            if part is not None and not trained:
                part.eval()
        return self

    @can_return_tuple
    def get_video_features(
        self,
        pixel_values_videos: torch.Tensor | None = None,
        video_frame_indices: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        input_features_mask: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        encoder_states: dict[str, torch.Tensor] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> FavorMediaOutput:
        """Encodes audio-visual items into the embeddings that replace their placeholders.

        Args:
            encoder_states: what [`~FavorModel.encode_media`] returned; replaces all other arguments.
            The others: see [`~FavorModel.encode_media`].
            output_hidden_states, output_attentions: keep those of the encoders.

        Returns [`FavorMediaOutput`].
        """
        with record_encoders(self, **kwargs) as recorded:
            if encoder_states is None:
                encoder_states = self.encode_media(
                    pixel_values_videos,
                    video_frame_indices,
                    input_features,
                    input_features_mask,
                    qformer_input_ids,
                    qformer_attention_mask,
                )
        # Synchronisation (eq. 1), windows, causal Q-Former (eq. 2) and projection; or a projector alone.
        fused = self.connector(**encoder_states)
        lengths = fused.num_tokens.tolist()
        visual, audio = encoder_states.get("visual"), encoder_states.get("audio")
        return FavorMediaOutput(
            last_hidden_state=audio if visual is None else visual,
            pooler_output=[embeddings[:length] for embeddings, length in zip(fused.embeddings, lengths, strict=True)],
            query_states=fused.query_states,
            diversity_loss=fused.diversity_loss,
            window_diversity=fused.window_diversity,
            **recorded_states(recorded, "audio" if visual is None else "vision"),
            **recorded_states(recorded, "qformer", "qformer_"),
            **recorded_states(recorded, "audio", "audio_"),
        )

    @can_return_tuple
    def get_audio_features(
        self,
        input_features: torch.Tensor,
        input_features_mask: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> FavorMediaOutput:
        """Sound alone: `last_hidden_state` (items, S, A); `pooler_output` as in [`~FavorModel.get_video_features`]."""
        return self.get_video_features(
            input_features=input_features, input_features_mask=input_features_mask, return_dict=True, **kwargs
        )

    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> FavorMediaOutput:
        """Silent images: `pixel_values` (items, 3, H, W), each an item of one frame.

        Returns as [`~FavorModel.get_video_features`], which takes images with sound.
        """
        return self.get_video_features(
            pixel_values_videos=pixel_values[:, None],  # (items, 1, 3, H, W): videos of one frame
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
            return_dict=True,
            **kwargs,
        )

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_frame_indices: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        input_features_mask: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        encoder_states: dict[str, torch.Tensor] | None = None,
        mm_encoder_outputs: dict | None = None,
        use_cache: bool | None = None,
        cache: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> FavorModelOutputWithPast:
        """Embeds the text, puts the media in place of its placeholders, and runs the language model.

        Args:
            input_ids: (batch, length), placeholders expanded: one for each token of an item.
            mm_encoder_outputs: `{"video": output}` with what [`~FavorModel.get_video_features`] returned; replaces
                the media inputs.
            The media inputs: see [`~FavorModel.encode_media`].

        Returns `last_hidden_state` (batch, length, text width), and of the media `query_states` and `diversity_loss`.

        Raises `ValueError` if placeholders and encoded tokens differ in number.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of `input_ids` and `inputs_embeds`.")
        media = (mm_encoder_outputs or {}).get("video")
        given = (pixel_values_videos, input_features, encoder_states)
        if media is None and any(stream is not None for stream in given):
            media = self.get_video_features(
                pixel_values_videos,
                video_frame_indices,
                input_features,
                input_features_mask,
                qformer_input_ids,
                qformer_attention_mask,
                encoder_states,
                return_dict=True,
            )
        kwargs |= cache_argument(past_key_values, cache)
        given_embeds = inputs_embeds
        if media is None and kwargs[CACHE_NAME] is not None and input_ids is not None and input_ids.shape[1] == 1:
            # A decoding step: looking for placeholders would wait for the device, and keep it out of a CUDA graph.
            inputs_embeds = self.get_input_embeddings()(input_ids)
        else:
            inputs_embeds = self.embed_inputs(input_ids, inputs_embeds, media)
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=use_cache,
            **kwargs,
        )
        return FavorModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            cache=cache_of(outputs),
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            query_states=None if media is None else media.query_states,
            diversity_loss=None if media is None else media.diversity_loss,
            # Only a step that is split into batches needs it.
            sample_diversity=(
                None
                if kwargs.get("num_items_in_batch") is None
                else self.sample_diversity(input_ids, given_embeds, media)
            ),
        )

    def sample_diversity(
        self,
        input_ids: torch.LongTensor | None,
        inputs_embeds: torch.FloatTensor | None,
        media: FavorMediaOutput | None,
    ) -> torch.FloatTensor | None:
        """(batch,) the diversity loss of each sample by itself; None without any."""
        if media is None or media.window_diversity is None:
            return None
        connector = self.config.connector_config
        windows = [len(tokens) // connector.num_query_tokens for tokens in media.pooler_output]
        placeholders = self.placeholder_mask(input_ids, inputs_embeds)
        return sample_diversity(media.window_diversity, windows, placeholders, connector.diversity_loss_reduction)

    def embed_inputs(
        self,
        input_ids: torch.LongTensor | None,
        inputs_embeds: torch.FloatTensor | None,
        media: FavorMediaOutput | None,
    ) -> torch.FloatTensor:
        """(batch, length, text width), the placeholders' embeddings replaced by those of the encoded items."""
        placeholders = self.placeholder_mask(input_ids, inputs_embeds)  # (batch, length)
        if inputs_embeds is None:
            # The placeholder may lie beyond the vocabulary, and its embedding is replaced anyway.
            inputs_embeds = self.get_input_embeddings()(input_ids.masked_fill(placeholders, 0))
        return insert_media(inputs_embeds, placeholders, None if media is None else media.pooler_output)

    def placeholder_mask(
        self, input_ids: torch.LongTensor | None, inputs_embeds: torch.FloatTensor | None
    ) -> torch.BoolTensor:
        """(batch, length), True where a media embedding goes."""
        token_id = self.config.video_token_id
        if input_ids is not None:
            return input_ids == token_id
        # Embeddings alone: a placeholder is a row that equals the placeholder's own embedding.
        embedding = self.get_input_embeddings()
        if token_id >= embedding.num_embeddings:
            # Beyond the vocabulary it has no embedding, so none of these rows can be one.
            return torch.zeros(inputs_embeds.shape[:2], dtype=torch.bool, device=inputs_embeds.device)
        placeholder = embedding(torch.full((), token_id, dtype=torch.long, device=inputs_embeds.device))
        return (inputs_embeds == placeholder).all(-1)


class FavorForConditionalGeneration(FavorPreTrainedModel, GenerationMixin):
    """FAVOR with the language-model head: answers questions about video, image and sound."""

    _tp_plan = {"lm_head": "colwise_gather_output"}

    def __init__(self, config: FavorConfig):
        super().__init__(config)
        self.model = FavorModel(config)
        self._can_compile_fullgraph = self.model._can_compile_fullgraph
        self.lm_head = build_language_head(config.text_config, config.lm_head_bias)
        # Set for each model: the input embedding is `embed_tokens` in most language models, `wte` in GPT-2's kin.
        self._tied_weights_keys = {
            "lm_head.weight": f"model.language_model.{input_embedding_name(self.model.language_model)}"
        }
        self.post_init()
        self.keep_present_no_split_modules()

    def get_video_features(self, *args, **kwargs) -> FavorMediaOutput:
        """See [`FavorModel.get_video_features`]."""
        return self.model.get_video_features(*args, **kwargs)

    def get_image_features(self, *args, **kwargs) -> FavorMediaOutput:
        """See [`FavorModel.get_image_features`]."""
        return self.model.get_image_features(*args, **kwargs)

    def get_audio_features(self, *args, **kwargs) -> FavorMediaOutput:
        """See [`FavorModel.get_audio_features`]."""
        return self.model.get_audio_features(*args, **kwargs)

    def media_stream(self) -> FavorMediaStream:
        """A memory for a running video: see [`FavorMediaStream`]."""
        return FavorMediaStream(self.model)

    def save_pretrained(self, save_directory, **kwargs):
        """Also names auto classes and pipeline in config.json: what anybody saves loads as what was published."""
        if self._auto_class is not None:  # then the code goes along, and nothing needs the repository it came from
            reference = f"modeling_favor.{type(self).__name__}"
            self.config.auto_map = {"AutoConfig": f"configuration_favor.{type(self.config).__name__}"}
            self.config.auto_map |= dict.fromkeys(AUTO_CLASSES, reference)
            pipeline = {"impl": f"pipeline_favor.{VideoTextToTextPipeline.__name__}", "type": "multimodal"}
            self.config.custom_pipelines = {TASK: pipeline | {"pt": ["AutoModelForMultimodalLM"]}}
        return super().save_pretrained(save_directory, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_frame_indices: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        input_features_mask: torch.Tensor | None = None,
        qformer_input_ids: torch.Tensor | None = None,
        qformer_attention_mask: torch.Tensor | None = None,
        encoder_states: dict[str, torch.Tensor] | None = None,
        mm_encoder_outputs: dict | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        cache: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> FavorCausalLMOutputWithPast:
        """As [`FavorModel.forward`]; with `labels` (batch, length; -100: no loss) `loss` is eq. 5.

        With `num_items_in_batch`, the answer tokens of a whole optimisation step, it is the batch's share in the loss
        of the step: cross-entropy and diversity of each sample count by its answer tokens (see `share_of_step`).
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            cache=cache,
            inputs_embeds=inputs_embeds,
            pixel_values_videos=pixel_values_videos,
            video_frame_indices=video_frame_indices,
            input_features=input_features,
            input_features_mask=input_features_mask,
            qformer_input_ids=qformer_input_ids,
            qformer_attention_mask=qformer_attention_mask,
            encoder_states=encoder_states,
            mm_encoder_outputs=mm_encoder_outputs,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        # Only the language model's own causal class scales or caps its logits, and that is not used here.
        logits = adjust_logits(logits, self.config.text_config)
        loss = None
        if labels is not None or kwargs.get("shift_labels") is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs
            )
            if outputs.diversity_loss is not None:
                diversity = self.diversity_of_step(outputs, labels, **kwargs)
                # Eq. 5. `device_map` may have put the connector on another device than the head.
                loss = loss + self.config.diversity_loss_weight * diversity.to(loss.device)
        return FavorCausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            cache=cache_of(outputs),
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            query_states=outputs.query_states,
            diversity_loss=outputs.diversity_loss,
        )

    def diversity_of_step(
        self,
        outputs: FavorModelOutputWithPast,
        labels: torch.LongTensor | None,
        shift_labels: torch.LongTensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> torch.Tensor:
        """The batch's diversity loss; of a step whose answer tokens are counted, its share in the step's."""
        targets = labels[:, 1:] if shift_labels is None and labels is not None else shift_labels
        if num_items_in_batch is None or outputs.sample_diversity is None or targets is None:
            return outputs.diversity_loss
        return share_of_step(outputs.sample_diversity, targets, num_items_in_batch)

    def generate(self, *args, past_key_values: Cache | None = None, cache: Cache | None = None, **kwargs):
        """As inherited; the cache of an earlier call by either name."""
        if past_key_values is not None or cache is not None:
            kwargs |= cache_argument(past_key_values, cache)
        return super().generate(*args, **kwargs)

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.LongTensor,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,  # named, because `generate` looks for it in the signature
        mm_encoder_outputs: dict | None = None,
        cache: Cache | None = None,
        **kwargs,
    ) -> dict:
        """As inherited, but an empty cache gets the media: `generate` drops them from an assistant model's prefill."""
        kwargs |= cache_argument(past_key_values, cache) | {"inputs_embeds": inputs_embeds}
        inputs = super().prepare_inputs_for_generation(input_ids, mm_encoder_outputs=mm_encoder_outputs, **kwargs)
        given = kwargs[CACHE_NAME]
        if mm_encoder_outputs and given is not None and given.get_seq_length() == 0:
            inputs["mm_encoder_outputs"] = mm_encoder_outputs
        return inputs

    def _prepare_multimodal_encoder_kwargs_for_generation(self, model_kwargs: dict) -> dict:
        """Encodes all media once, before `generate` expands beams; the inherited one misses sound without picture."""
        media = {name: model_kwargs.pop(name) for name in MEDIA_INPUTS if name in model_kwargs}
        if any(media.get(name) is not None for name in ("pixel_values_videos", "input_features", "encoder_states")):
            if model_kwargs.get("mm_encoder_outputs"):
                raise ValueError("Give either media inputs or `mm_encoder_outputs`, not both.")
            model_kwargs["mm_encoder_outputs"] = {"video": self.get_video_features(**media, return_dict=True)}
        return model_kwargs

    def _expand_multimodal_outputs(
        self,
        input_ids: torch.LongTensor | None,
        mm_encoder_output: dict,
        expand_size: int = 1,
        inputs_embeds: torch.FloatTensor | None = None,
    ) -> dict:
        """Repeats each sample's media for its beams.

        The inherited one silently drops media that do not fit their sample's placeholders, and changes its arguments.
        """
        media = mm_encoder_output.get("video")
        if media is not None:
            given_ids = input_ids if input_ids is not None and input_ids.numel() else None
            check_placeholders(self.model.placeholder_mask(given_ids, inputs_embeds), media.pooler_output)
            mm_encoder_output = {**mm_encoder_output, "video": replace(media)}
        return super()._expand_multimodal_outputs(input_ids, mm_encoder_output, expand_size, inputs_embeds)


__all__ = ["FavorForConditionalGeneration", "FavorModel", "VideoTextToTextPipeline"]
