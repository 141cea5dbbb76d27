# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Baselines on tiny random models of the real classes: what each is given; answers do not depend on batches."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    BertTokenizerFast,
    BlipImageProcessorPil,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)
from transformers.processing_utils import OmniModalProcessorMixin

from favor.evaluation.baselines import (
    ChatAnswerer,
    ConstantAnswerer,
    InstructBlipAnswerer,
    TextOnlyAnswerer,
    WhisperAnswerer,
    flat_prompt,
)
from favor.evaluation.sample import EvalSample

TEXT = "what is the colour of shape sound red green blue beep bell user assistant : ? . a b c d e"
WORDS = TEXT.split()
WHISPER_WORDS = 4000
GENERATION = {"max_new_tokens": 6, "do_sample": False}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {"initializer_range": 0.4}  # a random model's answers must depend on what it is given


def sample(key: str, question: str = "what is the colour ?", **media: str) -> EvalSample:
    turns = [{"role": "user", "content": question}]
    return EvalSample(key, turns, {kind: str(path) for kind, path in media.items()}, ["red"])


def word_tokenizer(*special: str, **names: str) -> PreTrainedTokenizerFast:
    vocabulary = ["<pad>", "<s>", "</s>", "<unk>", *special, *WORDS]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=list(special),
        **names,
    )


def assert_batches_do_not_matter(answerer, samples: list[EvalSample]) -> list[str]:
    together = [answer.text for answer in answerer.answer(samples, GENERATION)]
    alone = [answerer.answer([one], GENERATION)[0].text for one in samples]
    assert together == alone
    return together


def test_a_constant_answer_knows_nothing():
    answers = ConstantAnswerer("Yes").answer([sample("1"), sample("2")], GENERATION)
    assert [answer.text for answer in answers] == ["Yes", "Yes"]


def test_a_dialogue_in_plain_text_keeps_its_speakers():
    turns = [("user", "what is the shape ?"), ("assistant", "a b"), ("user", "what is the colour ?")]
    dialogue = EvalSample("1", [{"role": role, "content": text} for role, text in turns], {}, ["red"])
    assert flat_prompt(dialogue) == "User: what is the shape ?\nAssistant: a b\nUser: what is the colour ?\nAssistant:"


def test_a_language_model_is_asked_without_media(tmp_path, media_dir):
    torch.manual_seed(0)
    tokenizer = word_tokenizer()
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), pad_token_id=0, **SMALL, **WIDE))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    answerer = TextOnlyAnswerer.from_pretrained(str(tmp_path))
    questions = [sample("1"), sample("2", "what is the sound of the red shape ?"), sample("3", "shape ?")]
    answers = assert_batches_do_not_matter(answerer, questions)
    assert len(set(answers)) > 1
    seen = answerer.answer([sample("1", video=media_dir / "clip.mp4")], GENERATION)[0].text
    assert seen == answers[0]


