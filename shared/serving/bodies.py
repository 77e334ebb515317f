"""Reads the bodies of REST requests, within limits of size and time."""

from __future__ import annotations

import asyncio
import time
import zlib

from starlette.requests import ClientDisconnect, Request

from shared.serving.errors import DEADLINE_EXCEEDED, INVALID_ARGUMENT, UNAVAILABLE, ServingError


async def read_body(request: Request, max_size: int, deadline: float) -> bytes:
    """Reads and decompresses the body of a request; stops as soon as it is too large.

    Args:
        request: the request.
        max_size: maximum size in bytes, before and after decompression.
        deadline: value of `time.monotonic` at which the body must be complete.

    Raises:
        ServingError: the body is too large, late, empty, incomplete, or not valid gzip.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise ServingError(INVALID_ARGUMENT, f"Content-Encoding {encoding} is not supported. Use gzip, or no encoding.")
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == "gzip" else None
    body, num_received = bytearray(), 0
    too_large = ServingError(
        INVALID_ARGUMENT, f"The body is longer than the limit of {max_size} bytes.", 400 if decompressor else 413
    )
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            async for chunk in request.stream():
                num_received += len(chunk)
                body += decompressor.decompress(chunk, max_size + 1 - len(body)) if decompressor else chunk
                if max(num_received, len(body)) > max_size or (decompressor and decompressor.unconsumed_tail):
                    raise too_large
                if decompressor and decompressor.unused_data:
                    raise ServingError(INVALID_ARGUMENT, "The body has more data after the end of its gzip stream.")
    except TimeoutError as error:
        raise ServingError(
            DEADLINE_EXCEEDED, "The request did not arrive completely before its deadline.", 408
        ) from error
    except zlib.error as error:
        raise ServingError(INVALID_ARGUMENT, f"The body is not valid gzip: {error}") from error
    except ClientDisconnect as error:
        raise ServingError(UNAVAILABLE, "The client has disconnected.") from error
    if decompressor and not decompressor.eof:
        raise ServingError(INVALID_ARGUMENT, "The gzip stream of the body is incomplete.")
    if not body:
        raise ServingError(INVALID_ARGUMENT, "The request has no body.")
    return bytes(body)
