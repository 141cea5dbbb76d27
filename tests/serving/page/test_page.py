# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The page of `favor app` in a headless browser, with the bundled model: what users see, and what is gone after."""

import os
import shutil
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from favor.worlds.mini.moments import MomentsScene

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.*")  # Gradio's use of pandas

SCENE = MomentsScene.sample("test", 2310, 35)  # of `favor demo`; noise, bell and beep, each during another colour
OTHER_SCENE = MomentsScene.sample("test", 2310, 33)  # one beep
MAX_UPLOAD_MB = 1
ENDLESS = "Count."
ECHO = "Say: "
BOX = ".favor-timeline .box"
COUNT_RECORDED = """() => {
  window.recorded = 0;
  const start = MediaRecorder.prototype.start;
  MediaRecorder.prototype.start = function (...options) {
    this.addEventListener("dataavailable", (event) => { if (event.data.size) window.recorded += 1; });
    return start.apply(this, options);
  };
}"""


class EngineThatCanBeSlow:
    """The real engine, but for a question whose answer begins and does not end by itself, and one that is repeated."""

    def __init__(self, engine):
        self.engine = engine

    def ask(self, chat, settings, load_audio_from_video):
        question = chat[-1]["content"][-1]["text"]
        if question != ENDLESS and not question.startswith(ECHO):
            return self.engine.ask(chat, settings, load_audio_from_video)
        from favor.serving import Answer

        answer = Answer()
        if question.startswith(ECHO):
            answer.add(question.removeprefix(ECHO))
            answer.finish("stop")
            return answer
        answer.add("one, two")
        return answer


class Served:
    """A running page: its address, its files, its sessions."""

    def __init__(self, url: str, folder: Path, sessions):
        self.url, self.folder, self.sessions = url, folder, sessions

    def user_files(self) -> list[Path]:
        folders = (self.folder / "clips", self.folder / "uploads")
        return [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    """Two videos, one of them also cut short, and a file that is too large."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "media").mkdir()
    paths = {"clip": SCENE.render(folder)["video"], "other": OTHER_SCENE.render(folder)["video"]}
    paths["damaged"] = folder / "my cut clip.mp4"
    paths["damaged"].write_bytes(paths["clip"].read_bytes()[:20000])
    paths["large"] = folder / "large.bin"
    paths["large"].write_bytes(bytes(MAX_UPLOAD_MB << 21))
    return paths


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from favor.commands.app import keep_to_this_machine

    folder = tmp_path_factory.mktemp("app")
    keep_to_this_machine(folder)
    from favor.commands.app_examples import render_examples
    from favor.model_loading import load_pipeline
    from favor.serving import ChatEngine
    from favor.serving.page.page import Page as AppPage
    from favor.serving.page.page import launch
    from favor.serving.page.sessions import Sessions

    pipe = load_pipeline()
    sessions = Sessions(folder / "clips", pipe.processor)
    with ChatEngine(pipe) as engine:
        page = AppPage(EngineThatCanBeSlow(engine), sessions, render_examples(folder / "examples"), None)
        try:
            yield Served(launch(page, "127.0.0.1", None, MAX_UPLOAD_MB), folder, sessions)
        finally:
            page.blocks.close(verbose=False)


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("These tests need a browser: install the package chromium (or google-chrome).")
    options = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-dev-shm-usage"]
    options += ["--no-sandbox"] if os.getuid() == 0 else []
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, served: Served):
    """Opens tabs of separate users; all are closed at the end."""
    contexts = []

    def open_page(width: int = 1280, height: int = 900) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.goto(served.url)
        expect(page.locator("#file")).to_be_visible()
        return page

    yield open_page
    for context in contexts:
        context.close()


def upload(page: Page, file: Path) -> None:
    page.set_input_files("#file input[type=file]", file)


def ask(page: Page, question: str) -> str:
    """The answer, read off the page when it is complete."""
    answers = page.locator("#chat .bot")
    before = answers.count()
    page.fill("#question textarea", question)
    page.click("#ask")
    expect(answers).to_have_count(before + 1)
    expect(page.locator("#ask")).to_be_visible()
    return answers.last.inner_text().strip()


def colour_during(sound: str) -> str:
    event = next(event for event in SCENE.clip.events if event.name == sound)
    return SCENE.clip.segment_of(event).colour


def wait_until_gone(page: Page, served: Served, files: list[Path]) -> None:
    """The web server notices a closed tab after a moment."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not any(file.exists() for file in files):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{files} are still there.")


