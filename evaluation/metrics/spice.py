# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""SPICE and SPIDEr of captions: the Java program of SPICE's authors, which needs Stanford CoreNLP 3.6.0."""

import json
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..sample import EvalSample
from .caption_tokens import tokenize_ptb
from .cider import CiderD
from .java import OPEN_PACKAGES, jar, run_java
from .metric import MeanScore, MetricUnavailable, Statistics

CORENLP_VARIABLE = "CORENLP_HOME"
CORENLP_JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


class Spice(MeanScore):
    """Mean of the samples' SPICE, from 0 to 1: F1 of the objects, attributes and relations that captions state."""

    name = "spice"

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """F1 of each sample.

        Raises:
            MetricUnavailable: without Java, pycocoevalcap, or the two jars of CoreNLP in $CORENLP_HOME.
        """
        class_path = _class_path(self.name)
        texts = [*hypotheses, *(reference for sample in samples for reference in sample.references)]
        captions = [" ".join(words) for words in tokenize_ptb(texts)] if texts else []
        items, position = [], len(hypotheses)
        for number, sample in enumerate(samples):
            references = captions[position : position + len(sample.references)]
            position += len(sample.references)
            items.append({"image_id": number, "test": captions[number], "refs": references})
        if not items:
            return []
        with tempfile.TemporaryDirectory() as folder:
            file, out, cache = (Path(folder) / name for name in ("captions.json", "scores.json", "cache"))
            cache.mkdir()
            file.write_text(json.dumps(items), encoding="utf-8")
            arguments = [*OPEN_PACKAGES, "-Xmx8G", "-cp", class_path, "edu.anu.spice.SpiceScorer", str(file)]
            run_java(self.name, [*arguments, "-cache", str(cache), "-out", str(out), "-silent"])
            scores = {
                record["image_id"]: record["scores"]["All"]["f"] for record in json.loads(out.read_text("utf-8"))
            }
        if sorted(scores) != list(range(len(samples))):
            raise MetricUnavailable(f"spice failed: {len(scores)} scores came back for {len(samples)} captions.")
        return [{"score": _number(scores[number]), "n": 1.0} for number in range(len(samples))]


class Spider(MeanScore):
    """Mean of SPICE and CIDEr-D; without SPICE there is no SPIDEr, and never a half of one."""

    name = "spider"

    def sample_statistics(self, samples: Sequence[EvalSample], hypotheses: Sequence[str]) -> list[Statistics]:
        """Mean of both scores of each sample. Raises `MetricUnavailable` as SPICE does."""
        spice = Spice().sample_statistics(samples, hypotheses)
        cider = CiderD().sample_statistics(samples, hypotheses)
        return [{"score": (a["score"] + b["score"]) / 2, "n": 1.0} for a, b in zip(spice, cider, strict=True)]


def _class_path(metric: str) -> str:
    """SPICE, its libraries and CoreNLP, as Java's class path."""
    spice = jar(metric, "spice/spice-1.0.jar")
    home = os.environ.get(CORENLP_VARIABLE)
    absent = [name for name in CORENLP_JARS if home is None or not (Path(home) / name).is_file()]
    if home is None or absent:
        raise MetricUnavailable(
            f"{metric} needs {' and '.join(absent)}, which no package brings: unpack "
            f"stanford-corenlp-full-2015-12-09.zip (CoreNLP 3.6.0, GPL) and set {CORENLP_VARIABLE} to its folder."
        )
    libraries = sorted((spice.parent / "lib").glob("*.jar"))
    return os.pathsep.join(map(str, [spice, *(Path(home) / name for name in CORENLP_JARS), *libraries]))


def _number(score: object) -> float:
    """A score; where neither caption states anything SPICE writes no number, and coco-caption leaves NaN: here 0."""
    value = float(score) if isinstance(score, int | float) else math.nan
    return value if math.isfinite(value) else 0.0
