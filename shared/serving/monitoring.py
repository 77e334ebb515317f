"""Scrape configuration and alert rules of Prometheus, for TensorFlow Serving and the embedded server."""

from __future__ import annotations

from typing import Any

from shared.serving.containers import REST_PORT
from shared.serving.metrics import LOAD_ATTEMPTS, METRICS_PATH, REQUEST_COUNT, REQUEST_LATENCY

JOB = "lstm-suite"
ALERTS_FILE = "alerts.yml"
SERVER_ERRORS = "INTERNAL|UNAVAILABLE|RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED"
MAX_ERROR_FRACTION, MAX_LATENCY = 0.05, 1_000_000  # of requests; microseconds


def build_prometheus() -> dict[str, Any]:
    """Returns a configuration of Prometheus."""
    job = {
        "job_name": JOB,
        "metrics_path": METRICS_PATH,
        "static_configs": [{"targets": [f"localhost:{REST_PORT}"]}],
    }
    return {"rule_files": [ALERTS_FILE], "scrape_configs": [job]}


def build_alerts() -> dict[str, Any]:
    """Returns alert rules; they use the metrics that both servers have."""
    failed = f'sum by (model_name) (rate({REQUEST_COUNT}{{status=~"{SERVER_ERRORS}"}}[5m]))'
    total = f"sum by (model_name) (rate({REQUEST_COUNT}[5m]))"
    latency = f"histogram_quantile(0.99, sum by (le, model_name) (rate({REQUEST_LATENCY}_bucket[5m])))"
    rules = [
        _rule("ModelServerDown", f'up{{job="{JOB}"}} == 0', "2m", "critical", "The model server does not respond."),
        _rule(
            "ModelRequestsFail",
            f"{failed} / {total} > {MAX_ERROR_FRACTION}",
            "5m",
            "critical",
            f"More than {MAX_ERROR_FRACTION:.0%} of the requests to {{{{ $labels.model_name }}}} fail for a reason of the server.",
        ),
        _rule(
            "ModelRequestsSlow",
            f"{latency} > {MAX_LATENCY}",
            "10m",
            "warning",
            "1 % of the requests to {{ $labels.model_name }} take more than a second.",
        ),
        _rule(
            "ModelVersionNotLoaded",
            f'increase({LOAD_ATTEMPTS}{{status!="success"}}[15m]) > 0',
            "0m",
            "warning",
            "The version {{ $labels.model_path }} cannot be loaded; the one before is still served.",
        ),
    ]
    return {"groups": [{"name": JOB, "rules": rules}]}


def _rule(name: str, expression: str, duration: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": duration,
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }
