# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What honest clients of `favor serve` get while hostile ones try to take it from them; on loopback, ends by itself.

    python -m benchmarks.serving_abuse                      # favor-tiny, 200 clients, twice 60 s
    python -m benchmarks.serving_abuse --seconds 20 --clients 80

Two of five clients are honest: each asks, one after the other, about text, a known clip or a file of its own. They are
measured alone first, then beside the others, which run in a process of their own; each does one of the kinds of
`benchmarks.serving_attacks` over and over. Each client has an address of its own (127.1.x.y). Every request is bounded
in time, and every client in number.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from benchmarks.serving_attacks import ATTACKS, Attack, Target, chat, data_url, exchange, prepare

HONEST_SHARE = 0.4
MAX_PENDING = 256
MAX_REQUESTS = 500  # of one client
RETRIES = 3  # after 429, as OpenAI's client does
PATIENCE = 60.0  # seconds that an honest client waits
SETTLING = 15.0  # seconds
SPARE_FILES = 8  # sockets of decoding processes that wait for a file, and of their files
THINKING = 1.0  # seconds between its questions, on average
QUESTIONS = (
    "Which sound is heard first?",
    "What colour is the shape at the start?",
    "Which shape is shown at the end?",
)


@dataclass
class Got:
    """What the honest clients got: seconds of those answered with the text of the same question alone; all others."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    retries: int = 0

    @property
    def asked(self) -> int:
        return len(self.seconds) + self.wrong + self.refused.total()

    def line(self, name: str) -> str:
        """A row of the table."""
        ordered = sorted(self.seconds)
        share = len(ordered) / max(1, self.asked)
        return (
            f"| {name} | {self.asked} | {100 * share:.2f} % | {self.wrong} | {statistics.median(ordered):.3f} | "
            f"{ordered[int(0.95 * len(ordered))]:.3f} | {self.retries} | {dict(self.refused) or ''} |"
        )


@dataclass
class Watched:
    """Of the server's processes, once a second: slowest health check, memory, open files, memory of its decoders.

    At the end: who used how many of the machine's processors.
    """

    health: float = 0.0
    unhealthy: int = 0
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    decoders: list[int] = field(default_factory=list)
    processors: dict[str, float] = field(default_factory=dict)


@contextmanager
def serving(folder: Path, scratch: Path, model: str | None) -> Iterator[tuple[Target, subprocess.Popen]]:
    """A server in a process of its own, whose temporary files go to `scratch`."""
    command = [sys.executable, "-m", "favor", "serve", "--port", "0", "--media-folder", str(folder)]
    command += ["--max-pending", str(MAX_PENDING), *([] if model is None else ["--model", model])]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as made:
        try:
            assert made.stdout is not None
            port = int(made.stdout.readline().rpartition(":")[2].partition("/")[0])
            yield Target("127.0.0.1", port), made
        finally:
            made.terminate()


def questions(folder: Path) -> list[bytes]:
    """The bodies that honest clients send."""
    clips = sorted(folder.glob("*.mp4"))[:4]
    bodies = [chat(text=question) for question in QUESTIONS]
    bodies += [chat("video_url", clip.name, question) for clip in clips for question in QUESTIONS]
    bodies += [chat("video_url", data_url(clip.read_bytes()), QUESTIONS[0]) for clip in clips[:2]]
    return bodies


def text_of(body: bytes) -> str:
    return json.loads(body)["choices"][0]["message"]["content"]


async def honest(target: Target, source: str, expected: dict[bytes, str], until: float, got: Got, seed: int) -> None:
    """Asks one question after the other."""
    chance = random.Random(seed)
    for _ in range(MAX_REQUESTS):
        await asyncio.sleep(chance.uniform(0, 2 * THINKING))
        if time.monotonic() >= until:
            return
        body = chance.choice(list(expected))
        started = time.monotonic()
        try:
            for _ in range(RETRIES + 1):
                status, answer = await exchange(target, source, body, PATIENCE)
                if status != 429:
                    break
                got.retries += 1
                await asyncio.sleep(1.0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            got.refused[type(error).__name__] += 1
            continue
        if status != 200:
            got.refused[str(status)] += 1
        elif text_of(answer) != expected[body]:
            got.wrong += 1
        else:
            got.seconds.append(time.monotonic() - started)


async def hostile(target: Target, source: str, attack: Attack, until: float, done: Counter[str]) -> None:
    """Does the same over and over."""
    for number in range(MAX_REQUESTS):
        if time.monotonic() >= until:
            return
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(min(PATIENCE, until - time.monotonic())):
                await attack.act(target, source, number)
        done[attack.name] += 1
        await asyncio.sleep(attack.pause)


async def watch(target: Target, process: int, until: float, watched: Watched) -> None:
    """Asks for the server's health, and looks at its process."""
    while time.monotonic() < until:
        started = time.monotonic()
        try:
            status, _ = await exchange(target, "127.0.0.1", None, PATIENCE)
            watched.unhealthy += status != 200
        except (OSError, TimeoutError):
            watched.unhealthy += 1
        watched.health = max(watched.health, time.monotonic() - started)
        servers, decoders = processes_of(process)
        watched.memory.append(sum(map(proportional_megabytes, servers)))
        watched.files.append(open_files(process))
        watched.decoders.append(sum(map(proportional_megabytes, decoders)))
        await asyncio.sleep(1.0)


