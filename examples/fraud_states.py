"""Scores card transactions one by one and stores the state of each card between the calls.

    python examples/fraud_states.py saved_models/fraud/1 states.sqlite < transactions.jsonl

The model server keeps no state, so the client does. This example uses SQLite, which survives a restart; several servers can share a
key-value store instead. Each line is one event for a model with terminals and no further columns: a transaction, which is scored and
changes the state of its card, or a label that became known later, which is added to the history of its terminal:

    {"card": "ann", "terminal": "baker", "time": 1530000000, "amount": 12.5}
    {"card": "ann", "terminal": "baker", "time": 1530000000, "amount": 12.5, "fraud": 0}
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

TERMINAL_HISTORY_LENGTH = 32  # labelled transactions of a terminal that a request contains
TABLES = """
create table if not exists model (version text not null);
create table if not exists cards (card text primary key, state blob not null, time integer not null);
create table if not exists labels (terminal text, time integer, amount real, fraud integer);
create index if not exists by_terminal on labels (terminal, time);
"""
QUERY = """
select time, amount, fraud from labels where terminal = ? and time <= ? order by time desc, rowid desc limit ?
"""


class Scorer:
    """The `step` signature of a fraud model, and a database with the states of the cards and the labels of the terminals.

    Args:
        model: folder of an exported version.
        database: path of the SQLite database; it is created if it does not exist.
    """

    def __init__(self, model: str, database: str) -> None:
        self.model = tf.saved_model.load(model)
        self.step = self.model.signatures["step"]
        self.state_size = self.step.structured_input_signature[1]["card_state"].shape[1]
        self.delay = json.loads((Path(model) / "task.json").read_text())["label_delay_days"] * 86_400
        self.database = sqlite3.connect(database)
        self.database.executescript(TABLES)
        self._pin(str(Path(model).resolve()))

    def _pin(self, version: str) -> None:
        """Makes sure that the states in the database belong to this version: only the version that made a state can continue it.

        Raises:
            SystemExit: they belong to another version.
        """
        row = self.database.execute("select version from model").fetchone()
        if row is None:
            with self.database:
                self.database.execute("insert into model values (?)", (version,))
        elif row[0] != version:
            raise SystemExit(f"The database has states of {row[0]}. Use this version, or begin with another database.")

    def score(self, card: str, terminal: str, time: int, amount: float) -> dict[str, Any]:
        """Returns `fraud_probability` and `alert` of one transaction, and stores the next state of the card."""
        row = self.database.execute("select state, time from cards where card = ?", (card,)).fetchone()
        state = np.frombuffer(row[0], np.float32) if row else np.zeros(self.state_size, np.float32)
        parameters = (terminal, time - self.delay, TERMINAL_HISTORY_LENGTH)
        history = np.array(self.database.execute(QUERY, parameters).fetchall(), np.float64).reshape(-1, 3)
        outputs = self.step(
            time=tf.constant([time], tf.int64),
            amount=tf.constant([amount], tf.float32),
            terminal_time=tf.constant(history[None, :, 0], tf.int64),
            terminal_amount=tf.constant(history[None, :, 1], tf.float32),
            terminal_fraud=tf.constant(history[None, :, 2], tf.int32),
            card_state=tf.constant(state[None]),
            card_time=tf.constant([row[1] if row else 0], tf.int64),
        )
        next_row = (card, outputs["card_state"].numpy()[0].tobytes(), int(outputs["card_time"][0]))
        with self.database:
            self.database.execute("insert or replace into cards values (?, ?, ?)", next_row)
        return {"fraud_probability": float(outputs["fraud_probability"][0]), "alert": bool(outputs["alert"][0])}

    def add_label(self, terminal: str, time: int, amount: float, fraud: int) -> None:
        """Adds a transaction to the labelled history of its terminal; `fraud` is 0 or 1."""
        with self.database:
            self.database.execute("insert into labels values (?, ?, ?, ?)", (terminal, time, amount, fraud))


def main() -> None:
    scorer = Scorer(*sys.argv[1:3])
    for line in sys.stdin:
        event = json.loads(line)
        if "fraud" in event:
            scorer.add_label(event["terminal"], event["time"], event["amount"], event["fraud"])
        else:
            scores = scorer.score(event["card"], event["terminal"], event["time"], event["amount"])
            sys.stdout.write(json.dumps({**event, **scores}) + "\n")


if __name__ == "__main__":
    main()
