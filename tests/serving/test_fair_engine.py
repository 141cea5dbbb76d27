# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Nobody can take the engine from the others: not by files, long answers, bad numbers, or by going away."""

import threading
import time

import pytest

from favor.serving import Answer, ChatEngine, GenerationSettings
from favor.serving.batch_generation import GenerationFailed, Question
from favor.serving.engine_state import EngineStopped
from favor.serving.lanes import Lane
from favor.serving.turns import Turns

from .conftest import LONG_ANSWER, chat, wait_until

TEXT = [{"role": "user", "content": "Red?"}]
LONG_PROMPT = 100  # tokens


class Held:
    """Reading that lasts until it is let go, as of a file that takes a decoder minutes."""

    def __init__(self, engine: ChatEngine, monkeypatch):
        self.free, self.read = threading.Event(), engine.clips.clip
        monkeypatch.setattr(engine.clips, "clip", self)

    def __call__(self, item, processor):
        assert self.free.wait(60)
        return self.read(item, processor)


def test_text_and_known_clips_do_not_wait_for_decoding(pipe, media_dir, monkeypatch):
    with ChatEngine(pipe, media_workers=2) as engine:
        known = "".join(engine.ask(chat(media_dir / "clip.mp4")))
        held = Held(engine, monkeypatch)
        slow = [engine.ask(chat(media_dir / name)) for name in ("silent.mp4", "long_clip.mp4", "photo.png")]
        assert "".join(engine.ask(TEXT))
        assert "".join(engine.ask(chat(media_dir / "clip.mp4"))) == known
        state = {lane.name: lane for lane in engine.lanes}
        assert (state["media"].working, state["media"].waiting) == (2, 1)
        assert not any(answer.ended for answer in slow)
        monkeypatch.setattr("favor.serving.engine_state.STANDS_STILL", 0.05)
        wait_until(lambda: engine.standing_still == ["media"])
        held.free.set()
        assert engine.alive


def test_who_goes_away_while_files_wait_frees_the_place_at_once(pipe, media_dir, monkeypatch):
    with ChatEngine(pipe, max_pending=3, media_workers=1) as engine:
        held = Held(engine, monkeypatch)
        answers = [engine.ask(chat(media_dir / "clip.mp4")) for _ in range(3)]
        wait_until(
            lambda: sum(lane.working + lane.waiting for lane in engine.lanes) == 3 == engine.lanes[1].waiting + 1
        )
        for answer in answers:
            answer.cancel()
        assert engine.pending == engine.lanes[1].waiting == 0
        assert "".join(engine.ask(TEXT))
        held.free.set()