async def settle(process: int, watched: Watched) -> None:
    """Waits until the server has closed what its clients have left, and notes the files that are open then."""
    until = time.monotonic() + SETTLING
    while open_files(process) > watched.files[0] + SPARE_FILES and time.monotonic() < until:
        await asyncio.sleep(0.5)
    watched.files.append(open_files(process))


def open_files(server: int) -> int:
    """Of all processes of the server but those that decode."""
    return sum(len(os.listdir(f"/proc/{process}/fd")) for process in processes_of(server)[0])


def processes_of(server: int) -> tuple[list[int], list[int]]:
    """The server's process with the others that serve, and those that decode, with the program that makes them."""
    kinds: tuple[list[int], list[int]] = ([server], [])
    for process in descendants(server):
        with suppress(OSError):
            kinds[b"decoding_process" in Path(f"/proc/{process}/cmdline").read_bytes()].append(process)
    return kinds


def descendants(process: int) -> list[int]:
    """The processes that a process has made, and those that these have made."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, last = [process], 0
    while last < len(found):
        found += [pid for pid, parent in parents.items() if parent == found[last]]
        last += 1
    return found[1:]


def processor_seconds(server: int) -> dict[str, float]:
    """Processor time of the server, of its decoders, those that have ended included, and of this process."""
    servers, decoders = processes_of(server)

    def ticks(process: int, fields: slice) -> int:
        with suppress(OSError):
            return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[fields]))
        return 0

    tick = os.sysconf("SC_CLK_TCK")
    return {
        "HTTP": ticks(server, slice(11, 13)) / tick,
        "model": sum(ticks(process, slice(11, 13)) for process in servers[1:]) / tick,
        "decoders": sum(ticks(process, slice(11, 15)) for process in decoders) / tick,
        "honest clients": time.process_time(),
    }


def proportional_megabytes(process: int) -> int:
    """Memory of a process; what it shares with others counts in part."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0]) >> 10
    return 0


def still_there(processes: list[int]) -> int:
    """Of so many processes those that have not ended after a while."""
    until = time.monotonic() + SETTLING
    while any(Path(f"/proc/{process}").exists() for process in processes) and time.monotonic() < until:
        time.sleep(0.1)
    return sum(Path(f"/proc/{process}").exists() for process in processes)


async def run(
    target: Target, process: int, expected: dict[bytes, str], clients: int, seconds: float, beside: list[str]
) -> tuple[Got, Watched, Counter[str]]:
    """The honest clients, alone or beside hostile ones of some kinds."""
    got, watched = Got(), Watched()
    friends = round(HONEST_SHARE * clients)
    with ProcessPoolExecutor(1, get_context("spawn")) as others:
        if beside:  # what they send is made before anybody is measured
            await asyncio.wrap_future(others.submit(prepare))
        until = time.monotonic() + seconds
        before, started = processor_seconds(process), time.monotonic()
        work = [honest(target, f"127.1.1.{n + 1}", expected, until, got, n) for n in range(friends)]
        foes = others.submit(attack_all, target, beside, clients - friends, seconds) if beside else None
        await asyncio.gather(watch(target, process, until, watched), *work)
        done, hostile_seconds = (Counter[str](), 0.0) if foes is None else await asyncio.wrap_future(foes)
        after = {**processor_seconds(process), "hostile clients": hostile_seconds}
        passed = time.monotonic() - started
        watched.processors = {name: (after[name] - before.get(name, 0.0)) / passed for name in after}
        await settle(process, watched)
        return got, watched, done


