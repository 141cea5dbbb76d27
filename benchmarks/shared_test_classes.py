# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What transformers' shared tests ask of a model and of a processor; `benchmarks.shared_tests` runs them."""

import re
import unittest
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from transformers import testing_utils
from transformers.models.auto import modeling_auto

from favor import bundled_model_path
from favor.modeling_favor import FavorConfig, FavorForConditionalGeneration, FavorModel
from favor.modeling_favor.modeling_favor import MEDIA_INPUTS
from favor.processing import FavorProcessor
from favor.registration import register

# Tests of files need librosa and torchcodec, they say; our processor reads files with PyAV.
testing_utils.is_librosa_available = testing_utils.is_torchcodec_available = lambda: True

# Packages of the folder that the command was given, and of our tests.
modeling = import_module("tests.test_modeling_common")
generation = import_module("tests.generation.test_utils")
processing = import_module("tests.test_processing_common")
tiny_models = import_module("tests.modeling_favor.tiny_models")
counted_inputs = import_module("tests.modeling_favor.test_projector").with_counts

PLACEHOLDER = 6  # stays within a smaller vocabulary, which some tests resize to


def text_ids(shape: list[int], vocab_size: int, **options: Any) -> torch.Tensor:
    """Random text as the shared tests make it, but none of it names an item: without media that is an error."""
    ids = random_ids(shape, vocab_size, **options)
    return ids.masked_fill(ids == PLACEHOLDER, PLACEHOLDER + 1)


random_ids, modeling.ids_tensor = modeling.ids_tensor, text_ids

# The shared tests look up by a class's name whether to give labels, and whether it generates.
modeling_auto.MODEL_MAPPING_NAMES["favor"] = "FavorModel"
modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["favor"] = "FavorForConditionalGeneration"
register()
# A class that brings its code along gains an `auto_map` when it is saved; the shared tests know none that does.
FavorProcessor._auto_class = None


class FavorModelTester:
    """A tiny configuration, and a batch of samples with an audio-visual item each."""

    is_training = True
    batch_size = 7  # as many as the comparison of attention kernels takes: it fills up smaller batches with noise
    # What outputs are compared with.
    num_hidden_layers, hidden_size, num_attention_heads = 2, 32, 4
    vocab_size = tiny_models.VOCABULARY

    def __init__(self, config_values: dict[str, Any]):
        self.config_values = config_values
        self.with_media = True
        _, inputs = self.prepare_config_and_inputs_for_common()
        self.seq_length = self.encoder_seq_length = self.key_length = inputs["input_ids"].shape[1]

    def get_config(self) -> FavorConfig:
        return tiny_models.tiny_config(**self.config_values, video_token_id=PLACEHOLDER)

    def prepare_config_and_inputs_for_common(self) -> tuple[FavorConfig, dict[str, torch.Tensor]]:
        config = self.get_config()
        samples = []
        for seed in range(self.batch_size):
            item = tiny_models.Item(pictures=3, mel_frames=[24], instruction=[5, 6], seed=seed)
            # Tests of a smaller vocabulary overwrite the last token but one: the item stands before it.
            samples.append([1, 10 + seed, item if self.with_media else seed + 20, 4, 9, 10, 11, 30 + seed])
        if not self.with_media:
            samples[0] = samples[0][:4]  # padded
        return config, counted_inputs(config, samples)


