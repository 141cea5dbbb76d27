# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What goes wrong on the way: it is tried again or said in one line, and no repository is left half filled."""

import hashlib
import shutil

import pytest

from .hub_client import HubClient
from .hub_server import READER, WRITER


@pytest.fixture
def sharded_dir(tiny_parts, tmp_path):
    """A model whose weights are several files, and its processor."""
    model, processor = tiny_parts
    model.save_pretrained(tmp_path / "sharded", max_shard_size="150KB")
    processor.save_pretrained(tmp_path / "sharded")
    return tmp_path / "sharded"


def complete(hub, name):
    """Whether a repository holds either nothing, or everything that a model needs."""
    if ("model", name) not in hub.store.repositories:
        return True
    files = set(hub.files("model", name))
    return not files or {"config.json", "model.safetensors", "pipeline_favor.py", "README.md"} <= files


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/create"), ("POST", "/preupload/"), ("POST", "/batch"), ("PUT", "/lfs/"), ("POST", "/commit/")],
)
@pytest.mark.parametrize("fault", ["500", "503", "dropped"])
def test_a_passing_fault_of_any_request_is_tried_again(method, path, fault, hub, client, tiny_model_dir):
    name = f"org/passing-{path.strip('/')}-{fault}"
    dropped = {"drop_after": 100} if fault == "dropped" else {"status": int(fault)}
    hub.store.forget_large()
    hub.fail(method, path, **dropped)
    pushed = client.favor("push", tiny_model_dir, name)
    assert pushed.status == 0, pushed.err
    assert complete(hub, name) and hub.files("model", name)
    assert len(hub.commits("model", name)) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 500}, "The Hub failed (500"),
        ({"drop_after": 100}, "connection to the Hub failed"),
        ({"status": 409, "message": "Conflict"}, "busy with another change"),
        ({"status": 412, "message": "A commit has happened since"}, "changed by somebody else"),
        ({"status": 403, "message": "Forbidden"}, "may not write"),
        ({"status": 413, "message": "Payload too large"}, "too large"),
    ],
)
def test_a_lasting_fault_ends_with_one_line_and_nothing_published(fault, said, hub, client, tiny_model_dir):
    name = f"org/lasting-{'-'.join(map(str, fault.values())).replace(' ', '-')}"
    hub.fail("POST", "/api/models/.*/commit/", times=100, **fault)
    error = client.favor("push", tiny_model_dir, name).error
    assert said in error and "Run the same command again" in error
    assert WRITER not in error
    assert hub.files("model", name) == {}
    hub.faults.clear()
    assert client.favor("push", tiny_model_dir, name).status == 0
    assert complete(hub, name)


def test_an_upload_that_broke_off_goes_on_where_it_was(hub, client, sharded_dir):
    shards = sorted(sharded_dir.glob("model-*.safetensors"))
    assert len(shards) >= 3
    hub.store.forget_large()
    hub.requests.clear()
    oid_of_last = sha256(shards[-1])
    hub.fail("PUT", oid_of_last, times=100, drop_after=1000)
    error = client.favor("push", sharded_dir, "org/resumed").error
    assert "are not sent again" in error
    assert hub.files("model", "org/resumed") == {}
    hub.faults.clear()
    arrived = {request.path for request in hub.asked("PUT", "/lfs/", status=200)}
    hub.requests.clear()
    assert client.favor("push", sharded_dir, "org/resumed").status == 0
    sent = hub.asked("PUT", "/lfs/", status=200)
    assert f"/lfs/{oid_of_last}" in {request.path for request in sent}
    assert not arrived & {request.path for request in sent}
    assert sum(request.received for request in sent) < sum(file.stat().st_size for file in shards)
    files = hub.files("model", "org/resumed")
    assert all(files[file.name] == file.read_bytes() for file in shards)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/commit/"), pytest.param("PUT", "/lfs/", marks=pytest.mark.slow)]
)
def test_a_killed_client_leaves_nothing_half_published(method, path, hub, client, tmp_path, tiny_model_dir):
    name = f"org/killed-{method.lower()}"
    hub.store.forget_large()
    with HubClient(hub.url, WRITER, tmp_path) as killed:
        hub.on_request(method, path, killed.process.kill)
        with pytest.raises(AssertionError, match="ended"):
            killed.favor("push", tiny_model_dir, name)
    hub.hooks.clear()
    # A commit whose request had arrived whole counts; one that had not does not.
    assert hub.files("model", name) == {} or complete(hub, name)
    assert client.favor("push", tiny_model_dir, name).status == 0
    assert complete(hub, name) and hub.files("model", name)


