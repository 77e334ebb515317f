"""The settings of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.serving.batching import Batching

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits of the server."""

    max_body_size: int = 16 * MIB
    """Maximum size of a request, in bytes after decompression."""
    max_grpc_message_size: int | None = None
    """Maximum size of a gRPC request, in bytes; None for `max_body_size`."""
    max_requests: int = 256
    """Maximum number of requests that run or wait at the same time; the server rejects further requests."""
    timeout: float = 30.0
    """Seconds until the response, if the client does not set a shorter time."""
    num_workers: int = 64
    """Number of worker threads."""
    keep_alive: float = 75.0
    """Seconds until the server closes an idle connection of the REST API. It must be longer than the same time of a proxy in front
    (60 s by default in most): otherwise the proxy may send a request on a connection that is being closed."""
    rate: str | None = None
    """Maximum rate of requests per client, such as `100/second` or `1000/minute`; None for no limit."""


@dataclass(frozen=True)
class Security:
    """Encryption, authentication, and what browsers may do."""

    certificate: Path | None = None
    """File with the TLS certificate chain, in PEM format; None for no encryption."""
    key: Path | None = None
    """File with the private key of the certificate, in PEM format."""
    token: str | None = None
    """Token that each request must have (`Authorization: Bearer TOKEN`); None for no authentication."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may send requests, such as `https://example.org`; `*` for all."""


@dataclass(frozen=True)
class Settings:
    """Settings of a server."""

    models: Path
    """Folder with one folder per model."""
    host: str = "127.0.0.1"
    """Network address to listen on; 0.0.0.0 for all IPv4 addresses of the machine, :: for all IPv4 and IPv6 addresses."""
    port: int = 8501
    """Port of the REST API; 0 for any free port."""
    grpc_port: int = 8500
    """Port of the gRPC API; 0 for any free port."""
    model_names: tuple[str, ...] = ()
    """Names of the models to serve; empty for all models in the folder."""
    batching: Batching | None = field(default_factory=Batching)
    """Settings of micro-batching; None runs each request separately."""
    limits: Limits = field(default_factory=Limits)
    """Limits on the size, number, duration and rate of requests."""
    security: Security = field(default_factory=Security)
    """Encryption and authentication."""
    poll_interval: float = 1.0
    """Seconds between two scans for new versions."""
    grace_period: float = 5.0
    """Seconds after SIGTERM in which the server is not ready, but still serves, until load balancers send no more requests."""
    compresses_responses: bool = False
    """Whether responses of more than 1 KiB are compressed with gzip for clients that accept it."""
    is_traced: bool = False
    """Whether requests are traced with OpenTelemetry."""
