# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What GET /metrics tells, in Prometheus' text format."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .engine_state import Engine

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counts requests, and reads the engine's own counts when asked."""

    def __init__(self, engine: Engine):
        self.engine = engine
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "favor_requests",
            "Chat requests that have ended, by HTTP status; 499: the client has gone.",
            ["status"],
            registry=registry,
        )
        self.latency = Histogram(
            "favor_request_seconds", "From a request's arrival to its last byte.", buckets=SECONDS, registry=registry
        )
        self.first_piece = Histogram(
            "favor_first_piece_seconds",
            "From a request's arrival to its answer's first piece.",
            buckets=SECONDS,
            registry=registry,
        )
        registry.register(self)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """The engine's counts, for prometheus_client."""
        state = self.engine.state
        generates = next((lane for lane in state.lanes if lane.name == "answers"), None)
        for name, value, about in (
            ("favor_requests_pending", state.pending, "Questions taken and not ended."),
            ("favor_requests_waiting", generates.waiting if generates else 0, "Questions that wait for a batch."),
            (
                "favor_requests_generating",
                generates.working if generates else 0,
                "Questions whose answer is being generated.",
            ),
            ("favor_cache_bytes", state.cache_bytes, "Bytes of encoded clips."),
            ("favor_cache_max_bytes", state.cache_max_bytes, "Bound of favor_cache_bytes."),
        ):
            yield GaugeMetricFamily(name, about, value)
        for name, attribute, about in (
            ("favor_lane_waiting", "waiting", "Questions that wait in a lane."),
            ("favor_lane_working", "working", "Questions that a lane works on."),
            ("favor_lane_still_seconds", "still_seconds", "Since anything moved in a lane while questions wait."),
        ):
            lanes = GaugeMetricFamily(name, about, labels=["lane"])
            for lane in state.lanes:
                lanes.add_metric([lane.name], getattr(lane, attribute))
            yield lanes
        if state.decoders_ended is not None:
            ended = CounterMetricFamily(
                "favor_decoders_ended", "Decoding processes that were ended or died, by reason.", labels=["reason"]
            )
            for reason, count in state.decoders_ended.items():
                ended.add_metric([reason], count)
            yield ended
            about = "Restarts of the program that makes decoding processes."
            yield CounterMetricFamily("favor_decoder_restarts", about, state.decoder_restarts)
        for name, value, about in (
            ("favor_prompt_tokens", state.prompt_tokens, "Tokens of prompts, query tokens included."),
            ("favor_completion_tokens", state.completion_tokens, "Tokens generated."),
            ("favor_batches", state.batches, "Calls of generate."),
            ("favor_batched_questions", state.batched_questions, "Questions in those calls."),
            ("favor_cache_hits", state.cache_hits, "Clips that were known."),
            ("favor_cache_misses", state.cache_misses, "Clips that were read and encoded."),
        ):
            yield CounterMetricFamily(name, about, value)