def test_a_clip_is_heard_asked_about_and_muted(open_page, served, clips):
    requests: list[str] = []
    page = open_page()
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    upload(page, clips["clip"])
    expect(page.locator(BOX)).to_have_count(2)  # 4 s in windows of 2 s
    expect(page.locator(f"{BOX} img")).to_have_count(2)
    expect(page.locator(f"{BOX} svg")).to_have_count(2)
    expect(page.locator(".favor-player")).to_contain_text("8 pictures · 4.0 s of sound · 2 windows")
    page.wait_for_function("document.querySelector('.favor-player video').duration >= 3.9")

    question = "What colour is the shape while the bell sounds?"
    assert ask(page, question) == colour_during("bell")
    assert ask(page, "Which sound is heard first?") == SCENE.clip.events[0].name
    page.get_by_label("With sound").click()
    expect(page.locator(".favor-timeline.not-heard")).to_be_visible()
    page.wait_for_function("document.querySelector('.favor-player video').muted")
    assert ask(page, question) != colour_during("bell")
    expect(page.locator("#chat .user").last).to_contain_text("(muted)")
    expect(page.locator("#chat .bot")).to_have_count(3)
    assert {urlsplit(url).netloc for url in requests if not url.startswith(("data:", "blob:"))} == {
        urlsplit(served.url).netloc
    }


def test_the_timeline_follows_the_player(open_page, clips):
    page = open_page()
    upload(page, clips["clip"])
    page.locator(BOX).nth(1).click()
    expect(page.locator(f"{BOX}.now")).to_have_attribute("data-begin", "2")
    assert 2 <= page.evaluate("document.querySelector('.favor-player video').currentTime") < 2.1


def test_what_cannot_be_used_is_said_on_the_page(open_page, served, clips):
    page = open_page()
    page.fill("#question textarea", "What is seen?")
    page.click("#ask")
    expect(page.get_by_role("alert").filter(has_text="There is no clip yet")).to_be_visible()
    upload(page, clips["damaged"])
    message = page.locator(".favor-message").filter(has_text="my cut clip.mp4")
    expect(message).to_contain_text("truncated")
    assert str(served.folder) not in message.inner_text()
    upload(page, clips["large"])
    expect(page.get_by_text("maximum allowed size")).to_be_visible()
    wait_until_gone(page, served, served.user_files())
    assert "Traceback" not in page.inner_text("body")
    upload(page, clips["clip"])
    expect(page.locator(BOX)).to_have_count(2)
    expect(message).not_to_be_visible()


def test_two_users_do_not_see_each_other(open_page, served, clips):
    first, second = open_page(), open_page()
    upload(first, clips["clip"])
    expect(first.locator(BOX)).to_have_count(2)
    ask(first, "Which sound is heard first?")
    assert second.locator(BOX).count() == second.locator("#chat .bot").count() == 0
    second.reload()
    expect(second.locator("#file")).to_be_visible()
    assert second.locator(BOX).count() == second.locator("#chat .bot").count() == 0

    (first_file,) = served.user_files()
    upload(second, clips["other"])
    expect(second.locator(BOX)).to_have_count(4)
    assert ask(second, "Which sound is heard?") == "beep"
    expect(first.locator("#chat .bot")).to_have_count(1)
    (second_file,) = set(served.user_files()) - {first_file}
    address = first.locator(".favor-player video").get_attribute("src")
    assert first.request.get(served.url + address).ok

    first.get_by_role("button", name="Another clip").click()
    expect(first.locator("#file")).to_be_visible()
    assert not first_file.exists()
    assert not first.request.get(served.url + address).ok
    assert second_file.exists()
    second.close()
    wait_until_gone(first, served, [second_file])


