"""Modules that all tasks use, each with one concern. Nothing here imports `tasks` at import time."""
