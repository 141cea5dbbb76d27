# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The page: a clip with its timeline on the left, the conversation about it on the right; what every control does."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from ..chat_engine import ChatEngine
from ..engine_state import TooManyRequests
from ..generation_settings import GenerationSettings
from . import conversation
from .page_guard import LEFT_OVER_SECONDS, OwnUploads, PageGuard, fetch_nothing
from .perception import Perception
from .sessions import Clip, Sessions
from .timeline import draw_timeline, summary

FOLDER = Path(__file__).parent
TITLE = "FAVOR"
ABOUT_BUNDLED = (
    "favor-tiny, the bundled model, knows only rendered clips: "
    "moving coloured shapes with beeps, bells and spoken words."
)
MAX_NEW_TOKENS = 512
PARALLEL_QUESTIONS = 16  # of all tabs; the engine answers them in batches
PARALLEL_UPLOADS = 2
LEFT_OVER_COPIES = (60, LEFT_OVER_SECONDS)  # s: Gradio looks so often for files so old
MEBIBYTE = 1 << 20
KIND_NAMES = {"video": "Video", "image": "Image", "audio": "Sound"}
RECORDINGS = ("sample", "audio")  # Gradio's names for them
SYSTEM_FONTS = ("system-ui", "sans-serif")  # Gradio's own theme names one of Google's
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Example:
    """A file to begin with, its kind ("video", "image" or "audio") and a question about it."""

    path: Path
    kind: str
    question: str


