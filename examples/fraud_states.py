"""Scores card transactions one by one, with the state of each card kept in a store between calls.

    python examples/fraud_states.py saved_models/fraud/1 states.sqlite < transactions.jsonl

TensorFlow Serving keeps no state, so the caller does: here SQLite, which survives a restart; a key-value store does the
same for many servers. A line is one transaction, of a model with terminals and no further columns:

    {"card": "ann", "terminal": "baker", "time": 1530000000, "amount": 12.5}
    {"card": "ann", "terminal": "baker", "time": 1530000000, "amount": 12.5, "fraud": 0}      a label that came in later

The first is scored, and remembered of the card; the second is remembered of the terminal.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

REPORTS = 32  # confirmed transactions of a terminal worth keeping
TABLES = """
create table if not exists cards (card text primary key, memory blob not null, time integer not null);
create table if not exists confirmed (terminal text, time integer, amount real, fraud integer);
create index if not exists by_terminal on confirmed (terminal, time);
"""


class Scorer:
    """A fraud model's `step` signature, and a database with what it has to be told again."""

    def __init__(self, model: str, database: str) -> None:
        self.model = tf.saved_model.load(model)
        self.step = self.model.signatures["step"]
        self.state_size = self.step.structured_input_signature[1]["card_state"].shape[1]
        self.delay = json.loads((Path(model) / "task.json").read_text())["delay_days"] * 86_400
        self.database = sqlite3.connect(database)
        self.database.executescript(TABLES)

    def score(self, card: str, terminal: str, time: int, amount: float) -> dict[str, Any]:
        """Returns `fraud_probability` and `alert` of one transaction, and remembers it of the card."""
        row = self.database.execute("select memory, time from cards where card = ?", (card,)).fetchone()
        memory = np.frombuffer(row[0], np.float32) if row else np.zeros(self.state_size, np.float32)
        query = "select time, amount, fraud from confirmed where terminal = ? and time <= ? order by time desc, rowid desc limit ?"
        known = np.array(
            self.database.execute(query, (terminal, time - self.delay, REPORTS)).fetchall(), np.float64
        ).reshape(-1, 3)
        answer = self.step(
            time=tf.constant([time], tf.int64),
            amount=tf.constant([amount], tf.float32),
            terminal_time=tf.constant(known[None, :, 0], tf.int64),
            terminal_amount=tf.constant(known[None, :, 1], tf.float32),
            terminal_fraud=tf.constant(known[None, :, 2], tf.int32),
            card_state=tf.constant(memory[None]),
            card_time=tf.constant([row[1] if row else 0], tf.int64),
        )
        state = (card, answer["card_state"].numpy()[0].tobytes(), int(answer["card_time"][0]))
        with self.database:
            self.database.execute("insert or replace into cards values (?, ?, ?)", state)
        return {"fraud_probability": float(answer["fraud_probability"][0]), "alert": bool(answer["alert"][0])}

    def confirm(self, terminal: str, time: int, amount: float, fraud: int) -> None:
        """Remembers of a terminal that a transaction there was, or was not, fraud."""
        with self.database:
            self.database.execute("insert into confirmed values (?, ?, ?, ?)", (terminal, time, amount, fraud))


def main() -> None:
    scorer = Scorer(*sys.argv[1:3])
    for line in sys.stdin:
        event = json.loads(line)
        if "fraud" in event:
            scorer.confirm(event["terminal"], event["time"], event["amount"], event["fraud"])
        else:
            answer = scorer.score(event["card"], event["terminal"], event["time"], event["amount"])
            sys.stdout.write(json.dumps({**event, **answer}) + "\n")


if __name__ == "__main__":
    main()
