"""The log of the server: one line per event on standard error, as text or as JSON.

An event has fields, such as model and version, in the argument `extra` of the logger:

    logger.info("%s: version %d is loaded", name, number, extra=fields(event="load", model=name, version=number))
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

LogFormat = Literal["text", "json"]
ACCESS_LOGGER = "shared.serving.access"
TEXT_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"


def fields(**values: Any) -> dict[str, Any]:
    """Returns the argument `extra` of a logger for an event with these fields; values must be JSON values."""
    return {"fields": values}


def configure_logging(log_format: LogFormat, has_access_log: bool) -> None:
    """Writes all logs of this process to standard error; those of the server from level INFO on, others from WARNING on.

    Args:
        log_format: `text` or `json`.
        has_access_log: whether each request gets a line.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else _text_formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("shared.serving").setLevel(logging.INFO)
    logging.getLogger(ACCESS_LOGGER).setLevel(logging.INFO if has_access_log else logging.WARNING)


def _text_formatter() -> logging.Formatter:
    formatter = logging.Formatter(TEXT_FORMAT, TIME_FORMAT)
    formatter.converter = time.gmtime
    return formatter


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: `time` in UTC, `level`, `logger`, `message`, and the fields of the event."""

    def __init__(self) -> None:
        super().__init__()
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line of JSON."""
        content = {
            "time": f"{self.formatTime(record, TIME_FORMAT)}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)