@pytest.fixture(scope="module")
def whisper_dir(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("whisper")
    text = {f"w{index}": index for index in range(WHISPER_WORDS)}  # more than timestamps, so that some are said
    (folder / "vocab.json").write_text(json.dumps({**text, "<|endoftext|>": WHISPER_WORDS}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    names = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>"]
    tokenizer.add_tokens([*names, *(f"<|{index * 0.02:.2f}|>" for index in range(1501))], special_tokens=True)
    end, start = WHISPER_WORDS, WHISPER_WORDS + 1
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=20,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        decoder_start_token_id=start,
        eos_token_id=end,
        bos_token_id=end,
        pad_token_id=end,
        init_std=0.4,
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    model = WhisperForConditionalGeneration(config)
    model.save_pretrained(folder)
    timing = {"no_timestamps_token_id": start + 4, "max_length": 16}
    tokens = {"decoder_start_token_id": start, "eos_token_id": end, "pad_token_id": end}
    (folder / "generation_config.json").write_text(json.dumps({**timing, **tokens}))
    WhisperProcessor(WhisperFeatureExtractor(feature_size=20), tokenizer).save_pretrained(folder)
    return folder


def test_whisper_hears_files_videos_and_more_than_30_seconds(whisper_dir, media_dir, tmp_path):
    long = tmp_path / "long.wav"
    write_sound(long, seconds=34)
    answerer = WhisperAnswerer.from_pretrained(str(whisper_dir))
    samples = [
        sample("1", audio=media_dir / "sound.wav"),
        sample("2", audio=long),
        sample("3", video=media_dir / "clip.mp4"),
        sample("4", video=media_dir / "clip.mp4", audio=media_dir / "sound.wav"),
    ]
    answers = assert_batches_do_not_matter(answerer, samples)
    assert answers[0] == answers[3] != answers[2]
    heard = [answer.seen["audio_seconds"] for answer in answerer.answer(samples, GENERATION)]
    assert heard[1] == 34 and heard[2] == pytest.approx(3, abs=0.1)
    with pytest.raises(ValueError, match="no sound"):
        answerer.answer([sample("5", image=media_dir / "photo.png")], GENERATION)


@pytest.fixture(scope="module")
def instructblip_dir(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("instructblip")
    (folder / "words.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = word_tokenizer("<image>")
    config = InstructBlipConfig(
        vision_config={**SMALL, "image_size": 32, "patch_size": 8, **WIDE},
        qformer_config={**SMALL, "vocab_size": 64, "encoder_hidden_size": 32, "pad_token_id": 0, **WIDE},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), "pad_token_id": 0, **SMALL, **WIDE},
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        **WIDE,
    )
    model = InstructBlipForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens)
    model.save_pretrained(folder)
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    words = BertTokenizerFast(str(folder / "words.txt"))
    InstructBlipProcessor(images, tokenizer, words, num_query_tokens=4).save_pretrained(folder)
    return folder


def test_instructblip_sees_an_image_or_five_frames(instructblip_dir, media_dir):
    answerer = InstructBlipAnswerer.from_pretrained(str(instructblip_dir))
    given = []
    generate = answerer.model.generate
    answerer.model.generate = lambda **inputs: given.append(inputs) or generate(**inputs)
    samples = [
        sample("1", image=media_dir / "photo.png"),
        sample("2", "what is the sound of the shape ?", video=media_dir / "clip.mp4"),
        sample("3", video=media_dir / "long_clip.mp4"),
    ]
    answers = assert_batches_do_not_matter(answerer, samples)
    assert len(set(answers)) == 3
    inputs = given[0]
    assert inputs["pixel_values"].shape == (1 + 5 + 5, 3, 32, 32)
    assert (inputs["input_ids"] == answerer.model.config.image_token_index).sum(1).tolist() == [4, 20, 20]
    assert len(inputs["qformer_input_ids"]) == 11
    with pytest.raises(ValueError, match="no picture"):
        answerer.answer([sample("4", audio=media_dir / "sound.wav")], GENERATION)


def test_instructblips_answer_is_its_own_pipelines(instructblip_dir, media_dir):
    """One image: the same as transformers' processor and generate()."""
    from favor.processing import load_media

    answerer = InstructBlipAnswerer.from_pretrained(str(instructblip_dir))
    question = "what is the colour of the shape ?"
    picture = load_media(media_dir / "photo.png").frames[0]
    inputs = answerer.processor(images=picture, text=question, return_tensors="pt")
    ids = answerer.model.generate(**inputs, **GENERATION)
    expected = answerer.processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
    answer = answerer.answer([sample("1", question, image=media_dir / "photo.png")], GENERATION)[0]
    assert answer.text == expected.strip()


@pytest.fixture(scope="module")
def qwen2_audio_dir(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("qwen2-audio")
    tokenizer = word_tokenizer("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 20,
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "initializer_range": 0.4,
        },
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **SMALL, **WIDE, "num_key_value_heads": 2},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    Qwen2AudioForConditionalGeneration(config).save_pretrained(folder)
    template = (
        "{% for m in messages %}{{ m['role'] }} : {% for b in m['content'] %}{% if b['type'] == 'audio' %}"
        "<|audio_bos|> <|AUDIO|> <|audio_eos|> {% else %}{{ b['text'] }} {% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}assistant : {% endif %}"
    )
    extractor = WhisperFeatureExtractor(feature_size=20)
    Qwen2AudioProcessor(extractor, tokenizer, chat_template=template).save_pretrained(folder)
    return folder


def test_a_chat_model_hears_files_and_videos(qwen2_audio_dir, media_dir):
    assert AutoConfig.from_pretrained(qwen2_audio_dir).model_type == "qwen2_audio"
    answerer = ChatAnswerer.from_pretrained(str(qwen2_audio_dir))
    samples = [
        sample("1", audio=media_dir / "sound.wav"),
        sample("2", "what is the sound ?", audio=media_dir / "clip.mp4"),
        sample("3", "what is the colour of the shape ?"),
    ]
    answers = assert_batches_do_not_matter(answerer, samples)
    assert len(set(answers)) == 3


class OmniProcessor(OmniModalProcessorMixin):
    """Keeps what it is called with."""

    def __init__(self):
        self.tokenizer = word_tokenizer()

    def apply_chat_template(self, chats, **options):
        return ["".join(f"<{block['type']}>" for turn in chat for block in turn["content"]) for chat in chats]

    def __call__(self, text, **given):
        self.text, self.given = text, given


def test_an_omni_model_gets_the_sound_of_each_video(media_dir):
    answerer = ChatAnswerer(torch.nn.Identity(), OmniProcessor())
    samples = [
        sample("1", video=media_dir / "clip.mp4"),
        sample("2", video=media_dir / "silent.mp4"),
        sample("3", video=media_dir / "long_clip.mp4", audio=media_dir / "sound.wav"),
        sample("4", image=media_dir / "photo.png"),
        EvalSample("5", samples_turn(), {"video": str(media_dir / "clip.mp4")}, ["red"], use_own_audio=False),
    ]
    answerer._inputs(samples)
    processor = answerer.processor
    assert processor.text == [
        "<video><text>",
        "<video><text>",
        "<video><audio><text>",
        "<image><text>",
        "<video><text>",
    ]
    assert [len(frames) for frames in processor.given["videos"]] == [6, 4, 12, 6]  # 2 Hz
    assert processor.given["audio_from_video_indices"] == [0, None]
    assert [len(images) for images in processor.given["images"]] == [0, 0, 0, 1, 0]
    assert processor.given["load_audio_from_video"] is True


def samples_turn() -> list[dict[str, str]]:
    return [{"role": "user", "content": "what is the colour ?"}]


def write_sound(path, seconds: int) -> None:
    import wave

    times = np.arange(seconds * 16000) / 16000
    wave_form = (8000 * np.sin(2 * np.pi * (200 + 10 * times) * times)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(wave_form.tobytes())
