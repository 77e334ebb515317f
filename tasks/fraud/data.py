"""Card transactions from any source, and which of them train, which choose, and which judge."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from shared import sources
from shared.columns import parse_identifiers, parse_numbers, raise_where, raise_where_empty
from shared.errors import DataError
from shared.sources import Origin, Splits
from tasks.fraud import sample
from tasks.fraud.config import FraudConfig, ProtocolConfig
from tasks.fraud.transaction_index import UNKNOWN

DAY = 86_400
OPENML = "openml:"
OFFSET = re.compile(r":\d{2}(?:\.\d+)?\s*(?:Z|[+-]\d{2}(?::?\d{2})?)$")
LATEST = 1e11  # seconds: the year 5138; larger numbers are milliseconds
TRUE, FALSE = ("1", "true", "yes", "fraud"), ("0", "false", "no", "genuine")
SIZED = {  # what trains the exported model stands in the table of the validation split
    "train": ("validation", "learned"),
    "validation": ("validation", "judged"),
    "test": ("test", "judged"),
}
SAMPLE_SEED = 5
FEW = 10
ONE_CARD = "all"


def load(config: FraudConfig) -> Splits:
    """Reads the transactions and lays the protocol over them.

    Returns:
        Splits whose tables hold all rows from the beginning of the data to the split's end, in time order, since a card's
        memory reaches back; columns `card`, `terminal` (where there is one), `time` (int64 seconds since 1970), `amount`,
        further columns, `fraud`, and two booleans: `learned`, the rows that train, and `judged`, the rows that judge.
        Of `train`, a first training span; of `validation`, the days that judge it, and the span that trains the exported
        model; of `test`, the days that judge that.

    Raises:
        DataError: a file cannot be used, a value is missing or of the wrong kind, a column equals the label, the data
            are too short for the protocol, or a span holds no fraud or nothing but fraud.
    """
    for option, value in (("--validation-data", config.validation_data), ("--group-column", config.group_column)):
        if value:
            raise DataError(f"{option} {value}: the fraud task splits by days; see --protocol.first-day. Leave it out.")
    frame, origin = _read_all(config)
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    return _by_days(frame, config, origin)


def read(config: FraudConfig, source: str) -> pd.DataFrame:
    """Reads one file into the columns that `load` describes, in the file's order.

    Times without an offset count as UTC. Identifiers are compared as text, so that 12 in one file is "12" in another.
    Rows of one card at the same second keep the order of the file. Refunds, negative amounts, are welcome.

    Raises:
        DataError: as for `load`.
    """
    columns = config.columns
    try:
        frame = sources.read_table(source, wanted(config))
    except DataError as error:
        if columns.terminal and f'no column "{columns.terminal}"' in str(error):
            raise DataError(f"{error} Without terminals in your data, add --columns.terminal None.") from error
        raise
    return tidy(frame, config, source)


def tidy(frame: pd.DataFrame, config: FraudConfig, source: str, labelled: bool = True) -> pd.DataFrame:
    """Gives the user's columns their names and types here, and refuses what cannot be used (see `read`).

    With `labelled` False the label may be missing, as a cell or as a column, and is -1 there.
    """
    columns, named = config.columns, _named(config)
    tidied = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    for name in ("card", "terminal"):
        if name in named:
            tidied[name] = parse_identifiers(frame[named[name]], source)
        elif name == "card":
            tidied[name] = ONE_CARD
    tidied["time"] = _seconds(frame[columns.time], source, columns.time_format)
    tidied["amount"] = parse_numbers(frame[columns.amount], source, allow_empty=False).astype(np.float32)
    for name in columns.numeric:
        tidied[name] = parse_numbers(frame[name], source, allow_empty=True).astype(np.float32)
    for name in columns.categorical:
        tidied[name] = parse_identifiers(frame[name], source, allow_empty=True)
    if labelled:
        tidied["fraud"] = _labels(frame[columns.label], source)
        return tidied
    labels = frame[columns.label] if columns.label in frame else pd.Series(None, index=frame.index, dtype=object)
    known = labels.notna().to_numpy()
    tidied["fraud"] = np.where(known, _labels(labels.astype(object).where(known, 0), source), UNKNOWN).astype(np.int8)
    return tidied


def wanted(config: FraudConfig) -> list[str]:
    """Returns the names of the columns that a table has to have."""
    return [*_named(config).values(), *config.columns.numeric, *config.columns.categorical]


def compromised(frame: pd.DataFrame, day: np.ndarray, since: int, delay: int) -> np.ndarray:
    """Tells which rows are of cards whose fraud was known by then: one on or after day `since`, older than `delay` days."""
    fraud = (frame["fraud"].to_numpy() == 1) & (day >= since)
    first = pd.Series(day[fraud]).groupby(frame["card"].to_numpy()[fraud]).min()
    known = frame["card"].map(first).to_numpy(np.float64)  # not a number where there is none
    return np.asarray(known <= day - delay - 1)


def _read_all(config: FraudConfig) -> tuple[pd.DataFrame, Origin]:
    source = config.data
    how = _how(config.protocol)
    if source == "sample":
        frame = tidy(sample.generate(sample.SAMPLE, SAMPLE_SEED), config, "sample")
        location, licence, digest = "generated by tasks/fraud/sample.py", "Apache-2.0, as the project", None
        name = "sample"
    elif source.startswith(OPENML):
        frame = tidy(_openml(source.removeprefix(OPENML), config), config, source)
        name, location, licence, digest = source.removeprefix(OPENML), source, "see the data set's page", None
    elif sources.is_path(source):
        paths = [path for path in (source, config.test_data) if path]
        frame = pd.concat([read(config, path) for path in paths], ignore_index=True)
        name = Path(source).expanduser().resolve().parent.name
        location, digest = ", ".join(Path(path).name for path in paths), sources.sha256(*paths)
        licence = sources.USER_FILE_LICENCE
    else:
        tables, info = sources.read_tfds(source, {column: column for column in wanted(config)})
        frame = tidy(pd.concat(tables.values(), ignore_index=True), config, source)
        name, location, digest = info.name, info.full_name, None
        licence = info.redistribution_info.license or "not stated"
    _refuse_leaks(frame, config, source)
    return frame, Origin(name, location, digest or sources.sha256_records(frame), licence, how)


def _openml(name: str, config: FraudConfig) -> pd.DataFrame:
    from sklearn.datasets import fetch_openml

    try:
        frame = fetch_openml(name=name, as_frame=True, parser="auto").frame
    except Exception as error:  # network, cache and parser errors of many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(
            f"{OPENML}{name}: could not be had from OpenML ({reason}). Check the name and the network, or give a file."
        ) from error
    missing = [column for column in wanted(config) if column not in frame.columns]
    if missing:
        listed = ", ".join(frame.columns)
        raise DataError(f'{OPENML}{name}: no column "{missing[0]}". It has {listed}; name yours with --columns.')
    return frame


def _by_days(frame: pd.DataFrame, config: FraudConfig, origin: Origin) -> Splits:
    protocol = config.protocol
    day = frame["time"].to_numpy() // DAY
    start = first_day(protocol, day)
    end = start + protocol.training_days
    test = end + protocol.delay_days
    shift = protocol.delay_days + protocol.test_days
    if start - shift < day.min() or test > day.max():
        first, last = (str(np.datetime64(int(d), "D")) for d in (day.min(), day.max()))
        needed = protocol.training_days + 2 * shift
        raise DataError(
            f"{config.data}: the days {first} to {last} are too few for the protocol, which needs {needed}: training, "
            "delay and test, and a delay and a test before for validation. Choose fewer with --protocol.training-days "
            "and its like, or another --protocol.first-day."
        )
    spans = {  # name: (learned from, learned to, judged from, judged to)
        "train": (start - shift, end - shift, end - shift, end - shift),
        "validation": (start, end, end - protocol.test_days, end),
        "test": (test, test, test, test + protocol.test_days),
    }
    nobody = np.zeros(len(frame), bool)
    known = {
        "train": nobody,
        "validation": compromised(frame, day, start - shift, protocol.delay_days),
        "test": compromised(frame, day, start, protocol.delay_days),
    }
    if config.columns.card is None:  # there are no cards to leave out
        known = dict.fromkeys(spans, nobody)
    splits = {}
    for name, (learn, learned, judge, judged) in spans.items():
        part = frame.assign(
            learned=(day >= learn) & (day < learned), judged=(day >= judge) & (day < judged) & ~known[name]
        )
        splits[name] = part[day < max(learned, judged)]
    _require_both(splits, config)
    sizes = {name: int(splits[of][which].sum()) for name, (of, which) in SIZED.items()}
    shown = {"time": lambda seconds: pd.to_datetime(seconds, unit="s"), "fraud": lambda labels: labels == 1}
    return Splits(**splits, origin=origin, sizes=sizes, display=shown)


def first_day(protocol: ProtocolConfig, day: np.ndarray) -> int:
    """Returns the first day of training, in days since 1970."""
    if protocol.first_day is not None:
        return int(np.datetime64(protocol.first_day, "D").astype(np.int64))
    return int(day.max()) + 1 - protocol.test_days - protocol.delay_days - protocol.training_days


def _require_both(splits: dict[str, pd.DataFrame], config: FraudConfig) -> None:
    for name, column in (("train", "learned"), ("validation", "learned"), ("validation", "judged"), ("test", "judged")):
        labels = splits[name]["fraud"][splits[name][column]]
        if labels.nunique() < 2:
            what = "train" if column == "learned" else "judge"
            kind = "transactions at all" if labels.empty else "fraud" if labels.iloc[0] == 0 else "genuine ones"
            raise DataError(
                f"{config.data}: among the {len(labels)} transactions that {what} in the {name} span there are no "
                f"{kind}; take more days (--protocol.training-days, --protocol.test-days)."
            )


def _named(config: FraudConfig) -> dict[str, str]:
    columns = config.columns
    named = {"card": columns.card, "terminal": columns.terminal, "time": columns.time, "amount": columns.amount}
    named["label"] = columns.label
    return {name: column for name, column in named.items() if column}


def _seconds(values: pd.Series, source: str, form: str | None) -> np.ndarray:
    """Returns seconds since 1970 UTC of dates, of text in a form or in ISO 8601, or of numbers, which are taken for just that."""
    if pd.api.types.is_datetime64_any_dtype(values):
        raise_where_empty(values.isna(), values, source)
        naive = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz is not None else values
        return naive.to_numpy("datetime64[s]").astype(np.int64)
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    raise_where_empty(text == "", values, source)
    seconds = pd.to_numeric(text, errors="coerce")
    if form is None and seconds.notna().all():
        raise_where(
            seconds.abs() > LATEST, values, source, "too large for seconds since 1970. Divide milliseconds by 1000"
        )
        return seconds.to_numpy(np.float64).astype(np.int64)
    with_offset = text.str.contains(OFFSET)
    if form is None and with_offset.any() and not with_offset.all():
        raise_where(~with_offset, values, source, "no time zone, but other rows have one. Give all times a time zone, or none")
    parsed = pd.to_datetime(text, errors="coerce", utc=True, format=form or "ISO8601")
    how = (
        f"expected a time in the format {form}"
        if form
        else "expected a time such as 2018-07-25 13:45:00, or seconds since 1970"
    )
    raise_where(parsed.isna(), values, source, f'{how}. Name the format of your times, for example --columns.time-format "%d/%m/%Y %H:%M"')
    return parsed.dt.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64)


def _labels(values: pd.Series, source: str) -> np.ndarray:
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip().str.lower().str.removesuffix(".0")
    raise_where_empty(text == "", values, source)
    fraud = text.isin(TRUE)
    raise_where(~fraud & ~text.isin(FALSE), values, source, "expected 0 or 1")
    return fraud.to_numpy(np.int8)


def _refuse_leaks(frame: pd.DataFrame, config: FraudConfig, source: str) -> None:
    fraud = frame["fraud"].to_numpy()
    if not FEW <= fraud.sum() < len(fraud):  # of a handful of frauds it may be chance
        return
    for name in (*config.columns.numeric, *config.columns.categorical):
        codes, unique = pd.factorize(frame[name], use_na_sentinel=False)
        frauds, rows = np.bincount(codes, fraud), np.bincount(codes)
        if len(unique) <= FEW and ((frauds == 0) | (frauds == rows)).all():
            raise DataError(f'{source}: column "{name}" says nothing but the label. It leaks the answer: leave it out.')


def _how(protocol: ProtocolConfig) -> str:
    start = f"training from {protocol.first_day}" if protocol.first_day else "the last days test"
    return (
        f"{start}: {protocol.training_days} days of training, {protocol.delay_days} of delay, "
        f"{protocol.test_days} of test; cards known to be compromised are left out of the test days"
    )
