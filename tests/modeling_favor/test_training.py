# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is trained, on which loss: eq. 5 reaches the connector and the language model, never the frozen encoders."""

import math

import pytest
import torch

from favor.modeling_favor import FavorForConditionalGeneration

from .tiny_models import Item, count_calls, model_inputs, tiny_model

VIDEO = Item(pictures=3, mel_frames=[24, 10], seed=1)
SAMPLES = [[1, 3, VIDEO, 4, 11, 12], [1, Item(mel_frames=[7], seed=2), 9, 13], [1, 5, 6, 7]]
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ENCODERS = ("vision_tower", "visual_qformer", "audio_tower")


def frozen_model(connector: dict | None = None, **values) -> FavorForConditionalGeneration:
    """The paper's setting: encoders frozen, the rest in training mode."""
    model = tiny_model(connector, **values)
    for name in ENCODERS:
        model.model.get_submodule(name).requires_grad_(False)
    return model.train()


def labelled_inputs(model: FavorForConditionalGeneration, samples: list | None = None) -> dict[str, torch.Tensor]:
    """Right padded, with the last two tokens of each sample as its answer."""
    inputs = model_inputs(model.config, SAMPLES if samples is None else samples, padding_side="right")
    labels = torch.full_like(inputs["input_ids"], -100)
    for row, length in enumerate(inputs["attention_mask"].sum(1).tolist()):
        labels[row, length - 2 : length] = inputs["input_ids"][row, length - 2 : length]
    return inputs | {"labels": labels}


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """Of every labelled token, from the logits one place before it."""
    losses = []
    for row, places in enumerate(labels.tolist()):
        for place, label in enumerate(places):
            if label != -100:
                losses.append(-torch.log_softmax(logits[row, place - 1].double(), -1)[label].item())
    return losses


@pytest.mark.parametrize("weight", [0.0, 0.5])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_loss_is_cross_entropy_plus_weighted_diversity_loss(weight, reduction):
    model = tiny_model({"diversity_loss_reduction": reduction}, diversity_loss_weight=weight)
    inputs = labelled_inputs(model)
    with torch.no_grad():
        outputs = model(**inputs)
        media = {
            name: tensor for name, tensor in inputs.items() if name not in ("input_ids", "attention_mask", "labels")
        }
        diversity = model.get_video_features(**media).diversity_loss.item()
    losses = cross_entropy(outputs.logits, inputs["labels"])
    assert len(losses) == 6
    assert outputs.diversity_loss.item() == pytest.approx(diversity, abs=1e-6)
    assert abs(diversity) > 0.01
    assert outputs.loss.item() == pytest.approx(sum(losses) / 6 + weight * diversity, rel=1e-5)


def test_the_number_of_tokens_of_all_accumulated_batches_divides_the_whole_loss():
    model = tiny_model(diversity_loss_weight=0.5)
    inputs = labelled_inputs(model)
    with torch.no_grad():
        outputs = model(**inputs, num_items_in_batch=24)
        own = [model(**labelled_inputs(model, [sample])).diversity_loss for sample in SAMPLES]
    diversity = sum(2 / 24 * value.item() for value in own if value is not None)  # two answer tokens each
    expected = sum(cross_entropy(outputs.logits, inputs["labels"])) / 24 + 0.5 * diversity
    assert outputs.loss.item() == pytest.approx(expected, rel=1e-5)


LONG = Item(pictures=4, mel_frames=[20], seed=3)
STEPS = {
    "one item a sample": [[1, VIDEO, 4, 5], [1, Item(mel_frames=[7], seed=2), 9, 13], [1, LONG, 6, 7], [1, VIDEO, 8]],
    "several items, and text alone": [[1, VIDEO, 4, LONG, 5], [1, 5, 6, 7], [1, Item(pictures=1), 6, 7], [1, LONG, 8]],
    "answers of other lengths": [[1, VIDEO, 4, 5, 6, 7, 8, 9], [1, LONG, 9], [1, 3, VIDEO, 7, 8], [1, LONG, 6, 7, 8]],
}


@pytest.mark.parametrize("samples", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_split_into_batches_has_the_same_loss_and_gradient(reduction, samples):
    model = tiny_model({"diversity_loss_reduction": reduction, **NO_DROPOUT}, diversity_loss_weight=1.0)  # no dropout

    def answers(batch):
        inputs = labelled_inputs(model, batch)
        longest = inputs["input_ids"].shape[1]
        for row, sample in enumerate(batch):  # every token after the last item is the answer
            count = next(n for n, part in enumerate([*sample[::-1], VIDEO]) if isinstance(part, Item))
            real = int(inputs["attention_mask"][row].sum())
            places = torch.arange(longest)
            own = (places >= real - min(count, 5)) & (places < real)
            inputs["labels"][row] = torch.where(own, inputs["input_ids"][row], -100)
        return inputs

    counted = int((answers(samples)["labels"][:, 1:] != -100).sum())
    results = []
    for size in (4, 2, 1):
        model.zero_grad()
        total = 0.0
        for start in range(0, 4, size):
            loss = model(**answers(samples[start : start + size]), num_items_in_batch=torch.tensor(counted)).loss
            loss.backward()
            total += loss.item()
        results.append((total, model.model.connector.language_projection.weight.grad.clone()))
    for total, gradient in results[1:]:
        assert total == pytest.approx(results[0][0], rel=1e-5)
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-4, atol=1e-5)  # sums in another order


