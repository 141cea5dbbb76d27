# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The card of a model repository: README.md with metadata, architecture.png and .eval_results, from facts in files."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData, eval_result_entries_to_yaml

from .architecture_picture import architecture_picture
from .card_text import card_template, card_text, card_to_update, metadata_of
from .json_values import Json, JsonObject, text, texts
from .model_parts import model_parts
from .outgoing_files import Outgoing, read_json, write_changed
from .requirements import model_requirements
from .run_facts import Row, origin_facts, part_facts, training_facts, weights_facts

RELATIONS = ("finetune", "adapter", "merge", "quantized")
TAGS = ["favor", "audio-visual", "video", "audio"]


@dataclass(frozen=True)
class TaskScore:
    """What a card states of one task.

    Attributes:
        dataset: name of the data.
        value: None where it could not be computed, for the `reason` given.
        interval: 95 % confidence interval, if stated.
        samples: how many were scored, if stated.
        published_samples: how many the benchmark has, if stated.
    """

    task: str
    dataset: str
    metric: str
    value: float | None
    interval: tuple[float, float] | None = None
    samples: int | None = None
    published_samples: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class ModelScores:
    """Scores of the model as it is, and the command that measured them."""

    measured_with: str
    tasks: tuple[TaskScore, ...]


@dataclass(frozen=True)
class CardFacts:
    """
    What the user says about a model, beyond what its files tell. What is None is "not stated".

    Args:
        license: the Hub's name of a licence ("apache-2.0", ...); "other" needs `license_name`.
        license_name, license_link: of a licence that the Hub has no name for.
        relation: of the model to its base: "finetune", "adapter", "merge" or "quantized".
        datasets: Hub ids of the training data.
        languages: ISO 639 codes.
        recipe: the YAML file of `favor sft`; by default `recipe.yaml` in the model folder.
        scores: what was measured; `favor push` reads them from the results.json of `favor eval`.
        eval_dataset: Hub id of the benchmark, which `.eval_results` must name.
    """

    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    relation: str | None = None
    datasets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    recipe: Path | None = None
    scores: ModelScores | None = None
    eval_dataset: str | None = None

    def __post_init__(self) -> None:
        if self.relation not in (None, *RELATIONS):
            raise ValueError(f"The relation to the base model must be one of {', '.join(RELATIONS)}: {self.relation}.")
        if self.license == "other" and not self.license_name:
            raise ValueError("The licence 'other' needs a name (--license-name).")
        if self.eval_dataset and self.scores is None:
            raise ValueError("A benchmark's id (--eval-dataset) needs results: give results.json (--results).")


def write_card(
    outgoing: Outgoing,
    folder: Path,
    repo_id: str,
    facts: CardFacts,
    base_model: str | None,
    overwrite: bool,
    scratch: Path,
) -> None:
    """
    Adds the card to `outgoing`, written to `scratch`: README.md, architecture.png and .eval_results/favor.yaml.

    Args:
        outgoing: the model's files; a README.md among them is brought up to date, or kept if somebody wrote it.
        folder: where the run left its files.
        repo_id: the name by which the card loads the model.
        facts: what the user says.
        base_model: Hub id of the model that this one was made from.
        overwrite: replace a README.md that somebody wrote by hand.
        scratch: where the files are written.

    Raises:
        ValueError: a broken recipe, or metadata that are none.
    """
    _write_eval_results(outgoing, facts, scratch)
    config_file = outgoing.source("config.json")
    if config_file is not None:
        write_changed(outgoing, "architecture.png", architecture_picture(model_parts(read_json(config_file))), scratch)
    written, old = card_to_update(outgoing, overwrite)
    if not written:
        return
    metadata = _metadata(outgoing, repo_id, facts, base_model, metadata_of(old))
    body = _rendered(outgoing, folder, repo_id, facts, metadata)
    write_changed(outgoing, "README.md", card_text(old, metadata, body), scratch)


def _metadata(
    outgoing: Outgoing,
    repo_id: str,
    facts: CardFacts,
    base_model: str | None,
    known: dict[str, Json],
) -> ModelCardData:
    """What is stated now, over what the card said before."""
    adapter = outgoing.source("adapter_config.json")
    if adapter is not None and base_model is None:
        base_model = text(read_json(adapter), "base_model_name_or_path")
    relation = facts.relation or (None if base_model is None else "adapter" if adapter else "finetune")
    stated = {
        "license": facts.license,
        "license_name": facts.license_name,
        "license_link": facts.license_link,
        "language": list(facts.languages) or None,
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "video-text-to-text",
        "tags": list(dict.fromkeys([*texts(known.get("tags")), *TAGS])),
        "base_model": [base_model] if base_model else None,
        "base_model_relation": relation,
        "datasets": list(facts.datasets) or None,
    }
    merged = known | {name: value for name, value in stated.items() if value is not None}
    model_index = [_eval_result(result, facts.eval_dataset) for result in _scores(facts) if result.value is not None]
    if not model_index:
        return ModelCardData(**merged)
    return ModelCardData(**merged, model_name=repo_id.partition("/")[2], eval_results=model_index)


