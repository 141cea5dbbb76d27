# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR as a model of lmms-eval, and the tasks of AVEB that lmms-eval lacks.

lmms-eval finds the model by the entry point `lmms_eval.models`; tasks are files that `export_tasks` writes for
`--include_path`. Nothing here is imported by the rest of the package.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest


def model_manifest() -> "ModelManifest":
    """What lmms-eval registers: the model `favor`, which takes chats."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="favor", chat_class_path="favor.evaluation.lmms_eval_plugin.favor_model.Favor")