def test_an_expired_token_is_said_and_not_shown(hub, client, tiny_model_dir):
    expired = "hf_" + "expired0000000000000000000"
    with client.as_user(expired):
        pushed = client.favor("push", tiny_model_dir, "org/expired")
        assert "may have expired" in pushed.error and "hf auth login" in pushed.error
        assert expired not in pushed.out + pushed.err
    assert ("model", "org/expired") not in hub.store.repositories


def test_a_token_that_expires_during_the_upload(hub, client, tiny_model_dir):
    hub.fail("POST", "/commit/", times=100, status=401, message="Invalid credentials in Authorization header")
    assert "may have expired" in client.favor("push", tiny_model_dir, "org/expires").error
    assert hub.files("model", "org/expires") == {}


def test_two_uploads_at_a_time_do_not_mix(hub, client, tiny_model_dir):
    assert client.favor("push", tiny_model_dir, "org/raced").status == 0

    def somebody_else():
        hub.hooks.clear()
        repository = hub.store.repository("model", "org/raced")
        repository.add_commit("main", "Theirs", {"theirs.txt": hub.store.keep(b"theirs")})

    hub.on_request("POST", "/commit/", somebody_else)
    error = client.favor("push", tiny_model_dir, "org/raced", "--license", "mit").error
    assert "changed by somebody else" in error
    assert hub.commits("model", "org/raced")[-1] == "Theirs"


def test_an_adapter_does_not_replace_a_model(hub, client, tiny_model_dir, tmp_path):
    assert client.favor("push", tiny_model_dir, "org/whole").status == 0
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/whole", "peft_type": "LORA"}')
    shutil.copyfile(tiny_model_dir / "model.safetensors", tmp_path / "adapter_model.safetensors")
    assert "holds a whole model" in client.favor("push", tmp_path, "org/whole").error
    assert "model.safetensors" in hub.files("model", "org/whole")


LOAD = "from transformers import AutoModel\nAutoModel.from_pretrained({!r}, trust_remote_code=True, revision={!r})"


def test_loading_says_what_is_missing(hub, client, media_dir, tiny_model_dir):
    assert client.favor("push", tiny_model_dir, "org/there").status == 0
    clip = str(media_dir / "clip.mp4")
    with client.as_user(READER):
        for model, said in (("org/nowhere", "org/nowhere"), ("org/there@v9", "v9")):
            assert said in client.favor("ask", clip, "What?", "--model", model).error
    with client.as_user(None):
        assert "org/there" in client.favor("ask", clip, "What?", "--model", "org/there").error


def test_a_download_that_breaks_off_is_taken_up(hub, client, stranger, tiny_model_dir):
    assert client.favor("push", tiny_model_dir, "org/fragile").status == 0
    hub.fail("GET", "/resolve/.*/model.safetensors", drop_after=100_000)
    hub.requests.clear()
    assert stranger.python(LOAD.format("org/fragile", None) + "\nvalue = True")
    first, second = hub.asked("GET", "/resolve/.*/model.safetensors")
    assert first.sent == 100_000
    assert second.status in (200, 206), "the client keeps whole blocks of 10 MB only"


def test_a_full_disk_in_the_cache_is_said_and_does_not_break_the_cache(hub, client, stranger, tiny_model_dir):
    assert client.favor("push", tiny_model_dir, "org/heavy").status == 0
    stranger.python("import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)")
    stranger.python("resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))")
    failed = stranger.raises(LOAD.format("org/heavy", None))
    stranger.python("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))")
    assert "File too large" in failed
    assert stranger.python(LOAD.format("org/heavy", None) + "\nvalue = True")


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()
