"""The Prometheus metrics: those of TensorFlow Serving under its names, and further ones with version, signature and interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import Metric, UntypedMetricFamily

from shared.serving.models import AVAILABLE, ModelVersion

if TYPE_CHECKING:
    from shared.serving.repository import Repository

disable_created_metrics()  # the time at which each metric was created would double their number
METRICS_PATH = "/monitoring/prometheus/metrics"  # as in TensorFlow Serving
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
MICROSECOND_BUCKETS = tuple(10 * 1.8**k for k in range(33))  # those of TensorFlow Serving
REQUEST_COUNT, REQUEST_LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
LOAD_ATTEMPTS = ":tensorflow:cc:saved_model:load_attempt_count"
LOAD_LATENCY = ":tensorflow:cc:saved_model:load_latency"


@dataclass
class RequestRecord:
    """What is known about a request: version and signature are set once the request is read."""

    model: str
    interface: str
    version: int | str = ""
    signature: str = ""


class _UntypedCounter:
    """A counter whose name has no suffix `_total`, which prometheus-client adds to every counter.

    Args:
        name: name of the metric.
        help_text: description of the metric.
        labels: names of the labels.
    """

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...]) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self.values: dict[tuple[str, ...], int] = {}

    def increase(self, *labels: str) -> None:
        self.values[labels] = self.values.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        family = UntypedMetricFamily(self.name, self.help_text, labels=self.labels)
        for labels, value in list(self.values.items()):
            family.add_metric(labels, value)
        yield family


class Metrics:
    """The metrics of a server.

    Attributes:
        registry: the registry, for `prometheus_client.generate_latest`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("model", "version", "signature", "interface")
        self.requests = Counter(
            "lstm_suite_requests", "Number of requests by status.", (*labels, "code"), registry=self.registry
        )
        self.duration = Histogram(
            "lstm_suite_request_duration_seconds",
            "Time from the start of a request to its response.",
            labels,
            registry=self.registry,
            buckets=DURATION_BUCKETS,
        )
        self.requests_in_progress = Gauge(
            "lstm_suite_requests_in_progress", "Number of requests that run or wait.", registry=self.registry
        )
        self.version_available = Gauge(
            "lstm_suite_version_available",
            "1 for a version that is available, 0 for any other.",
            ("model", "version"),
            registry=self.registry,
        )
        self.load_failures = Counter(
            "lstm_suite_load_failures",
            "Number of failed attempts to load a version.",
            ("model", "version"),
            registry=self.registry,
        )
        self._add_tensorflow_names()

    def _add_tensorflow_names(self) -> None:
        """Creates the metrics of TensorFlow Serving, for dashboards and alerts that use its names."""
        self.request_count = _UntypedCounter(REQUEST_COUNT, "Number of requests.", ("model_name", "status"))
        self.load_attempts = _UntypedCounter(
            LOAD_ATTEMPTS, "Number of attempts to load a version.", ("model_path", "status")
        )
        self.load_latency = _UntypedCounter(LOAD_LATENCY, "Microseconds of loading.", ("model_path",))
        for counter in (self.request_count, self.load_attempts, self.load_latency):
            self.registry.register(counter)
        self.request_latency = Histogram(
            REQUEST_LATENCY,
            "Microseconds from the start of a request to its response.",
            ("model_name", "API", "entrypoint"),
            registry=self.registry,
            buckets=MICROSECOND_BUCKETS,
        )

    def record_request(self, record: RequestRecord, code: str, seconds: float) -> None:
        """Counts and times a request.

        Args:
            record: the request; its model is "" if there is no such model, so that misspelled names create no labels.
            code: name of the gRPC status.
            seconds: duration of the request.
        """
        labels = (record.model, record.version, record.signature, record.interface)
        self.requests.labels(*labels, code).inc()
        self.duration.labels(*labels).observe(seconds)
        self.request_count.increase(record.model, code)
        self.request_latency.labels(record.model, "Predict", record.interface).observe(1e6 * seconds)

    def record_load(self, version: ModelVersion) -> None:
        """Counts an attempt to load a version, which has succeeded or failed."""
        has_failed, path = version.state != AVAILABLE, str(version.folder)
        self.load_attempts.increase(path, "fail" if has_failed else "success")
        self.load_failures.labels(version.name, version.version).inc(has_failed)
        self.load_latency.values[(path,)] = self.load_latency.values.get((path,), 0) + int(1e6 * version.load_seconds)

    def update_version_gauge(self, repository: Repository) -> None:
        """Sets the gauge of the versions to the current states."""
        self.version_available.clear()
        for name, versions in list(repository.models.items()):
            for number, version in versions.items():
                self.version_available.labels(name, number).set(version.state == AVAILABLE)
