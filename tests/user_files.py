"""Files as users have them: other column names, separators and date formats, and some errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

PEOPLE = "ada ben carla dora emil frida gus hanna".split()
WORDS = {
    "rechnung": "Die Rechnung vom Mai ist doppelt gekommen, bitte um Gutschrift".split(),
    "technik": "Der Anschluss blinkt rot und das Netz bricht ständig ab".split(),
    "vertrag": "Ich möchte meinen Vertrag kündigen und brauche eine Bestätigung".split(),
}


def tickets(folder: Path) -> None:
    """Writes the export of a help desk: semicolons, German column names, Latin-1, one ticket without a label."""
    rng = np.random.default_rng(0)
    lines = ["Nummer;Eingang;Anfrage;Team"]
    for k in range(300):
        team = list(WORDS)[k % 3]
        text = " ".join(rng.permutation(WORDS[team])[:6])
        lines.append(f"{k + 1};{1 + k % 28:02}.05.2025;{text};{'' if k == 41 else team}")
    (folder / "tickets.csv").write_text("\n".join(lines) + "\n", encoding="latin-1")


def payments(folder: Path) -> None:
    """Writes the export of a bank: semicolons, decimal commas, day before month, labels yes and no, no terminals."""
    rng = np.random.default_rng(0)
    count = 2_000
    times = pd.Timestamp("2025-03-01") + pd.to_timedelta(np.sort(rng.integers(0, 40 * 1440, count)), unit="min")
    lines = ["account;booked;euro;country;chargeback"]
    for time in times:
        amount = f"{rng.gamma(2.0, 200.0):,.2f}".translate(str.maketrans(",.", ".,"))
        country, fraud = rng.choice(["DE", "FR", "PL"]), "yes" if rng.random() < 0.03 else "no"
        lines.append(f"A{rng.integers(100):03};{time:%d.%m.%Y %H:%M};{amount};{country};{fraud}")
    (folder / "payments.csv").write_text("\n".join(lines) + "\n")


def posts(folder: Path) -> None:
    """Writes the export of a forum: one JSON object per line, another name for the text, one truncated post."""
    rng = np.random.default_rng(0)
    words = [word for text in WORDS.values() for word in text]
    lines = []
    for k in range(400):
        post = {"id": k + 1, "author": str(rng.choice(PEOPLE)), "body": " ".join(rng.choice(words, 40))}
        lines.append(json.dumps(post, ensure_ascii=False))
    lines[119] = lines[119][:50]
    (folder / "posts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def quotes(folder: Path) -> None:
    """Writes the export of a broker: semicolons, decimal commas, day before month, newest first, one duplicate row."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2021-01-04", periods=1_000)
    lines = []
    for name, start in (("ALV", 200.0), ("SAP", 110.0)):
        closes = start * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        prices = [f"{close:.2f}".replace(".", ",") for close in closes]
        lines += [f"{name};{day:%d.%m.%Y};{price}" for day, price in zip(days, prices, strict=True)]
    lines.append(lines[-1])
    (folder / "quotes.csv").write_text("\n".join(["Papier;Stichtag;Bewertung", *lines[::-1]]) + "\n")


def clips(folder: Path) -> None:
    """Writes crowdsourced recordings: 8, 16 and 48 kHz, mono and stereo, and a manifest that lists one missing file."""
    import soundfile

    rng = np.random.default_rng(0)
    (folder / "clips").mkdir()
    lines = ["client_id\tpath\tsentence\tup_votes"]
    for k in range(80):
        rate, channels = (8_000, 16_000, 48_000)[k % 3], 1 + k % 2
        samples = rng.normal(0, 0.05, (int(rate * rng.uniform(0.8, 2.0)), channels))
        if k != 56:
            soundfile.write(folder / "clips" / f"clip_{k:04}.wav", samples, rate)
        sentence = " ".join(rng.choice(["turn", "left", "right", "stop", "go"], 3))
        lines.append(f"{PEOPLE[k % 8]}\tclip_{k:04}.wav\t{sentence}\t{k % 4}")
    (folder / "validated.tsv").write_text("\n".join(lines) + "\n")


USER_FILES = {"sentiment": tickets, "fraud": payments, "next_word": posts, "stock": quotes, "speech": clips}
"""By task: function that writes the file of the transcript in the README of the task."""
