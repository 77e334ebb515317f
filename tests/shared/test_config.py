"""Settings asked for go before those of the trained model, and these before the defaults."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import with_trained_defaults


@dataclass(frozen=True)
class Settings:
    name: str = "a"
    levels: tuple[float, ...] = (0.5,)


def test_what_was_asked_for_goes_first_and_then_what_was_trained_with():
    trained = {"name": "b", "levels": [0.1, 0.9]}
    assert with_trained_defaults(Settings(), trained) == Settings("b", (0.1, 0.9))
    assert with_trained_defaults(Settings(name="c"), trained) == Settings("c", (0.1, 0.9))
