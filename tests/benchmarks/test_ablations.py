# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The ablation study: a stopped one goes on, variants are those of the presets, the page says what numbers say."""

import json
import random

import pytest

from benchmarks import ablations
from benchmarks.ablations import FRAME_RATES, FULL, RECIPE, TEXT_ONLY, VARIANTS, config_changes, main, run_favor
from benchmarks.ablations_claims import CLAIMS, PAPER_ROWS, Outcome, paper_gain, verdict
from benchmarks.ablations_controls import controls_section
from benchmarks.ablations_page import write_page
from benchmarks.ablations_scores import Study, difference, mean_interval, t_quantile
from favor.assembly.presets import preset_config, variant_names
from favor.aveb_prompts import AVEB_PROMPTS
from favor.cli import main as favor
from favor.evaluation.tasks import TASKS
from favor.model_loading import bundled_model_path
from favor.trainers.recipe import read_recipe
from favor.trainers.recipe_model import load_model
from favor.worlds.mini.dataset import write_split

AVEB = ("asr", "ac", "ic", "ocr", "vqa", "video_qa", "avsr", "avsd", "isqa", "avssd", "avm")
FACTS = {"window_frames": 4, "num_query_tokens": 8, "fps": 2.0, "diversity_loss_weight": 0.01}
SWEPT = {
    "half-windows": {"window_frames": 2, "num_query_tokens": 4},
    "double-windows": {"window_frames": 8, "num_query_tokens": 16},
    "fourfold-windows": {"window_frames": 16, "num_query_tokens": 32},
    "without-windows": {"window_frames": None},
    "without-diversity-loss": {"diversity_loss_weight": 0.0},
    "diversity-loss-0.1": {"diversity_loss_weight": 0.1},
    "diversity-loss-1": {"diversity_loss_weight": 1.0},
    **{name: {"fps": rate} for name, rate in FRAME_RATES.items()},
}
METRICS = {"ac": "cider_d", "avsd": "exact_match", "avssd": "class_match"}


def synthetic_study(changes, seeds=(0, 1, 2), noise=0.01, similarity=0.1):
    """raw.json of a study in which each (variant, task) or variant is so much better than a full model's 0.6."""
    rng = random.Random(0)
    scores, similarities = [], []
    for variant in VARIANTS:
        for seed in seeds:
            for name in AVEB:
                higher = name not in ("asr", "avsr")
                change = changes.get((variant, name), changes.get(variant, 0.0))
                value = 0.6 + (change if higher else -change) + rng.gauss(0, noise)
                facts = {**FACTS, **SWEPT.get(variant, {})}
                score = {"variant": variant, "seed": seed, "task": name, "value": value, "n": 200, "facts": facts}
                score |= {"metric": METRICS.get(name, TASKS[name].answers.metrics[0]), "higher_is_better": higher}
                score |= {"ci95": [value - 0.05, value + 0.05], "steps": 1500, "seconds": 600.0, "machine": "2 cores"}
                cosine = 0.5 - similarity * (facts["diversity_loss_weight"] > 0) + rng.gauss(0, 0.001)
                score |= {"mean_similarity": cosine, "date": "2026-11-21", "versions": {"favor": "0.1.0"}}
                scores.append(score)
        matrix = [[1.0 if a == b else rng.random() for a in range(16)] for b in range(16)]
        entry = {"variant": variant, "seed": seeds[0], "task": "video_qa", "similarity": matrix, "queries": 8}
        similarities.append(entry)
    chance = {"video_qa": 0.35, "avm": 0.5, "avssd": 0.42}
    raw = {"settings": {"overrides": []}, "command": "python -m benchmarks.ablations run OUT", "chance": chance}
    return {**raw, "scores": scores, "similarities": similarities}


def write_raw(folder, raw):
    (folder / "raw.json").write_text(json.dumps(raw))
    return folder / "raw.json"