def test_an_answer_can_be_stopped_and_the_conversation_cleared(open_page, clips):
    page = open_page()
    upload(page, clips["clip"])
    expect(page.locator(BOX)).to_have_count(2)
    page.fill("#question textarea", ENDLESS)
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#chat .bot").last).to_have_text("one, two")
    page.click("#stop")
    expect(page.locator("#chat .bot").last).to_have_text("one, two … (stopped)")
    page.locator("#chat").get_by_label("Clear").click()
    expect(page.locator("#chat .bot")).to_have_count(0)
    assert ask(page, "Which sound is heard first?") == SCENE.clip.events[0].name  # the only answer there


def test_nothing_is_fetched_whatever_is_said(open_page, served, clips, tmp_path):
    page = open_page()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        named = tmp_path / "<img src=x onerror=fetch('name')>.mp4"
        named.write_bytes(clips["clip"].read_bytes())
        upload(page, named)
        expect(page.locator(BOX)).to_have_count(2)
        for text in (
            f"<img src='{address}/q'>",
            f"![picture]({address}/q) <style>@import url({address}/css);</style>",
            f"$$\\includegraphics{{{address}/tex}}$$ <video src={address}/v autoplay>",
            f"<iframe src={address}></iframe><svg onload=\"fetch('{address}')\">",
        ):
            assert ask(page, ECHO + text) == text
            assert page.locator("#chat .user").last.inner_text().strip() == ECHO + text
        assert page.locator("#chat img, #chat video, #chat iframe, #chat svg[onload]").count() == 0
        # Nor if something of it became part of the page after all.
        page.evaluate("(address) => { new Image().src = address; fetch(address).catch(() => null); }", address)
        page.wait_for_timeout(500)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_three_tabs_may_use_one_file(open_page, clips):
    tabs = [open_page() for _ in range(3)]
    for tab in tabs:
        upload(tab, clips["clip"])
    for tab in tabs:
        expect(tab.locator(BOX)).to_have_count(2)


def test_nothing_is_cut_off_on_a_phone(open_page):
    page = open_page(width=390, height=844)
    examples = page.locator(".favor-examples button")
    expect(examples).to_have_count(5)
    examples.nth(2).click()
    expect(page.locator(BOX).first).to_be_visible()
    expect(page.locator("#question textarea")).not_to_have_value("")
    page.click("#ask")
    expect(page.locator("#chat .bot")).to_have_count(1)
    page.get_by_text("Answer settings").click()
    expect(page.get_by_label("Remember earlier questions")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in (".favor-player", ".favor-timeline", "#question", "#ask"):
        box = page.locator(name).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_the_camera_is_recorded(open_page, served):
    page = open_page()
    page.get_by_role("tab", name="Camera").click()
    page.get_by_text("Click to Access Webcam").first.click()
    record = page.get_by_role("button", name="start recording")
    page.wait_for_function("[...document.querySelectorAll('video')].some((video) => video.currentTime > 0.5)")
    page.evaluate(COUNT_RECORDED)
    record.click()
    page.wait_for_function("recorded >= 15", timeout=120_000)  # 3 s; a busy machine's encoders begin late
    record.click()
    expect(page.locator(BOX).first).to_be_visible()
    expect(page.locator(".favor-player b")).to_have_text("Recording")
    expect(page.locator(".favor-player")).to_contain_text("s of sound")
    # The clip is shown before Gradio's own copy of the upload is removed.
    deadline = time.monotonic() + 60
    while (clips := [path.name for path in served.user_files()]) != ["clip.webm"] and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert clips == ["clip.webm"]
