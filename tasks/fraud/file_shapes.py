"""Files of transactions with lines above the header and below the last transaction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from shared.data.numbers import clean_cells
from shared.data.tables import read_all

MAX_FOOTER_ROWS = 10


def read_flat(source: str, headerless: bool) -> pd.DataFrame:
    """Reads a file of transactions without the lines above its header.

    Args:
        source: path of the file.
        headerless: True if the user names the columns by their positions.

    Raises:
        DataError: the file cannot be read.
    """
    return read_all(source, headerless, skips_titles=not headerless)


def drop_footer(frame: pd.DataFrame, names: Sequence[str], source: str) -> pd.DataFrame:
    """Returns a table without the rows at its end that are no transactions, such as a total, with a notice that quotes them.

    A row at the end is no transaction if it has at most half of the columns that a transaction needs, and lacks two of them.

    Args:
        frame: table of the file.
        names: columns that a transaction needs.
        source: file, for the notice.
    """
    tail = frame.tail(MAX_FOOTER_ROWS)
    filled = sum(clean_cells(tail[name]).ne("").to_numpy().astype(int) for name in names)
    is_footer = (2 * filled <= len(names)) & (filled < len(names) - 1)
    count = int(np.argmin(np.append(is_footer[::-1], False)))
    if count in (0, len(frame)):
        return frame
    cells = frame.tail(count).apply(clean_cells).to_numpy().ravel()
    quoted = next((f', from "{cell[:60]}"' for cell in cells if cell), "; they are empty")
    add_notice(f"{source}: dropped rows at the end that are no transactions: {count}{quoted}.")
    return frame.iloc[: len(frame) - count]