def drawn(folder, raw):
    """The page's lines that begin with a claim's title, by title."""
    write_page(write_raw(folder, raw), folder / "page.md", folder / "pictures")
    lines = (folder / "page.md").read_text().splitlines()
    return {claim.title: next(line for line in lines if line.startswith(f"| **{claim.title}**")) for claim in CLAIMS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A manifest and annotations of a few clips."""
    folder = tmp_path_factory.mktemp("ablations")
    tasks = {"tasks": "video_qa,avsd,avssd,avm", "workers": 1, "progress": False, "prompts": AVEB_PROMPTS}
    train = write_split(folder / "train", "train", 1, seed=1, **tasks)
    write_split(folder / "test", "test", 2, seed=2, **tasks)
    return train, folder / "test"


@pytest.fixture
def commands(monkeypatch):
    """`favor` in this process, since every start of another takes seconds; returns the commands that were run."""
    done = []

    def in_this_process(arguments, log):
        done.append(arguments)
        log.write_text("")
        favor(arguments)
        return 1.5

    monkeypatch.setattr(ablations, "run_favor", in_this_process)
    return done


def study(out, data, *variants, seeds=(0, 1)):
    """One invocation of `run`; returns raw.json."""
    train, test = data
    sizes = ["--limit", "2", "--processes", "1", "--override", "sft.max_steps=2"]
    options = ["--override", "sft.per_device_train_batch_size=2", "--override", f"model={bundled_model_path()}"]
    chosen = ["--variants", *variants, "--seeds", *map(str, seeds)]
    main(["run", str(out), "--train", str(train), "--test", str(test), *sizes, *options, *chosen])
    return json.loads((out / "raw.json").read_text())


def test_a_study_that_was_stopped_goes_on(data, commands, tmp_path):
    raw = study(tmp_path, data, FULL, "without-windows")
    assert [command[0] for command in commands] == ["sft", *["sft", "eval"] * 4]  # the first fills the cache
    kept = {(score["variant"], score["seed"], score["task"]): score for score in raw["scores"]}
    tasks = {"video_qa": "aveb_choice", "avsd": "exact_match", "avssd": "class_match", "avm": "yes_no"}
    assert {(task, score["metric"]) for (_, _, task), score in kept.items()} == {*tasks.items()}
    assert all(score["n"] == 2 and score["steps"] == 2 and score["ci95"] for score in kept.values())
    assert {score["facts"]["window_frames"] for score in raw["scores"]} == {4, None}
    assert {(entry["variant"], entry["seed"]) for entry in raw["similarities"]} == {(FULL, 0), ("without-windows", 0)}

    raw["scores"] = [score for score in raw["scores"] if (score["variant"], score["seed"]) != (FULL, 1)]
    write_raw(tmp_path, raw)
    (tmp_path / "runs" / "full-seed1" / "trained.json").unlink()
    commands.clear()
    raw = study(tmp_path, data, FULL, "without-windows")
    assert [command[0] for command in commands] == ["sft", "eval"] and "full-seed1" in " ".join(commands[0])
    again = {(score["variant"], score["seed"], score["task"]): score for score in raw["scores"]}
    assert {key: score["value"] for key, score in again.items()} == {key: s["value"] for key, s in kept.items()}

    commands.clear()
    study(tmp_path, data, FULL, "without-windows")
    assert commands == []
    raw = study(tmp_path, data, FULL, "fps-1", seeds=(0,))
    assert [command[0] for command in commands] == ["eval"]  # of the model that is there
    assert {score["facts"]["fps"] for score in raw["scores"] if score["variant"] == "fps-1"} == {1.0}


def test_a_text_only_model_never_meets_media(data, commands, tmp_path):
    raw = study(tmp_path, data, TEXT_ONLY, seeds=(0,))
    assert [command[0] for command in commands] == ["sft", "eval"]
    record = json.loads((tmp_path / "runs" / "text-only-seed0" / "training_record.json").read_text())
    assert not {name for name in record["data"] if name.startswith("with ")}
    results = json.loads((tmp_path / "runs" / "text-only-seed0" / "eval" / "results.json").read_text())
    assert results["controls"] == {"audio": "off", "video": "off"}
    assert all(score["mean_similarity"] is None for score in raw["scores"]) and raw["similarities"] == []
    assert raw["chance"].keys() == {"video_qa", "avm", "avssd"} and raw["chance"]["avm"] == 0.5


def test_results_of_other_data_are_not_mixed(data, commands, tmp_path):
    train, test = data
    study(tmp_path, data, TEXT_ONLY, seeds=(0,))
    with pytest.raises(SystemExit, match="results of another limit, overrides; take another folder"):
        main(["run", str(tmp_path), "--train", str(train), "--test", str(test), "--variants", TEXT_ONLY])


def test_results_of_another_recipe_are_not_mixed_but_its_comments_may_change(data, tmp_path, monkeypatch):
    command = ["run", str(tmp_path), "--train", str(data[0]), "--test", str(data[1])]

    def settings(text):
        (tmp_path / "recipe.yaml").write_text(text)
        monkeypatch.setattr(ablations, "RECIPE", tmp_path / "recipe.yaml")
        return ablations.study_settings(ablations.parse(command))

    text = RECIPE.read_text()
    raw = write_raw(tmp_path, {"settings": settings(text)})
    ablations.read_raw(raw, settings(f"# of a second reader\n{text}"))
    with pytest.raises(ValueError, match="results of another recipe; take another folder"):
        ablations.read_raw(raw, settings(text.replace("max_steps: 600", "max_steps: 601")))


def test_a_mistyped_override_is_named_before_anything_runs(data, commands, tmp_path):
    train, test = data
    with pytest.raises(SystemExit, match="unknown sft options max_stepz"):
        main(["run", str(tmp_path), "--train", str(train), "--test", str(test), "--override", "sft.max_stepz=2"])
    assert commands == [] and not (tmp_path / "raw.json").exists()


def test_two_studies_do_not_share_a_folder(data, commands, tmp_path):
    with ablations.alone_in(tmp_path), pytest.raises(SystemExit, match="is at work in"):
        study(tmp_path, data, FULL)
    assert commands == []


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"favor nonsense ended with 2; .*log.txt says why:\n(.|\n)*invalid choice"):
        run_favor(["nonsense"], tmp_path / "log.txt")


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in (FULL, TEXT_ONLY, *FRAME_RATES)])
def test_a_variant_changes_the_recipe_to_what_the_preset_says(variant):
    assert variant in variant_names()
    entries = {key: json.dumps(value) for key, value in config_changes(variant).items()}
    recipe = read_recipe(RECIPE, {**entries, "model": str(bundled_model_path())})
    model, _ = load_model(recipe.model, recipe.config, recipe.fresh_parts)
    wanted, found = preset_config("favor-tiny", variant), model.config
    assert {**found.connector_config.to_dict(), "dtype": None} == wanted.connector_config.to_dict()
    assert found.diversity_loss_weight == wanted.diversity_loss_weight


def test_intervals():
    assert t_quantile(2) == pytest.approx(4.302653, abs=1e-5)  # of published tables
    assert t_quantile(4) == pytest.approx(2.776445, abs=1e-5)
    assert t_quantile(1) == pytest.approx(12.7062, abs=1e-3)
    estimate = mean_interval([1.0, 2.0, 3.0])
    assert (estimate.mean, estimate.half_width) == (2.0, pytest.approx(4.302653 / 3**0.5, abs=1e-5))
    assert mean_interval([1.0]).half_width is None and mean_interval([1.0]).sign == 0
    # As scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95) says: -4 +- 3.1846, 2.6667 degrees.
    welch = difference([1.0, 2.0, 3.0], [5.0, 6.0, 7.0])
    assert (welch.mean, welch.half_width) == (-4.0, pytest.approx(2.776445 * (2 / 3) ** 0.5, abs=1e-5))
    assert welch.sign == -1


def test_a_claim_shows_where_the_numbers_show_it(tmp_path):
    changes = {("without-causal-attention", task): -0.1 for task in ("video_qa", "isqa", "avssd")}
    changes |= {("without-windows", "avsr"): -0.1, ("without-synchronisation", "isqa"): 0.1}
    changes |= {("without-synchronisation", "avm"): 0.1}
    rows = drawn(tmp_path, synthetic_study(changes))
    assert rows["Causal attention helps"].endswith("| **shows** |")
    assert "(paper \N{MINUS SIGN}6.5)" in rows["Causal attention helps"]
    assert rows["Windows help"].endswith("| **shows in part (1 of 2)** |")
    assert rows["Synchronisation helps"].endswith("| **does not show (2 of 2 the opposite)** |")
    assert rows["The three parts together help"].endswith("| **does not show** |")
    assert rows["The diversity loss makes the queries of a window less alike"].endswith("| **shows** |")


def test_the_same_claim_does_not_show_where_they_do_not(tmp_path):
    rows = drawn(tmp_path, synthetic_study({}, similarity=0.0))
    shown = [title for title, row in rows.items() if "**shows" in row.rpartition(" | ")[2]]
    assert shown == []
    rows = drawn(tmp_path, synthetic_study({"without-causal-attention": -0.1}, noise=0.2))
    assert rows["Causal attention helps"].rpartition(" | ")[2].startswith("**does not show")


def test_one_seed_decides_nothing(tmp_path):
    rows = drawn(tmp_path, synthetic_study({"without-causal-attention": -0.5}, seeds=(0,)))
    assert rows["Causal attention helps"].endswith("| **not measured** |")
    assert "one seed: no interval" in rows["Causal attention helps"]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ("CC", "shows"),
        ("CM", "shows"),
        ("CU", "shows in part (1 of 2)"),
        ("UU", "does not show"),
        ("CUU", "does not show (1 of 3 as claimed)"),
        ("CO", "does not show (1 of 2 as claimed, 1 of 2 the opposite)"),
        ("UO", "does not show (1 of 2 the opposite)"),
        ("MM", "not measured"),
    ],
)
def test_verdicts(outcomes, said):
    kinds = {"C": Outcome.AS_CLAIMED, "U": Outcome.UNDECIDED, "O": Outcome.OPPOSITE, "M": Outcome.MISSING}
    assert verdict([kinds[letter] for letter in outcomes]) == said


def test_the_papers_rows_are_found():
    rows = {name for task in AVEB for name in TASKS[task].paper_rows}
    assert {*PAPER_ROWS.values()} <= rows
    assert paper_gain("without-windows", "avsr") == pytest.approx(-0.4)  # 8.5 % of words are wrong, and not 8.1 %
    assert paper_gain("without-synchronisation", "isqa") == pytest.approx(-15.1)


def test_page_and_pictures_are_drawn_and_what_was_tried_is_kept(tmp_path):
    raw = write_raw(tmp_path, synthetic_study({"without-windows": -0.05}))
    paths = ["--page", str(tmp_path / "docs" / "page.md"), "--pictures", str(tmp_path / "docs" / "pictures")]
    main(["draw", str(raw), *paths])
    page = (tmp_path / "docs" / "page.md").read_text()
    assert page.endswith("[raw.json](../raw.json).\n")
    tried = "\n## What was tried\n\nTwice as many steps: the same.\n\n### Later\n\nNothing.\n"
    (tmp_path / "docs" / "page.md").write_text(page + tried)
    main(["draw", str(raw), *paths])
    assert (tmp_path / "docs" / "page.md").read_text() == page + tried
    for number in ("differences", "figure-3", "figure-4", "figure-5"):
        assert f"(pictures/ablations-{number}.png)" in page
        assert (tmp_path / "docs" / "pictures" / f"ablations-{number}.png").read_bytes().startswith(b"\x89PNG")


def test_controls_name_what_one_stream_or_the_text_can_tell(tmp_path):
    changes = {TEXT_ONLY: -0.4, "audio-only": -0.3, "visual-only": -0.3, (TEXT_ONLY, "video_qa"): -0.1}
    changes |= {("audio-only", "avm"): 0.1}
    section = controls_section(Study(write_raw(tmp_path, synthetic_study(changes))))
    assert "Above chance from the text alone: video_qa (of video_qa, avm)." in section
    assert (
        "audio-only: above chance avm (of avssd, avm); not below the full model avm (of isqa, avssd, avm)." in section
    )
    assert "visual-only: above chance none (of avssd, avm); not below the full model none" in section
    assert "connector begins from random weights" in section


def test_controls_of_one_seed_are_compared_over_questions(tmp_path):
    raw = synthetic_study({"audio-only": -0.06, "visual-only": -0.3}, seeds=(0,))  # half widths: 0.05
    raw["settings"]["overrides"] = ["fresh_parts=[]"]
    section = controls_section(Study(write_raw(tmp_path, raw)))
    assert "not below the full model isqa, avssd, avm (of" in section
    assert "visual-only: above chance none (of avssd, avm); not below the full model none" in section
    assert "with `fresh_parts=[]`" in section and "They begin as favor-tiny" in section


def test_controls_are_written_into_a_page(tmp_path):
    raw = write_raw(tmp_path, synthetic_study({}))
    page = tmp_path / "mini.md"
    page.write_text("# Mini\n\n## Controls\n\nold\n\n## After\n\nkept\n")
    main(["controls", str(raw), "--page", str(page)])
    assert page.read_text().startswith("# Mini\n\n## Controls\n\nModels that were trained")
    assert f"[{raw.name}]({raw.name})." in page.read_text()
    assert "old" not in page.read_text() and page.read_text().endswith("\n\n## After\n\nkept\n")
    page.write_text("# Mini\n")
    with pytest.raises(SystemExit, match="has no section '## Controls'"):
        main(["controls", str(raw), "--page", str(page)])


def test_a_study_without_a_full_model_or_with_two_metrics_is_refused(tmp_path):
    raw = synthetic_study({})
    raw["scores"][0]["metric"] = "other"
    with pytest.raises(ValueError, match="asr was scored by other and by wer"):
        Study(write_raw(tmp_path, raw))
    raw["scores"] = [score for score in raw["scores"] if score["variant"] != FULL]
    with pytest.raises(ValueError, match="no scores of the variant 'full'"):
        Study(write_raw(tmp_path, raw))
