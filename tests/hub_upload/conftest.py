# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The stand-in Hub, and clients with a cache of their own that talk to it."""

import pytest
import yaml

from .clean_environment import make_environment
from .hub_client import HubClient
from .hub_server import READER, WRITER, HubServer


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub for one file of tests; each test takes repositories of its own."""
    with HubServer(tmp_path_factory.mktemp("hub"), yaml.safe_load) as server:
        yield server


@pytest.fixture(autouse=True)
def no_faults_left(request):
    """Faults that a test injects end with it."""
    yield
    if "hub" in request.fixturenames:
        request.getfixturevalue("hub").faults.clear()


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    """An interpreter with this package that may write."""
    with HubClient(hub.url, WRITER, tmp_path_factory.mktemp("client")) as running:
        yield running


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory):
    """An interpreter without this package, with PEFT."""
    return make_environment(tmp_path_factory.mktemp("clean") / "venv", more=("peft",))


@pytest.fixture(scope="module")
def stranger(hub, clean_python, tmp_path_factory):
    """Somebody else's interpreter, without this package, that may read."""
    with HubClient(hub.url, READER, tmp_path_factory.mktemp("stranger"), python=clean_python) as running:
        assert running.python("import importlib.util\nvalue = importlib.util.find_spec('favor') is None")
        yield running


@pytest.fixture(scope="session")
def questions_dir(tmp_path_factory):
    """train.jsonl, train_scenes.jsonl and media of eight rendered clips, a still and a sound among them. Read only."""
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.worlds.mini.dataset import write_split

    folder = tmp_path_factory.mktemp("questions")
    write_split(folder, "train", count=8, seed=3, workers=1, progress=False, prompts=AVEB_PROMPTS)
    return folder
