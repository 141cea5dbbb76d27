# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Whether a run can be evaluated and keep its best checkpoint: checked before transformers does, with the remedy."""

from collections.abc import Mapping

REMEDY = "or load_best_model_at_end to false"


def check_best_model(options: Mapping[str, object], section: str) -> None:
    """Raises `ValueError` if the best checkpoint is wanted, but cannot be told, or is not saved when it is evaluated.

    Args:
        options: of `FavorSFTConfig` or another configuration.
        section: of the recipe, for messages.
    """
    save, evaluate = (_name(options.get(name, usual)) for name, usual in _STRATEGIES.items())
    loads, metric = options.get("load_best_model_at_end"), options.get("metric_for_best_model")
    if not loads and save != "best":
        return
    asked, remedy = ("load_best_model_at_end", REMEDY) if loads else ("save_strategy best", "or another save_strategy")
    if evaluate == "no":
        raise ValueError(f"{section}: {asked} needs evaluations: give eval_data and eval_strategy, {remedy}.")
    if save == "best" and not metric:
        raise ValueError(
            f"{section}: save_strategy best needs metric_for_best_model: loss, or exact_match with eval_answers."
        )
    if "exact_match" in str(metric) and not options.get("eval_answers"):
        raise ValueError(
            f"{section}: metric_for_best_model is {metric}, which needs answers: set eval_answers to a number."
        )
    if save == "best":
        return
    if save != evaluate:
        raise ValueError(
            f"{section}: load_best_model_at_end needs a checkpoint at each evaluation, but save_strategy is {save} "
            f"and eval_strategy {evaluate}: set both to {evaluate if save == 'no' else save}, {REMEDY}."
        )
    saved, evaluated = options.get("save_steps"), options.get("eval_steps")
    if save == "steps" and isinstance(saved, int) and isinstance(evaluated, int) and saved % max(evaluated, 1):
        raise ValueError(
            f"{section}: load_best_model_at_end needs a checkpoint at each evaluation, but save_steps is {saved} and "
            f"eval_steps {evaluated}: set save_steps to a multiple of eval_steps, {REMEDY}."
        )


def check_eval_data(options: Mapping[str, object], section: str, given: bool) -> None:
    """Raises `ValueError` if evaluations are asked for without data.

    Args:
        options: of `FavorSFTConfig` or another configuration.
        section: of the recipe, for messages.
        given: whether there are evaluation data.
    """
    strategy = _name(options.get("eval_strategy", _STRATEGIES["eval_strategy"]))
    asked = f"eval_strategy is {strategy}" if strategy != "no" else "eval_on_start is set"
    if not given and (strategy != "no" or options.get("eval_on_start")):
        raise ValueError(
            f"{section}: {asked}, but the recipe has no eval_data: give it, or leave {asked.split()[0]} out."
        )


_STRATEGIES = {"save_strategy": "steps", "eval_strategy": "no"}  # of transformers


def _name(strategy: object) -> str:
    return str(getattr(strategy, "value", strategy))
