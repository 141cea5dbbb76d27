# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Greedy answers in float32 are those of transformers, token for token, whatever the parts and the media."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chats import CASES, QUESTION, SOUND, VIDEO, Case
from checkpoints import CHECKPOINTS, NEW_TOKENS, Reference
from conftest import ENGINE, engine_of
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError

GREEDY = SamplingParams(temperature=0, max_tokens=NEW_TOKENS)
MINUTE = ("video", "minute.mp4")
ALL = {
    **CASES,
    "a minute": Case((MINUTE,)),
    "many items": Case((VIDEO, SOUND, MINUTE, VIDEO, SOUND, SOUND)),
}


@dataclass(frozen=True)
class Served:
    """A checkpoint in an engine, and what transformers says."""

    llm: Any
    reference: Reference
    expected: dict[str, list[int]]
    media: Path

    def ask(self, *names: str) -> list[list[int]]:
        """Tokens of the answers to these cases, asked at once; muted ones apart."""
        options = {"load_audio_from_video": ALL[names[0]].own_sound}
        chats = [ALL[name].messages() for name in names]
        outputs = self.llm.chat(chats, GREEDY, use_tqdm=False, chat_template_kwargs=options)
        return [list(output.outputs[0].token_ids) for output in outputs]

    def counts(self) -> tuple[int, int]:
        """Clips that the worker knew, and that it encoded."""
        return self.llm.apply_model(lambda model: (model.clips.hits, model.clips.misses))[0]


@pytest.fixture(scope="module", params=CHECKPOINTS)
def served(request, checkpoint_dir, media_dir) -> Iterator[Served]:
    folder = checkpoint_dir(request.param)
    reference = Reference(folder)
    expected = {name: reference.answer(case.chat(media_dir), case.own_sound) for name, case in ALL.items()}
    assert len(set(map(tuple, expected.values()))) == len(expected)  # nothing is left out that would show
    with engine_of(folder, media_dir) as llm:
        yield Served(llm, reference, expected, media_dir)


def test_one_by_one_and_again_from_the_caches(served):
    for _ in range(2):
        for name in ALL:
            assert served.ask(name) == [served.expected[name]], name


def test_a_new_question_about_a_known_clip_encodes_nothing(served):
    served.ask("video with its sound")
    _, encoded = served.counts()
    case = Case((VIDEO,), "Is it red, or is it green?")
    output = served.llm.chat(case.messages(), GREEDY, use_tqdm=False)[0].outputs[0]
    assert list(output.token_ids) == served.reference.answer(case.chat(served.media))
    assert served.counts()[1] == encoded
    renderer = served.llm.renderer
    hits, misses = renderer.clips_read
    served.llm.chat(Case((VIDEO,), "Which one?").messages(served.media), GREEDY, use_tqdm=False)  # by its bytes: new
    served.llm.chat(Case((VIDEO,), "And now?").messages(served.media), GREEDY, use_tqdm=False)
    assert renderer.clips_read == (hits + 1, misses + 1)


def test_all_at_once(served):
    served.llm.reset_prefix_cache()
    names = [name for name, case in ALL.items() if case.own_sound] * 2
    assert len(names) >= ENGINE["max_num_seqs"]
    assert served.ask(*names) == [served.expected[name] for name in names]


@pytest.mark.parametrize(
    "prompt, media",
    [
        ("USER: <Img><video></Img> Red?\nASSISTANT:", {"video": "clip.mp4"}),
        ("USER: <Img><video><audio></Img> Red?\nASSISTANT:", {"video": "clip.mp4", "audio": "sound.wav"}),
        ("<image> and <audio> and <image><audio>: what?", {"image": ["photo.png"] * 2, "audio": ["sound.wav"] * 2}),
        ("nothing", {}),
    ],
)
def test_prompts_with_placeholders(served, prompt, media):
    def paths(names: Any) -> Any:
        return [paths(name) for name in names] if isinstance(names, list) else str(served.media / names)

    files = {kind: paths(names) for kind, names in media.items()}
    given = {
        "prompt": prompt,
        "multi_modal_data": {kind: [v] if isinstance(v, str) else v for kind, v in files.items()},
    }
    arguments = {"video": "videos", "image": "images", "audio": "audio"}
    expected = served.reference.answer_to_text(prompt, **{arguments[kind]: value for kind, value in files.items()})
    output = served.llm.generate(given, GREEDY, use_tqdm=False)[0].outputs[0]
    assert list(output.token_ids) == expected


@pytest.mark.parametrize(
    "prompt, data, reason",
    [
        ("<video> Red?", {}, "names 1 <video> but 0"),
        ("<video><video>", {"video": ["clip.mp4"]}, "names 2 <video> but 1"),
        ("Red?", {"image": ["photo.png"]}, "names 0 <image> but 1"),
        ("<video>", {"video": ["none.mp4"]}, "none.mp4"),
        ("<video>", {"video": ["sound.wav"]}, "A sound was given as a video"),
        ("<video>", {"vision_chunk": ["clip.mp4"]}, "vision_chunk"),
    ],
)
def test_placeholders_and_media_must_fit(served, prompt, data, reason):
    files = {kind: [str(served.media / name) for name in names] for kind, names in data.items()}
    with pytest.raises(VLLMValidationError, match=reason):
        served.llm.generate({"prompt": prompt, "multi_modal_data": files}, GREEDY, use_tqdm=False)
    assert served.ask("text") == [served.expected["text"]]


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"chat_template": "{{ messages }}"}, "chat_template"),
        ({"continue_final_message": True, "add_generation_prompt": False}, "not supported"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "enable_thinking"),
        ({"chat_template_kwargs": {"load_audio_from_video": "no"}}, "true or false"),
        ({"mm_processor_kwargs": {"fps": 1}}, "fps"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(served, options, reason):
    with pytest.raises(VLLMValidationError, match=reason):
        served.llm.chat(Case((VIDEO,), QUESTION).messages(), GREEDY, use_tqdm=False, **options)
