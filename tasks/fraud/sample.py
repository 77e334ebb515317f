"""A simulator of card transactions with three kinds of fraud, after the description in the Fraud Detection Handbook.

Implemented from Le Borgne, Siblini, Lebichot & Bontempi (2022), chapter 3, "Transaction data simulator". Customers and terminals have
random positions in a square of side 100. A customer pays at near terminals, a Poisson number of times per day, around noon, with amounts
around a mean of the customer. The frauds are

1. every amount above 220;
2. some terminals are compromised each day: for 28 days, every transaction there is fraud;
3. some cards are compromised each day: for 14 days, a third of their transactions is fraud, with amounts five times as high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DAY = 86_400
MAX_GENUINE_AMOUNT = 220.0
COMPROMISED_TERMINAL_DAYS, COMPROMISED_CARD_DAYS = 28, 14
FRAUD_INTERVAL, AMOUNT_FACTOR = 3, 5.0  # one of three transactions of a compromised card


@dataclass(frozen=True)
class Simulation:
    """Size of the simulation; the defaults are those of the Handbook."""

    customers: int = 5000
    terminals: int = 10_000
    days: int = 183
    radius: float = 5.0
    """Maximum distance between a customer and its terminals."""
    terminals_per_day: float = 2.0
    """Terminals compromised per day; a fraction is the probability of one more."""
    cards_per_day: float = 3.0
    """Cards compromised per day."""
    start: str = "2018-04-01"


SAMPLE = Simulation(customers=300, terminals=300, days=75, radius=10.0, terminals_per_day=0.15, cards_per_day=0.3)


def generate(simulation: Simulation, seed: int) -> pd.DataFrame:
    """Returns transactions in time order.

    Columns: `TRANSACTION_ID`, `TX_DATETIME`, `CUSTOMER_ID`, `TERMINAL_ID`, `TX_AMOUNT`, `TX_FRAUD` and
    `TX_FRAUD_SCENARIO` (0 to 3; it explains the label and is never an input).
    """
    rng = np.random.default_rng(seed)
    frame = _simulate_genuine(simulation, rng)
    frame = frame.sort_values("second", kind="stable", ignore_index=True)
    day = frame["second"].to_numpy() // DAY
    amount, scenario = frame["TX_AMOUNT"].to_numpy().copy(), np.zeros(len(frame), np.int8)
    scenario[amount > MAX_GENUINE_AMOUNT] = 1
    by_terminal, by_card = (frame.groupby(name).indices for name in ("TERMINAL_ID", "CUSTOMER_ID"))
    for today in range(simulation.days):
        for terminal in _draw(rng, simulation.terminals, simulation.terminals_per_day):
            rows = by_terminal.get(terminal, np.zeros(0, np.int64))
            scenario[rows[(day[rows] >= today) & (day[rows] < today + COMPROMISED_TERMINAL_DAYS)]] = 2
        for card in _draw(rng, simulation.customers, simulation.cards_per_day):
            rows = by_card.get(card, np.zeros(0, np.int64))
            rows = rows[(day[rows] >= today) & (day[rows] < today + COMPROMISED_CARD_DAYS)]
            frauds = rng.choice(rows, len(rows) // FRAUD_INTERVAL, replace=False)
            scenario[frauds] = 3
            amount[frauds] *= AMOUNT_FACTOR
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


def _simulate_genuine(simulation: Simulation, rng: np.random.Generator) -> pd.DataFrame:
    """Returns the genuine transactions, one customer after the other."""
    homes = rng.uniform(0, 100, (simulation.customers, 2))
    shops = rng.uniform(0, 100, (simulation.terminals, 2))
    mean, frequency = rng.uniform(5, 100, simulation.customers), rng.uniform(0, 4, simulation.customers)
    parts = []
    for customer in range(simulation.customers):
        near = np.flatnonzero(np.hypot(*(shops - homes[customer]).T) < simulation.radius)
        if not len(near):
            continue
        day = np.repeat(np.arange(simulation.days), rng.poisson(frequency[customer], simulation.days))
        time = rng.normal(DAY / 2, 20_000, len(day)).astype(np.int64)
        within = (time > 0) & (time < DAY)
        day, time = day[within], time[within]
        amount = rng.normal(mean[customer], mean[customer] / 2, len(day))
        amount = np.where(amount < 0, rng.uniform(0, 2 * mean[customer], len(day)), amount).round(2)
        parts.append((np.full(len(day), customer), rng.choice(near, len(day)), day * DAY + time, amount))
    columns = zip(*parts, strict=True)
    names = ("CUSTOMER_ID", "TERMINAL_ID", "second", "TX_AMOUNT")
    return pd.DataFrame({name: np.concatenate(values) for name, values in zip(names, columns, strict=True)})


def _draw(rng: np.random.Generator, count: int, mean: float) -> np.ndarray:
    """Returns random distinct integers below `count`, on average `mean` of them."""
    return rng.choice(count, int(mean) + (rng.uniform() < mean % 1), replace=False)