def test_labels_shifted_by_the_caller_give_the_same_loss():
    model = tiny_model()
    inputs = labelled_inputs(model)
    labels = inputs.pop("labels")
    shifted = torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:].contiguous()
    with torch.no_grad():
        expected = model(**inputs, labels=labels).loss
        assert model(**inputs, shift_labels=shifted).loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_text_alone_has_no_diversity_loss_and_no_labels_no_loss():
    model = tiny_model(diversity_loss_weight=10.0)
    inputs = labelled_inputs(model, [[1, 5, 6, 7]])
    with torch.no_grad():
        outputs = model(**inputs)
        assert model(**labelled_inputs(model) | {"labels": None}).loss is None
    assert outputs.diversity_loss is None
    losses = cross_entropy(outputs.logits, inputs["labels"])
    assert outputs.loss.item() == pytest.approx(sum(losses) / 2, rel=1e-5)


def test_the_gradient_reaches_connector_and_language_model_but_not_the_frozen_encoders():
    model = frozen_model()
    model(**labelled_inputs(model)).loss.backward()
    for name, parameter in model.named_parameters():
        if name.startswith(tuple(f"model.{part}" for part in ENCODERS)):
            assert parameter.grad is None, name
        elif name.endswith("key.bias"):
            assert parameter.grad.abs().max() < 1e-4, name  # softmax does not see it
        else:
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("part", ["vision_tower", "visual_qformer", "audio_tower"])
def test_an_encoder_made_trainable_gets_a_gradient(part):
    model = frozen_model()
    trained = next(
        p for name, p in model.model.get_submodule(part).named_parameters() if "fc1" in name or "dense" in name
    )
    trained.requires_grad_(True)
    model(**labelled_inputs(model)).loss.backward()
    assert trained.grad.abs().max() > 0


def test_the_diversity_loss_alone_trains_the_queries():
    model = frozen_model(diversity_loss_weight=1.0)
    model(**labelled_inputs(model)).diversity_loss.backward()
    assert model.model.connector.causal_qformer.query_tokens.grad.abs().max() > 0
    assert model.lm_head.weight.grad is None


def test_frozen_encoders_stay_in_eval_mode_and_run_without_gradient():
    model = frozen_model()
    graded = []
    for name in ENCODERS:
        part = model.model.get_submodule(name)
        assert not any(module.training for module in part.modules()), name
        part.register_forward_hook(lambda _module, _inputs, _output: graded.append(torch.is_grad_enabled()))
    assert model.model.connector.training
    assert model.model.language_model.training
    model(**labelled_inputs(model))
    assert graded == [False] * 3


def test_trained_encoders_go_to_training_mode():
    model = tiny_model().train()
    assert all(module.training for module in model.modules())
    assert not any(module.training for module in model.eval().modules())


def test_dropout_acts_in_training_only():
    model = frozen_model()
    inputs = labelled_inputs(model)
    assert model(**inputs).loss != model(**inputs).loss
    model.eval()
    assert model(**inputs).loss == model(**inputs).loss


def test_gradient_checkpointing_computes_blocks_twice_and_the_same_gradients():
    model = frozen_model(NO_DROPOUT)
    inputs = labelled_inputs(model)
    calls = count_calls(model.model.connector.causal_qformer.layers[0].self_attention)
    expected = gradients(model, inputs)
    once = len(calls)
    assert once
    model.activation_checkpointing_enable({"use_reentrant": False})
    actual = gradients(model, inputs)
    assert len(calls) == once + 2 * once
    assert set(actual) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, msg=name)


def test_mixed_precision_gives_nearly_the_same_loss_and_gradients():
    model = frozen_model(NO_DROPOUT)
    inputs = labelled_inputs(model)
    expected_loss, expected = model(**inputs).loss, gradients(model, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(**inputs).loss.item() == pytest.approx(expected_loss.item(), rel=0.05)
        actual = gradients(model, inputs)
    assert set(actual) == set(expected)
    flat, expected_flat = (torch.cat([g.flatten() for g in of.values()]) for of in (actual, expected))
    assert torch.cosine_similarity(flat, expected_flat, dim=0) > 0.95


def gradients(model: FavorForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(**inputs).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_a_few_steps_learn_an_answer_from_the_media():
    """Two samples that differ in their media alone: only through the connector can their answers be told apart."""
    model = frozen_model(NO_DROPOUT)
    one, other = Item(pictures=2, mel_frames=[16], seed=5), Item(pictures=2, mel_frames=[16], seed=6)
    inputs = labelled_inputs(model, [[1, one, 4, 11, 12], [1, other, 4, 13, 14]])
    model.model.language_model.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * math.log(model.config.text_config.vocab_size)