def attack_all(target: Target, names: list[str], clients: int, seconds: float) -> tuple[Counter[str], float]:
    """The hostile clients, in a process of their own; how often they did what, and in what processor time."""
    started = time.process_time()
    done = Counter[str]()
    until = time.monotonic() + seconds

    async def all_of_them() -> None:
        kinds = [attack for attack in ATTACKS if attack.name in names]
        attacks = (kinds[number % len(kinds)] for number in range(clients))
        work = (hostile(target, f"127.1.2.{n + 1}", attack, until, done) for n, attack in enumerate(attacks))
        await asyncio.gather(*work)

    asyncio.run(all_of_them())
    return done, time.process_time() - started


async def alone(target: Target, bodies: list[bytes]) -> dict[bytes, str]:
    """What each question is answered when nobody else asks."""
    return {body: text_of((await exchange(target, "127.0.0.1", body, PATIENCE))[1]) for body in bodies}


def left_behind(scratch: Path) -> int:
    """Files in the server's folder of temporary files."""
    return sum(path.is_file() for path in scratch.rglob("*"))


def main() -> None:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model folder (default: bundled favor-tiny)")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    names = [attack.name for attack in ATTACKS]
    parser.add_argument("--attack", action="append", choices=names, help="one kind only; may be repeated")
    arguments = parser.parse_args()
    if not 5 <= arguments.clients <= 400 or not 1 <= arguments.seconds <= 600:
        parser.error("--clients must be 5 to 400, and --seconds 1 to 600.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="favor-abuse-") as name:
        folder, scratch = Path(name) / "clips", Path(name) / "tmp"
        scratch.mkdir()
        command = [sys.executable, "-m", "favor", "synth", str(folder), "--count", "12", "--seed", "31"]
        subprocess.run(command, check=True, capture_output=True)
        bodies = questions(folder / "media")
        print("| honest clients | asked | right | wrong | median, s | 95 %, s | retries | refused |")
        print("|---|---|---|---|---|---|---|---|")
        with serving(folder / "media", scratch, arguments.model) as (target, process):
            expected = asyncio.run(alone(target, bodies))
            results = []
            for beside in ([], arguments.attack or names):
                results.append(
                    asyncio.run(run(target, process.pid, expected, arguments.clients, arguments.seconds, beside))
                )
                print(results[-1][0].line("beside hostile ones" if beside else "alone"), flush=True)
            made = descendants(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait()
        processes = still_there(made)
        killed = left_behind(scratch)
        with serving(folder / "media", scratch, arguments.model) as (target, process):
            again = asyncio.run(alone(target, bodies[:4]))
        print("\n| server | slowest health check, s | failed ones | MB at first, at most | of decoders | open files |")
        print("|---|---|---|---|---|---|")
        for row, (_, watched, _) in zip(("alone", "beside hostile ones"), results, strict=True):
            memory = f"{watched.memory[0]}, {max(watched.memory)}"
            files = f"{watched.files[0]}, {max(watched.files)}, at the end {watched.files[-1]}"
            memory += f" | {max(watched.decoders)}"
            print(f"| {row} | {watched.health:.2f} | {watched.unhealthy} | {memory} | {files} |")
        for row, (_, watched, _) in zip(("alone", "beside hostile ones"), results, strict=True):
            used = ", ".join(f"{name} {share:.2f}" for name, share in watched.processors.items())
            print(f"\nProcessors used, {row}: {used} of {os.cpu_count()}.", end="")
        same = again == {body: expected[body] for body in again}
        print(
            f"\n\nLeft after kill -9: {killed} files, {processes} of the {len(made)} processes that it made; after "
            f"the restart: {left_behind(scratch)} files; same answers: {same}."
        )
        print("Attacks:", ", ".join(f"{name} {count}" for name, count in sorted(results[1][2].items())))


if __name__ == "__main__":
    main()