class FavorModelTest(modeling.ModelTesterMixin, generation.GenerationTesterMixin, unittest.TestCase):
    """The causal Q-Former."""

    all_model_classes = (FavorModel, FavorForConditionalGeneration)
    additional_model_inputs = list(MEDIA_INPUTS)
    pipeline_model_mapping: dict[str, type] = {}
    config_values: dict[str, Any] = {}
    _is_composite = True
    test_torch_exportable = False  # the number of windows, pictures and sounds depends on values
    # Expected is the width of the vision tower; ours is that of what the connector reads, the visual Q-Former's.
    skip_test_image_features_output_shape = skip_test_video_features_output_shape = True

    def setUp(self) -> None:
        self.model_tester = FavorModelTester(self.config_values)

    def _image_features_prepare_config_and_inputs(self) -> tuple[FavorConfig, dict[str, torch.Tensor]]:
        """Each item's first picture."""
        config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
        instruction = {name: inputs[name] for name in ("qformer_input_ids", "qformer_attention_mask")}
        return config, {"pixel_values": inputs["pixel_values_videos"][:, 0], **instruction}

    # Without items, because these leave the media away, and ours refuses placeholders without them.

    def test_generate_from_random_inputs_embeds(self) -> None:
        self.model_tester.with_media = False
        super().test_generate_from_random_inputs_embeds()

    def test_eager_padding_matches_padding_free_with_position_ids(self) -> None:
        self.model_tester.with_media = False
        super().test_eager_padding_matches_padding_free_with_position_ids()

    def test_sdpa_padding_matches_padding_free_with_position_ids(self) -> None:
        self.model_tester.with_media = False
        super().test_sdpa_padding_matches_padding_free_with_position_ids()

    # What does not fit

    @unittest.skip(
        "wants a warning; ours takes either name on either release: tests/modeling_favor/test_cache_names.py"
    )
    def test_bc_cache_name_forward(self) -> None: ...

    @unittest.skip("of images alone so far, it says; ours are items of pictures and sound, in `get_video_features`")
    def test_multimodal_outputs_are_returned(self) -> None: ...


class FavorProjectorModelTest(FavorModelTest):
    """The projector."""

    config_values = {"connector_config": {"model_type": "favor_projector"}}


class FavorProcessorTest(processing.ProcessorTesterMixin, unittest.TestCase):
    """The bundled model's processor."""

    processor_class = FavorProcessor
    model_id = bundled_model_path()
    images_input_name = "pixel_values_videos"
    audio_unstructured_max_length = 1600  # samples: Whisper's extractor counts them, and its window is longer than 76

    def get_subprocessor_name(self, modality: str, attributes: list[str]) -> str:
        """Images go through the video processor."""
        return super().get_subprocessor_name("videos" if modality == "images" else modality, attributes)

    @staticmethod
    def does_processor_return_mm_offsets(processor_class: type, method_name: str) -> bool:
        """It does, without the method that the shared tests look for."""
        return True

    def _prepare_modality_input(self, modality: str, batch_size: int | None = None) -> Any:
        """As inherited; a lone image in a list, as the video processor takes it."""
        return super()._prepare_modality_input(modality, batch_size or (1 if modality == "images" else None))

    def test_if_input_has_mismatching_tokens_and_mm_data(self) -> None:
        """As inherited, but the error is in other words."""
        with patch.object(self, "assertRaisesRegex", lambda error, words: self.assertRaises(error)):
            super().test_if_input_has_mismatching_tokens_and_mm_data()

    def setUp(self) -> None:
        """Chats with a video ask for `num_frames=2`, which a synchronised model refuses by name."""
        if re.search(r"chat_template_(decoded_)?video_\d", self._testMethodName) and self.get_processor().shares_steps:
            self.skipTest(
                "num_frames is refused where pictures and sound share time steps: a picture would lose its sound"
            )

    @unittest.skip("the clock chooses the pictures of a file, not num_frames, fps or do_sample_frames")
    def test_apply_chat_template_video_frame_sampling(self) -> None: ...

    @unittest.skip("the video processor reads no files, the processor does: tests/processing/test_chat.py")
    def test_chat_template_audio_from_video(self) -> None: ...

    @unittest.skip("it makes the processor of three parts: FavorProcessorOfPartsTest")
    def test_processor_from_pretrained_vs_from_components(self) -> None: ...


class FavorProcessorOfPartsTest(FavorProcessorTest):
    """A projector's processor, without a visual Q-Former's tokenizer."""

    model_id = None

    @classmethod
    def _setup_component(cls, attribute: str) -> Any:
        return getattr(FavorProcessor.from_pretrained(bundled_model_path()), attribute)

    @staticmethod
    def prepare_processor_dict() -> dict[str, Any]:
        return {"connector": "projector", "visual_vectors_per_frame": 5, "audio_pool_size": 3}

    def test_processor_from_pretrained_vs_from_components(self) -> None:
        processing.ProcessorTesterMixin.test_processor_from_pretrained_vs_from_components(self)