class Page:
    """The components of the page and what their events do; a fresh page for every tab, by its session."""

    def __init__(self, engine: ChatEngine, sessions: Sessions, examples: Sequence[Example], model: str | None):
        self.engine, self.sessions = engine, sessions
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=LEFT_OVER_COPIES) as self.blocks:
            gr.HTML(_head(model))
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    self._lay_out_clip(examples)
                with gr.Column(scale=4, min_width=320):
                    self._lay_out_chat(model is not None)
            self._connect(examples)

    # Layout

    def _lay_out_clip(self, examples: Sequence[Example]) -> None:
        self.message = gr.HTML(visible=False)
        with gr.Column() as self.choice:
            with gr.Tab("File"):
                self.file = gr.File(label="Drop a video, an image or a sound", height=150, elem_id="file")
            with gr.Tab("Camera"):
                options = gr.WebcamOptions(mirror=False)
                self.camera = gr.Video(sources=["webcam"], include_audio=True, webcam_options=options, label="Record")
            with gr.Tab("Microphone"):
                self.microphone = gr.Audio(sources=["microphone"], type="filepath", editable=False, label="Record")
            with gr.Column(elem_classes="favor-examples"):
                gr.Markdown("Or begin with an example:")
                self.examples = [
                    gr.Button(f"{KIND_NAMES[example.kind]}: {example.question}", size="md") for example in examples
                ]
        with gr.Column(visible=False) as self.chosen:
            self.player = gr.HTML()
            self.timeline = gr.HTML()
            self.with_sound = gr.Checkbox(True, label="With sound", info="If not, the model does not hear it.")
            self.another = gr.Button("Another clip", size="md")

    def _lay_out_chat(self, remember: bool) -> None:
        self.chat = gr.Chatbot(
            label="Conversation",
            height=430,
            layout="bubble",
            buttons=[],
            feedback_options=None,
            render_markdown=False,  # what is said is text: `_escaped`, since Gradio takes it for HTML even so
            latex_delimiters=[],
            placeholder="Ask what is seen and heard.",
            elem_id="chat",
        )
        self.refusal = gr.HTML(visible=False)
        with gr.Row(elem_classes="favor-question"):
            self.question = gr.Textbox(
                placeholder="Ask about the clip", label="Question", container=False, max_lines=4, elem_id="question"
            )
            self.ask = gr.Button("Ask", variant="primary", size="md", min_width=80, scale=0, elem_id="ask")
            self.stop = gr.Button(
                "Stop", variant="stop", size="md", min_width=80, scale=0, visible=False, elem_id="stop"
            )
        with gr.Accordion("Answer settings", open=False):
            self.longest = gr.Slider(1, MAX_NEW_TOKENS, value=128, step=1, label="Longest answer, in tokens")
            self.drawn = gr.Checkbox(False, label="Draw at random", info="Else the likeliest token is taken.")
            self.temperature = gr.Slider(0.1, 2.0, value=0.7, step=0.1, label="Temperature, of drawing")
            self.remember = gr.Checkbox(
                remember,
                label="Remember earlier questions",
                info="favor-tiny was trained on single questions and answers them better." if not remember else None,
            )

    # Events

    def _connect(self, examples: Sequence[Example]) -> None:
        view = [self.message, self.choice, self.chosen, self.player, self.with_sound, self.timeline, self.chat]
        uploads: dict[str, Any] = {"concurrency_limit": PARALLEL_UPLOADS, "concurrency_id": "uploads"}
        sources = (
            (self.file, self.file.upload),
            (self.camera, self.camera.stop_recording),
            (self.microphone, self.microphone.stop_recording),
        )
        for component, event in sources:
            taken = event(self.take_upload, [component], [*view, component], **uploads, api_visibility="private")
            taken.then(self.discard_upload, None, None, **HIDDEN)  # only now has the component let go of the file
        for example, button in zip(examples, self.examples, strict=True):
            button.click(self._taker(example), None, [*view, self.question], **uploads, **HIDDEN)
        self.another.click(self.drop_clip, None, view, **HIDDEN)
        self.with_sound.input(self.toggle_sound, [self.with_sound], [self.player, self.timeline], **HIDDEN)
        asking: dict[str, Any] = {
            "fn": self.answer,
            "inputs": [self.question, self.with_sound, self.longest, self.drawn, self.temperature, self.remember],
            "outputs": [self.chat, self.question, self.ask, self.stop, self.refusal],
            "concurrency_limit": PARALLEL_QUESTIONS,
            "concurrency_id": "questions",
            **HIDDEN,
        }
        gr.on([self.ask.click, self.question.submit], **asking)
        self.chat.clear(self.begin_anew, None, None, **HIDDEN)
        self.stop.click(self.stop_answer, None, None, queue=False, **HIDDEN)
        self.blocks.unload(self.end)

    def take_upload(self, file: str | None, request: gr.Request) -> list[Any]:
        """Shows the uploaded or recorded file; the upload component is emptied."""
        if file is None:
            return [gr.skip()] * 8
        path = Path(file)
        title = "Recording" if path.stem in RECORDINGS else path.name
        return [*self._take(request, path, title), None]

    def discard_upload(self, request: gr.Request) -> None:
        """Removes Gradio's copy of the file."""
        self.sessions.of(_tab(request)).discard_upload()

    def _taker(self, example: Example) -> Any:
        def take_example(request: gr.Request) -> list[Any]:
            title = f"Example {example.path.name}"
            return [*self._take(request, example.path, title, uploaded=False), example.question]

        return take_example

    def _take(self, request: gr.Request, path: Path, title: str, uploaded: bool = True) -> list[Any]:
        try:
            clip = self.sessions.take(_tab(request), path, title, uploaded)
        except (ValueError, OSError) as error:
            return [_shown_error(error), *self._nothing()]
        video = clip.perception.kind == "video" and clip.perception.has_sound
        return [
            gr.HTML(visible=False),
            gr.Column(visible=False),
            gr.Column(visible=True),
            player(clip, clip.perception),
            gr.Checkbox(value=True, visible=video),
            draw_timeline(clip.perception),
            [],
        ]

    def drop_clip(self, request: gr.Request) -> list[Any]:
        """Forgets clip and conversation."""
        self.sessions.of(_tab(request)).forget()
        return [gr.HTML(visible=False), *self._nothing()]

    def _nothing(self) -> list[Any]:
        return [gr.Column(visible=True), gr.Column(visible=False), "", gr.Checkbox(value=True), "", []]

    def toggle_sound(self, with_sound: bool, request: gr.Request) -> list[Any]:
        """Shows the sound as heard or not heard."""
        clip = self.sessions.of(_tab(request)).clip
        if clip is None:
            return [gr.skip(), gr.skip()]
        try:
            perception = self.sessions.perception(clip, with_sound)
        except OSError:  # the clip was given up meanwhile
            return [gr.skip(), gr.skip()]
        return [player(clip, perception, with_sound), draw_timeline(perception, with_sound)]

    def answer(
        self,
        question: str,
        with_sound: bool,
        longest: int,
        drawn: bool,
        temperature: float,
        remember: bool,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        """Streams the answer; the stop button is there meanwhile."""
        session = self.sessions.of(_tab(request))
        waiting = [gr.Button(visible=False), gr.Button(visible=True), gr.HTML(visible=False)]
        ready = [gr.Button(visible=True), gr.Button(visible=False)]
        if session.answer is not None:  # Enter was pressed while an answer runs
            yield [gr.skip()] * 5
            return
        try:
            settings = GenerationSettings(
                max_new_tokens=longest, do_sample=drawn, temperature=temperature if drawn else None
            )
            for messages in conversation.ask(self.engine, session, question, settings, with_sound, remember):
                yield [_escaped(messages), "", *waiting]
            yield [_escaped(session.shown), gr.skip(), *ready, gr.HTML(visible=False)]
        except (ValueError, OSError, TooManyRequests) as error:
            yield [_escaped(session.shown), question, *ready, _shown_error(error)]

    def begin_anew(self, request: gr.Request) -> None:
        """Forgets the conversation; the clip stays."""
        self.sessions.of(_tab(request)).begin_anew()

    def stop_answer(self, request: gr.Request) -> None:
        """Ends the running answer early."""
        self.sessions.of(_tab(request)).stop()

    def end(self, request: gr.Request) -> None:
        """The tab was closed: its file goes."""
        self.sessions.end(_tab(request))


def launch(
    page: Page, host: str, port: int | None, max_upload_mb: int, names: Sequence[str] = (), anywhere: bool = False
) -> str:
    """Starts serving the page and returns its address.

    Args:
        page: what is served.
        host, port: where to listen.
        max_upload_mb: of a file.
        names: by which the page is reached beside addresses, such as a proxy's.
        anywhere: it is for other machines, too; else it answers only to this machine's own addresses.

    Raises:
        OSError: the port is taken.
    """
    fetch_nothing()
    guards = [
        Middleware(PageGuard, anywhere=anywhere, names=[*names, host]),
        Middleware(OwnUploads, folder=Path(get_upload_folder()), max_bytes=max_upload_mb * MEBIBYTE),
    ]
    page.blocks.queue(max_size=256, api_open=False)
    _, url, _ = page.blocks.launch(
        server_name=host,
        server_port=port,
        max_file_size=f"{max_upload_mb}mb",
        allowed_paths=[str(page.sessions.folder)],
        app_kwargs={"middleware": guards},
        theme=gr.themes.Default(font=SYSTEM_FONTS, font_mono=("ui-monospace", "monospace")).set(
            body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400"
        ),
        css_paths=FOLDER / "page.css",
        head=f"<script>{(FOLDER / 'page.js').read_text(encoding='utf-8')}</script>",
        prevent_thread_lock=True,
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=[],
        inbrowser=False,
        quiet=True,
    )
    return url


def player(clip: Clip, perception: Perception, with_sound: bool = True) -> str:
    """The clip to play, with its name; muted as for the model."""
    source = html.escape(f"gradio_api/file={quote(str(clip.path))}", quote=True)
    kind = perception.kind
    muted = "" if with_sound else " muted"
    media = {
        "video": f'<video src="{source}" controls playsinline preload="metadata"{muted}></video>',
        "image": f'<img src="{source}" alt="the picture">',
        "audio": f'<audio src="{source}" controls preload="metadata"></audio>',
    }[kind]
    name, seen = html.escape(clip.name), html.escape(summary(perception, with_sound))
    return f'<div class="favor-player"><div class="name"><b>{name}</b><span>{seen}</span></div>{media}</div>'


def _escaped(messages: conversation.Messages) -> conversation.Messages:
    """The chat as HTML that shows it letter by letter: nothing in it is fetched, run or followed."""
    return [{**message, "content": html.escape(message["content"], quote=False)} for message in messages]


def _head(model: str | None) -> str:
    about = ABOUT_BUNDLED if model is None else f"Model: {model}"
    text = f"Ask about a video and its sound, an image or a sound. {html.escape(about)}"
    return f'<div class="favor-head"><h1>{TITLE}</h1><p>{text}</p></div>'


def _shown_error(error: Exception) -> Any:
    text = html.escape(" ".join(str(error).split()) or type(error).__name__)
    return gr.HTML(f'<div class="favor-message" role="alert">{text}</div>', visible=True)


def _tab(request: gr.Request) -> str:
    return str(request.session_hash)
