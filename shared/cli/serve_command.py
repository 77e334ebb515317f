"""The command `serve`: its options, and the start of the embedded server or of TensorFlow Serving."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.cli.terminal import print_error, print_line, suppress_native_stderr
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.serving.settings import Settings

MAX_PORT = 65_535
TOKEN_VARIABLE = "LSTM_SUITE_TOKEN"
EMBEDDED_ONLY = "of the embedded server"


def add_options(parser: argparse.ArgumentParser, models_help: str) -> None:
    """Adds the options of `serve`."""
    parser.add_argument("--models", default="saved_models", help=models_help)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="network address to listen on; 0.0.0.0 for all IPv4 addresses, :: for all IPv4 and IPv6 addresses",
    )
    parser.add_argument("--port", type=parse_port, default=8501, help="port of the REST API")
    parser.add_argument("--grpc-port", type=parse_port, default=8500, help="port of the gRPC API")
    parser.add_argument(
        "--engine",
        choices=("embedded", "tf-serving"),
        default="embedded",
        help="server to run: the embedded one, or TensorFlow Serving if it or Docker is installed",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="model to serve; repeat it for several; by default all",
    )
    _add_limits(parser.add_argument_group(f"limits {EMBEDDED_ONLY}"))
    _add_security(parser.add_argument_group(f"security {EMBEDDED_ONLY}"))
    _add_operation(parser.add_argument_group(f"operation {EMBEDDED_ONLY}"))
    parser.set_defaults(run=serve)


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-body-mib",
        type=_above(0, float),
        default=16.0,
        help="maximum size of a request after decompression, in MiB",
    )
    group.add_argument(
        "--max-grpc-message-mib",
        type=_above(0, float),
        metavar="MIB",
        help="maximum size of a gRPC request, in MiB; by default that of --max-body-mib",
    )
    group.add_argument(
        "--max-requests",
        type=_above(0, int),
        default=256,
        help="maximum number of requests that run or wait at the same time",
    )
    group.add_argument(
        "--timeout",
        type=_above(0, float),
        default=30.0,
        help="seconds until the response; a client can set a shorter time",
    )
    group.add_argument(
        "--keep-alive", type=_above(0, float), default=75.0, help="seconds until an idle connection is closed"
    )
    group.add_argument(
        "--rate-limit",
        metavar="RATE",
        help="maximum rate of requests per client address, such as 100/second or 1000/minute",
    )


def _add_security(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="PEM file with the certificate chain, for TLS"
    )
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="PEM file with the private key of the certificate")
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the token that each request must have (Authorization: Bearer TOKEN); by default the environment "
        f"variable {TOKEN_VARIABLE}, or no authentication",
    )
    group.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin of web pages that may send requests, such as https://example.org; * for all; repeat it for several",
    )


def _add_operation(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="format of the log on standard error"
    )
    group.add_argument(
        "--access-log", action=argparse.BooleanOptionalAction, default=True, help="write a line for each request"
    )
    group.add_argument("--gzip", action="store_true", help="compress responses for clients that accept gzip")
    group.add_argument(
        "--grace-period",
        type=_above(-1e-9, float),
        default=5.0,
        help="seconds after SIGTERM in which the server is not ready, but still serves",
    )
    group.add_argument(
        "--tracing", action="store_true", help="trace requests with OpenTelemetry, configured by its variables OTEL_…"
    )


def parse_port(word: str) -> int:
    """Returns the number of a port; 0 lets the system choose one."""
    if not word.isdecimal() or int(word) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {MAX_PORT}, received {word}")
    return int(word)


def _above(minimum: float, kind: type[int] | type[float]) -> Callable[[str], float]:
    """Returns a function that parses a number above a minimum."""

    def parse(word: str) -> float:
        try:
            value = kind(word)
        except ValueError:
            value = kind(0) if minimum >= 0 else kind(-1)
        if not minimum < value < float("inf"):
            noun = "an integer" if kind is int else "a number"
            bound = "of at least 0" if minimum < 0 else "above 0"
            raise argparse.ArgumentTypeError(f"expected {noun} {bound}, received {word}")
        return value

    return parse


def serve(arguments: argparse.Namespace) -> None:
    """Runs the embedded server, or TensorFlow Serving, until it is stopped."""
    from shared.serving.model_folders import locate_models

    models, notice = locate_models(Path(arguments.models).expanduser())
    if notice:
        print_error(f"lstm-suite: notice: {notice}")
    _require_models(models, arguments.model)
    if arguments.port and arguments.port == arguments.grpc_port:
        raise SuiteError(f"serve: --port and --grpc-port are both {arguments.port}. Choose two different ports.")
    if arguments.engine == "tf-serving":
        _run_tf_serving(models, arguments)
        return
    try:
        with suppress_native_stderr():
            from shared.serving.logs import configure_logging
            from shared.serving.server import Server
            from shared.serving.transport import format_address
    except ModuleNotFoundError as error:
        raise SuiteError(f"serve: {error.name} is not installed. Run: pip install -e '.[serving]'") from error

    configure_logging(arguments.log_format, arguments.access_log)
    server = Server(_build_settings(models, arguments))
    scheme = "http" if arguments.tls_certificate is None else "https"
    print_line(
        f"Serving {models} at {scheme}://{format_address(arguments.host, server.port)} (REST) and "
        f"{format_address(arguments.host, server.grpc_port)} (gRPC)."
    )
    server.run()


def _require_models(folder: Path, names: list[str]) -> None:
    """Checks the names of `--model`.

    Raises:
        SuiteError: there is no such model.
    """
    from shared.serving.model_folders import list_models

    existing = list_models(folder)
    for name in names:
        if existing and name not in existing:
            raise SuiteError(f"serve: {folder} has no model {name}. The models are: {', '.join(existing)}.")


def _run_tf_serving(models: Path, arguments: argparse.Namespace) -> None:
    with suppress_native_stderr():
        from shared.serving import engine

    status = engine.run(models, arguments.host, arguments.port, arguments.grpc_port, arguments.model)
    if status > 0:
        raise SuiteError(f"serve: TensorFlow Serving ended with status {status}. Its messages are above.")


def _build_settings(models: Path, arguments: argparse.Namespace) -> Settings:
    """Returns the settings that the options describe."""
    from shared.serving.settings import MIB, Limits, Security, Settings

    grpc_mib = arguments.max_grpc_message_mib
    return Settings(
        models,
        arguments.host,
        arguments.port,
        arguments.grpc_port,
        model_names=tuple(arguments.model),
        limits=Limits(
            max_body_size=int(arguments.max_body_mib * MIB),
            max_grpc_message_size=None if grpc_mib is None else int(grpc_mib * MIB),
            max_requests=arguments.max_requests,
            timeout=arguments.timeout,
            keep_alive=arguments.keep_alive,
            rate=arguments.rate_limit,
        ),
        security=Security(
            arguments.tls_certificate,
            arguments.tls_key,
            read_token(arguments.token_file),
            tuple(arguments.cors_origin),
        ),
        grace_period=arguments.grace_period,
        compresses_responses=arguments.gzip,
        is_traced=arguments.tracing,
    )


def read_token(path: Path | None) -> str | None:
    """Returns the token in a file, or in the environment without a file; None if there is none.

    Raises:
        SuiteError: the file cannot be read, or the token is empty or has characters that a header cannot have.
    """
    if path is None:
        token, source = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
        if token is None:
            return None
    else:
        try:
            token, source = path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise SuiteError(
                f"{path}: the token cannot be read ({error}). Name a text file with --token-file."
            ) from error
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SuiteError(f"{source}: expected a token of visible ASCII characters on one line.")
    return token
