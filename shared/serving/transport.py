"""Network addresses and encryption of both APIs."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path
from typing import Any

import grpc

from shared.errors import SuiteError
from shared.serving.settings import Security

MAX_BACKLOG = 256  # connections that wait to be accepted
MAX_PORT = 65_535


def format_address(host: str, port: int) -> str:
    """Returns host and port as text; an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on an address. `::` stands for all IPv6 and IPv4 addresses of the machine.

    Raises:
        SuiteError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not 0 <= port <= MAX_PORT:
        raise SuiteError(f"Cannot listen on port {port}. Choose a port from 0 to {MAX_PORT}.")
    # asyncio turns off Nagle's algorithm only if the protocol is named explicitly.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
    try:
        listener.bind((host, port))
        listener.listen(MAX_BACKLOG)
    except OSError as error:
        listener.close()
        is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        option = "address with --host" if is_host else "port with --port"
        raise SuiteError(
            f"Cannot listen on {format_address(host, port)} ({error.strerror}). Choose another {option}."
        ) from error
    return listener


def uvicorn_tls_options(security: Security) -> dict[str, Any]:
    """Returns the options of uvicorn for the TLS certificate; empty without one.

    Raises:
        SuiteError: a file is missing or not valid, or only one of the two is set.
    """
    if (security.certificate is None) != (security.key is None):
        raise SuiteError("TLS needs a certificate and its key. Set both --tls-certificate and --tls-key, or neither.")
    if security.certificate is None or security.key is None:
        return {}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(security.certificate, security.key)
    except (OSError, ssl.SSLError) as error:
        raise SuiteError(
            f"{security.certificate}, {security.key}: cannot be used for TLS ({error.strerror or error}). "
            "Both must be PEM files, and the key must belong to the certificate."
        ) from error
    return {"ssl_certfile": str(security.certificate), "ssl_keyfile": str(security.key)}


def grpc_credentials(security: Security) -> grpc.ServerCredentials | None:
    """Returns the credentials of the gRPC API; None without a certificate."""
    if security.certificate is None or security.key is None:
        return None
    pair = (Path(security.key).read_bytes(), Path(security.certificate).read_bytes())
    return grpc.ssl_server_credentials([pair])