def test_next_in_a_lane_is_who_has_had_the_least():
    lane, free, done = Lane("test", 1, lambda: None), threading.Event(), []
    lane.submit("greedy", None, lambda: free.wait(30) and None)
    wait_until(lambda: lane.state.working == 1)
    for number in range(5):
        lane.submit("greedy", number, lambda number=number: done.append(f"greedy {number}"))
    for number in range(3):  # a thousand times less than what the greedy one has had
        lane.submit("modest", None, lambda number=number: done.append(f"modest {number}"))
    lane.withdraw(1)
    lane.submit("broken", None, lambda: 1 // 0)
    time.sleep(0.5)
    free.set()
    wait_until(lambda: lane.state.waiting == lane.state.working == 0)
    lane.close()
    assert done == ["modest 0", "modest 1", "modest 2", "greedy 0", "greedy 2", "greedy 3", "greedy 4"]


def test_clients_alike_take_turns_in_a_lane():
    lane, free, done = Lane("test", 1, lambda: None), threading.Event(), []
    lane.submit("somebody", None, lambda: free.wait(30) and None)
    wait_until(lambda: lane.state.working == 1)
    for client in "ab":
        for number in range(3):
            lane.submit(client, None, lambda name=f"{client}{number}": time.sleep(0.02) or done.append(name))
    free.set()
    wait_until(lambda: lane.state.waiting == lane.state.working == 0)
    lane.close()
    assert sorted(done[:2]) == ["a0", "b0"] and sorted(done[2:4]) == ["a1", "b1"]


def test_what_a_client_has_had_is_forgotten(monkeypatch):
    monkeypatch.setattr("favor.serving.lanes.HALF_LIFE", 0.02)
    lane = Lane("test", 1, lambda: None)
    for number in range(300):
        lane.submit(f"client {number}", None, lambda: None)
    wait_until(lambda: lane.state.waiting == lane.state.working == 0)
    lane.submit("long", None, lambda: time.sleep(0.3))
    wait_until(lambda: lane.state.working == 1)
    wait_until(lambda: lane.state.working == 0)
    assert lane._had("long", time.monotonic()) > 0.1
    time.sleep(0.3)
    assert lane._had("long", time.monotonic()) < 0.001
    assert len(lane._spent) <= 101
    lane.close()


def test_one_questions_numbers_fail_only_its_own_answer(pipe, monkeypatch):
    generate = pipe.model.generate

    def fails_with_a_long_prompt(**inputs):
        if int(inputs["attention_mask"].sum(1).max()) > LONG_PROMPT:
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        return generate(**inputs)

    monkeypatch.setattr(pipe.model, "generate", fails_with_a_long_prompt)
    settings = GenerationSettings(max_new_tokens=6)
    questions = [[{"role": "user", "content": f"Red {number}?"}] for number in range(7)]
    guilty = [{"role": "user", "content": "red " * LONG_PROMPT}]
    with ChatEngine(pipe, batch_wait=1.0, max_batch_size=8) as engine:
        expected = ["".join(engine.ask(question, settings)) for question in questions]
        engine.batch_wait = 60.0  # the batch is full before
        answers = [engine.ask(question, settings) for question in (*questions[:3], guilty, *questions[3:])]
        bad = answers.pop(3)
        engine.batch_wait = 0.0
        assert ["".join(answer) for answer in answers] == expected
        with pytest.raises(GenerationFailed, match="probability"):
            list(bad)
        assert "".join(engine.ask(questions[0], settings)) == expected[0]
        assert engine.pending == engine.generating == 0


def test_seeded_and_long_answers_share_the_time(talkative_pipe):
    seeded = [GenerationSettings(200, True, 2.0, seed=seed) for seed in range(4)]
    with ChatEngine(talkative_pipe) as engine:
        alone = "".join(engine.ask(TEXT, seeded[0]))
        batches = engine.batches
        answers = [engine.ask(TEXT, settings) for settings in seeded]
        next(answers[0])
        assert "".join(engine.ask(TEXT, GenerationSettings(3)))
        assert not any(answer.ended for answer in answers)
        for answer in answers[1:3]:
            answer.cancel()
        "".join(answers[0]), "".join(answers[3])
        assert answers[0].text == alone  # a seed's answer is the same however often it was broken off
        assert engine.batches > batches + 5
        assert engine.pending == engine.generating == 0


def test_a_batch_waits_while_one_prompt_after_the_other_gets_ready(pipe, monkeypatch):
    one_at_a_time, items = threading.Lock(), ChatEngine._items

    def slowly(engine, asked):
        with one_at_a_time:
            time.sleep(0.4)
            return items(engine, asked)

    monkeypatch.setattr(ChatEngine, "_items", slowly)
    with ChatEngine(pipe, batch_wait=1.0) as engine:
        for answer in [engine.ask(TEXT, GenerationSettings(1), client=str(number)) for number in range(5)]:
            list(answer)
        assert engine.batches == 1  # of prompts that were made in 2 s


def test_nobody_waits_for_many_who_need_batches_of_their_own(talkative_pipe):
    with ChatEngine(talkative_pipe) as engine:
        answers = [engine.ask(TEXT, GenerationSettings(300, True, 2.0, seed=seed)) for seed in range(12)]
        next(answers[0])
        before = engine.batches
        assert "".join(engine.ask(TEXT, GenerationSettings(1)))
        assert engine.batches - before <= 4  # calls that ran meanwhile, not twelve
        assert not any(answer.ended for answer in answers)


@pytest.mark.parametrize(
    "messages, what",
    [
        ([{"role": "user", "content": ""}] * 80_000, "80000 messages"),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "image", "path": "a.png"}] * 6_000 + [{"type": "text", "text": "a"}],
                }
            ],
            "6000 media",
        ),
    ],
)
def test_more_than_there_are_tokens_is_refused_before_any_work(pipe, messages, what):
    with ChatEngine(pipe) as engine:
        started = time.process_time()
        with pytest.raises(ValueError, match=f"holds {what}; the language model takes 512 tokens"):
            list(engine.ask(messages))
        assert time.process_time() - started < 1.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_generating_thread_has_died_nobody_waits(talkative_pipe, monkeypatch):
    with ChatEngine(talkative_pipe) as engine:
        running = engine.ask(TEXT, GenerationSettings(LONG_ANSWER))
        next(running)

        def die(*_):
            raise SystemError("dead")

        monkeypatch.setattr(engine, "_set_aside", die)
        other = engine.ask(TEXT, GenerationSettings(5, seed=1, do_sample=True))  # breaks the first one's call off
        for answer in (running, other):
            with pytest.raises(EngineStopped):
                list(answer)
        assert not engine.alive
        with pytest.raises(EngineStopped):
            engine.ask(TEXT)


