"""A simulator of card transactions with three kinds of fraud, after the description of the Fraud Detection Handbook.

Written anew from Le Borgne, Siblini, Lebichot & Bontempi (2022), chapter 3, "Transaction data simulator". Customers
and terminals lie at random in a square of side 100; a customer pays at terminals nearby, each day a Poisson number of
times, around noon, with amounts about a mean of its own. Frauds are

1. every amount above 220;
2. each day some terminals are taken over: for 28 days every transaction there is fraud;
3. each day some cards leak: for 14 days a third of their transactions, the amounts five times as high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DAY = 86_400
LARGE = 220.0
TERMINAL_DAYS, CARD_DAYS = 28, 14
SHARE, FACTOR = 3, 5.0


@dataclass(frozen=True)
class Simulation:
    """Size of the made-up world; the defaults are the Handbook's."""

    customers: int = 5000
    terminals: int = 10_000
    days: int = 183
    radius: float = 5.0
    """How far from home a customer pays."""
    terminals_a_day: float = 2.0
    """Terminals taken over each day; of a fraction, that is the chance of one more."""
    cards_a_day: float = 3.0
    """Cards that leak each day."""
    start: str = "2018-04-01"


SAMPLE = Simulation(customers=300, terminals=300, days=75, radius=10.0, terminals_a_day=0.15, cards_a_day=0.3)


def generate(simulation: Simulation, seed: int) -> pd.DataFrame:
    """Returns transactions in time order.

    Columns: `TRANSACTION_ID`, `TX_DATETIME`, `CUSTOMER_ID`, `TERMINAL_ID`, `TX_AMOUNT`, `TX_FRAUD` and
    `TX_FRAUD_SCENARIO` (0 to 3, an answer, never an input).
    """
    rng = np.random.default_rng(seed)
    frame = _genuine(simulation, rng)
    frame = frame.sort_values("second", kind="stable", ignore_index=True)
    day = frame["second"].to_numpy() // DAY
    amount, scenario = frame["TX_AMOUNT"].to_numpy().copy(), np.zeros(len(frame), np.int8)
    scenario[amount > LARGE] = 1
    by_terminal, by_card = (frame.groupby(name).indices for name in ("TERMINAL_ID", "CUSTOMER_ID"))
    for today in range(simulation.days):
        for terminal in _drawn(rng, simulation.terminals, simulation.terminals_a_day):
            rows = by_terminal.get(terminal, np.zeros(0, np.int64))
            scenario[rows[(day[rows] >= today) & (day[rows] < today + TERMINAL_DAYS)]] = 2
        for card in _drawn(rng, simulation.customers, simulation.cards_a_day):
            rows = by_card.get(card, np.zeros(0, np.int64))
            rows = rows[(day[rows] >= today) & (day[rows] < today + CARD_DAYS)]
            taken = rng.choice(rows, len(rows) // SHARE, replace=False)
            scenario[taken] = 3
            amount[taken] *= FACTOR
    return pd.DataFrame(
        {
            "TRANSACTION_ID": np.arange(len(frame)),
            "TX_DATETIME": pd.Timestamp(simulation.start) + pd.to_timedelta(frame["second"], unit="s"),
            "CUSTOMER_ID": frame["CUSTOMER_ID"],
            "TERMINAL_ID": frame["TERMINAL_ID"],
            "TX_AMOUNT": amount.round(2),
            "TX_FRAUD": (scenario > 0).astype(np.int8),
            "TX_FRAUD_SCENARIO": scenario,
        }
    )


def _genuine(simulation: Simulation, rng: np.random.Generator) -> pd.DataFrame:
    """Returns what customers do of their own accord, customer by customer."""
    homes = rng.uniform(0, 100, (simulation.customers, 2))
    shops = rng.uniform(0, 100, (simulation.terminals, 2))
    mean, often = rng.uniform(5, 100, simulation.customers), rng.uniform(0, 4, simulation.customers)
    parts = []
    for customer in range(simulation.customers):
        near = np.flatnonzero(np.hypot(*(shops - homes[customer]).T) < simulation.radius)
        if not len(near):
            continue
        day = np.repeat(np.arange(simulation.days), rng.poisson(often[customer], simulation.days))
        time = rng.normal(DAY / 2, 20_000, len(day)).astype(np.int64)
        within = (time > 0) & (time < DAY)
        day, time = day[within], time[within]
        amount = rng.normal(mean[customer], mean[customer] / 2, len(day))
        amount = np.where(amount < 0, rng.uniform(0, 2 * mean[customer], len(day)), amount).round(2)
        parts.append((np.full(len(day), customer), rng.choice(near, len(day)), day * DAY + time, amount))
    columns = zip(*parts, strict=True)
    names = ("CUSTOMER_ID", "TERMINAL_ID", "second", "TX_AMOUNT")
    return pd.DataFrame({name: np.concatenate(values) for name, values in zip(names, columns, strict=True)})


def _drawn(rng: np.random.Generator, count: int, mean: float) -> np.ndarray:
    """Returns about `mean` different numbers below `count`."""
    return rng.choice(count, int(mean) + (rng.uniform() < mean % 1), replace=False)
