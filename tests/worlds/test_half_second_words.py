# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What each half second of an item says in four words, against the ground truth of sampled scenes."""

import pytest

from favor.worlds.mini.dataset import TASK_SCENES
from favor.worlds.timeline import STEP


@pytest.mark.parametrize("task", sorted(TASK_SCENES))
def test_what_is_labelled_is_said(task):
    for index in range(30):
        line = TASK_SCENES[task].sample("train", 5, index, "standard").line()
        rows = line["half_second_words"]
        assert {len(row) for row in rows} == {4}
        heard = bool(line.get("audio") or line.get("video"))
        steps = round(line["ground_truth"]["duration"] / STEP) if heard else 1
        said = {word for row in rows for word in row}
        assert None not in said
        if "lit_colour" in line:
            looks = zip(line["lit_colour"], line["lit_shape"], strict=True)
            assert [row[:2] for row in rows] == [list(look) for look in looks]
        elif "cell_1_colour" in line:
            cells = [[line[f"cell_{cell}_{what}"][0] for what in ("colour", "shape")] for cell in (1, 2, 3, 4)]
            assert len(rows) % 4 == 0 and len(rows) >= steps
            assert [row[:2] for row in rows] == cells * (len(rows) // 4)
        elif "upper_sign_colour" in line:
            signs = [[line[f"{half}_sign_{what}"][0] for what in ("colour", "word")] for half in ("upper", "lower")]
            assert [row[:2] for row in rows[:2]] == signs and {*rows[2], *rows[3]} == {"nothing"}
        elif "colour" in line:
            for name, place in (("colour", 0), ("shape", 1), ("sound", 2), ("screen_word", 3)):
                assert [row[place] for row in rows] == [label or "nothing" for label in line[name]]
        else:
            assert len(rows) == steps
        if not heard:
            assert {word for row in rows for word in row[2:]} == {"nothing"}
        elif "colour" not in line:
            drowned = [word.get("drowned", False) for word in line["ground_truth"].get("words", ())]
            for place, event in enumerate(line["ground_truth"]["events"]):
                if event["end"] - event["start"] >= STEP / 2 and not (drowned and drowned[place]):
                    assert (event["word"] or event["kind"]) in said