def _scores(facts: CardFacts) -> tuple[TaskScore, ...]:
    return () if facts.scores is None else facts.scores.tasks


def _eval_result(result: TaskScore, dataset: str | None) -> EvalResult:
    return EvalResult(
        task_type="video-text-to-text",
        dataset_type=dataset or result.task,
        dataset_name=result.dataset,
        dataset_config=result.task,  # without it, results of one dataset count as one
        metric_type=result.metric,
        metric_value=result.value,
    )


def _write_eval_results(outgoing: Outgoing, facts: CardFacts, scratch: Path) -> None:
    """The Hub's newer format beside model-index; it needs the benchmark's own repository."""
    if not _scores(facts):
        return
    if facts.eval_dataset is None:
        outgoing.notes.append(".eval_results: left out; it must name the benchmark's repository (--eval-dataset)")
        return
    entries = [
        EvalResultEntry(facts.eval_dataset, result.task, result.value, notes=f"{result.metric}, {_samples(result)}")
        for result in _scores(facts)
        if result.value is not None
    ]
    text = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
    write_changed(outgoing, ".eval_results/favor.yaml", text, scratch)


def _rendered(
    outgoing: Outgoing,
    folder: Path,
    repo_id: str,
    facts: CardFacts,
    metadata: ModelCardData,
) -> str:
    adapter = outgoing.source("adapter_config.json")
    config_file = outgoing.source("config.json")
    parts = model_parts(read_json(config_file)) if config_file else None
    weights = [file.source for file in outgoing.files if file.path.endswith(".safetensors")]
    data = metadata.to_dict()
    bases = texts(data.get("base_model"))
    training = training_facts(folder, facts.recipe)
    return card_template("model_card.md.jinja").render(
        name=repo_id.partition("/")[2],
        repo_id=repo_id,
        adapter=adapter is not None,
        requirements=shlex.join(model_requirements(*(["peft"] if adapter else []))),
        base_models=bases,
        overview=_overview(weights, data, adapter),
        parts=[*part_facts(parts), *origin_facts(folder)] if parts else [],
        frame_rate=f"{parts.frame_rate:g}" if parts else "",
        datasets=_links(texts(data.get("datasets"))) or _links(texts(dict(training).get("train_data"))),
        training=training,
        results=[_result_row(result) for result in _scores(facts)],
        measured_with=facts.scores.measured_with if facts.scores else "",
        languages=", ".join(texts(data.get("language"))),
        missing=_missing(data, training),
    )


def _overview(weights: list[Path], data: JsonObject, adapter: Path | None) -> list[Row]:
    licence = text(data, "license_name") or text(data, "license") or "not stated"
    if data.get("license_link"):
        licence = f"[{licence}]({data['license_link']})"
    rows = [*weights_facts(weights), ("licence", licence)]
    if adapter is not None:
        settings = read_json(adapter)
        rows.append(
            ("adapter", f"{settings.get('peft_type')}, rank {settings.get('r')}, alpha {settings.get('lora_alpha')}")
        )
    bases = texts(data.get("base_model"))
    if bases:
        rows.append((f"{data.get('base_model_relation')} of", _links(bases)))
    return [*rows, ("languages", ", ".join(texts(data.get("language"))) or "not stated")]


def _missing(data: JsonObject, training: list[Row]) -> list[str]:
    missing = []
    if not data.get("license"):
        missing.append("the licence; without one, nobody else may use the model")
    if not data.get("datasets") and "train_data" not in dict(training):
        missing.append("what the model was trained on")
    if not data.get("language"):
        missing.append("which languages it was trained on")
    return missing


def _result_row(result: TaskScore) -> dict[str, str]:
    interval = "not stated" if result.interval is None else f"{result.interval[0]:.4g} to {result.interval[1]:.4g}"
    return {
        "task": result.task,
        "metric": result.metric,
        "value": f"{result.value:.4g}" if result.value is not None else result.reason or "not computed",
        "interval": interval,
        "samples": _samples(result),
    }


def _samples(result: TaskScore) -> str:
    if result.samples is None:
        return "samples not stated"
    published = result.published_samples
    return f"{result.samples}" + (f" of {published}" if published not in (None, result.samples) else "") + " samples"


def _links(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