def question(client: str, seed: int | None = None, had: float = 0.0) -> Question:
    settings = GenerationSettings(20, True, 1.0, seed=seed) if seed is not None else GenerationSettings(20)
    return Question([1, 2], [], 20, settings, Answer(), None, had=had, client=client)


def test_who_has_had_much_of_the_model_lately_waits_for_who_has_not():
    turns = Turns(max_batch_size=2, max_batch_tokens=1000)
    turns.charge([question("greedy"), question("modest")], 0.02)
    turns.charge([question("greedy")], 3.0)
    for number in range(3):
        turns.add(question("greedy", seed=number))
    turns.add(question("greedy"))
    turns.add(question("greedy"))
    late, later = question("modest"), question("new")
    turns.add(late)
    turns.add(later)
    turns.add(question("new", seed=7))
    assert turns.are_due([question("greedy", had=0.1)], 0.1)
    assert set(map(id, turns.next())) == {id(late), id(later)}  # a batch of two, of four who could share one
    assert turns.next()[0].client == "new"
    assert not turns.are_due([question("modest")], 0.1)
    for _ in range(4):  # a pair, and three who need batches of their own
        assert {one.client for one in turns.next()} == {"greedy"}
    assert not turns


def test_who_has_had_much_more_than_others_joins_no_batch_of_theirs():
    turns = Turns(max_batch_size=8, max_batch_tokens=1000)
    turns.charge([question(f"modest {number}") for number in range(10)], 10 * 0.05)
    turns.charge([question("heavy")], 0.3)  # the mean is 0.07 s
    for client in ("heavy", "modest 1", "heavy", "modest 2", "new"):
        turns.add(question(client))
    assert sorted(one.client for one in turns.next()) == ["modest 1", "modest 2", "new"]
    turns.add(question("heavy"))
    assert [one.client for one in turns.next()] == ["heavy"] * 3
    assert not turns


def test_where_all_have_had_little_or_the_same_all_share_a_batch():
    for seconds in (0.05, 3.0):
        turns = Turns(max_batch_size=8, max_batch_tokens=1000)
        turns.charge([question("one"), question("two")], 2 * seconds)
        turns.charge([question("three")], 0.04)
        for client in ("one", "two"):
            turns.add(question(client))
        assert len(turns.next()) == 2


def test_what_a_client_had_of_the_model_is_forgotten():
    turns = Turns(4, 1000)
    turns.charge([question("greedy")], 3.0)
    turns.add(question("greedy"))
    assert not turns.are_due([question("modest")], 0.5)
    turns._spent.half_life = 1e-3
    time.sleep(0.05)
    assert turns.are_due([question("modest")], 0.5)
