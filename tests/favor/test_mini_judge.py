# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The judge of AVEB-mini: its rule, the pairs that it learns from, and the model folder that `--judge-model` takes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.evaluation.judges import LocalJudge, judge_answers
from favor.evaluation.sample import EvalSample
from favor.evaluation.tasks import TASKS
from favor.mini_judge.__main__ import main
from favor.mini_judge.answer_pairs import PROMPTS, WORDINGS, equivalent, known_words, sample_pairs
from favor.mini_judge.training import (
    TrainingSettings,
    agreement,
    build_model,
    build_tokenizer,
    prompt_pieces,
    save_judge,
    train_judge,
)
from favor.worlds.mini.world import COLOURS, SHAPES, WORDS, is_held_out_shape

pytestmark = pytest.mark.usefixtures("one_thread")

THINGS = {"colour": [[name] for name in COLOURS], "word": [[name] for name in WORDS]}
THINGS["look"] = [[colour, shape] for colour in COLOURS for shape in SHAPES]
wordings = st.sampled_from(sorted(THINGS)).flatmap(
    lambda kind: st.tuples(st.sampled_from(THINGS[kind]), st.sampled_from(WORDINGS[kind]))
)


@settings(deadline=None)
@given(wordings, wordings)
def test_answers_are_equivalent_if_they_name_the_same(first, second):
    texts = [wording.format(*things) for things, wording in (first, second)]
    assert equivalent(*texts) == equivalent(*texts[::-1]) == (first[0] == second[0])
    assert equivalent(texts[0].upper(), texts[0])


@pytest.mark.parametrize(
    "first, second, same",
    [
        ("the red circle", "It is red", False),  # an attribute is missing
        ("the red circle", "a red circle and a star", False),  # one is too many
        ("the red circle", "the red dog", False),
        ("the red circle", "a red circle on a table", False),  # a word that the world does not have
        ("nothing", "Silence.", True),
        ("yes", "Yes, it is.", True),
        ("no", "yes", False),
        ("red", "red, red, red", False),
        ("a red circle, then a star", "a star and a circle, red", True),
        ("", "", False),
    ],
)
def test_the_rule_by_example(first, second, same):
    assert equivalent(first, second) == same


@pytest.mark.parametrize("held_out", [False, True])
def test_pairs_keep_combinations_from_training(held_out):
    pairs = sample_pairs(300, 0, held_out)
    assert sample_pairs(300, 0, held_out) == pairs != sample_pairs(300, 1, held_out)
    assert 0.35 < sum(pair.equivalent for pair in pairs) / 300 < 0.65
    looks = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES if is_held_out_shape(colour, shape)]
    shown = [any(look in pair.prompt.lower() for look in looks) for pair in pairs]
    assert any(shown) if held_out else not any(shown)
    assert all(pair.held_out == held_out for pair in pairs)


def test_the_tokenizer_keeps_what_tells_answers_apart():
    tokenizer = build_tokenizer()
    names, function_words = known_words()
    assert tokenizer.tokenize("The RED circle, that is a star!") == ["red", "circle", "star"]
    assert tokenizer.tokenize(" ".join(function_words)) == []
    assert tokenizer.tokenize(" ".join(names)) == list(names)
    assert tokenizer.tokenize("a reddish thing") == ["<unk>", "<unk>"]
    for prompt in PROMPTS:
        sample = EvalSample("1", [{"role": "user", "content": "What is it?"}], {}, ["a red circle"])
        pieces = [token for token in tokenizer.tokenize(prompt.fill(sample, "the hum")) if len(token) > 10]
        assert pieces == [piece for piece in prompt_pieces() if piece in prompt.template]
    assert 500_000 < build_model(tokenizer).num_parameters() < 1_000_000


def test_the_same_seed_gives_the_same_weights():
    first, second = (train_judge(TrainingSettings(steps=4, batch_size=8), progress=False)[0] for _ in range(2))
    other, _ = train_judge(TrainingSettings(seed=1, steps=4, batch_size=8), progress=False)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_a_few_steps_teach_it_to_reply_by_the_route_of_any_local_judge(tmp_path):
    """How far it gets is for the slow test; here it must reply yes or no, and as its logits say."""
    measured = save_judge(tmp_path / "judge", seed=0, steps=20, pairs=200, progress=False)
    assert {path.suffix for path in (tmp_path / "judge").iterdir()} == {".json", ".safetensors", ".jinja", ".md"}
    assert "no judge for real data" in (tmp_path / "judge" / "README.md").read_text()
    judge = LocalJudge.from_pretrained(str(tmp_path / "judge"))
    pairs = sample_pairs(64, 7, False)
    replies = [reply.reply for reply in judge.ask([pair.prompt for pair in pairs], None)]
    assert set(replies) <= {"Yes", "No"}
    right = [(reply == "Yes") == pair.equivalent for reply, pair in zip(replies, pairs, strict=True)]
    assert sum(right) / 64 == agreement(judge._pipe.model, judge._pipe.tokenizer, pairs)
    assert 0.4 < measured["agreement"] < 1


@pytest.mark.slow
def test_the_trained_judge_agrees_with_the_rule(tmp_path, capsys, monkeypatch):
    """Takes some minutes."""
    monkeypatch.setattr("sys.argv", ["mini_judge", str(tmp_path / "judge")])
    main()
    capsys.readouterr()
    judge = LocalJudge.from_pretrained(str(tmp_path / "judge"))
    for held_out in (False, True):
        assert agreement(judge._pipe.model, judge._pipe.tokenizer, sample_pairs(1000, 11, held_out)) >= 0.99
    looks = [f"the {colour} {shape}" for colour in COLOURS for shape in SHAPES]
    samples = [EvalSample(look, [{"role": "user", "content": "?"}], {}, [look]) for look in looks]
    for shift in (0, 1, 5):
        hypotheses = [f"It is {look}." for look in looks[shift:] + looks[:shift]]
        verdicts = judge_answers(judge, TASKS["avssd"].answers.judge, samples, hypotheses, tmp_path / f"{shift}.jsonl")
        assert [verdict.value for verdict in verdicts] == [float(shift == 0)] * len(looks)
