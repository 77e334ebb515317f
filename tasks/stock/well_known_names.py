"""Names that exchanges, data vendors and brokers give the columns of prices, in several languages.

Each column has groups of names; a name of an earlier group comes first. All names are in the form of `tasks.stock.column_names._key`: lower
case, without accents, brackets and numbering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ADJUSTED_CLOSE = (
    *("adj close", "adjusted close", "adjclose", "adjusted closing price", "close adjusted", "adj close price"),
    *("bereinigter schlusskurs", "cloture ajustee", "cierre ajustado", "复权收盘价", "調整後終値", "수정종가"),
)
ALIASES: Mapping[str, Sequence[Sequence[str]]] = {
    "time": (
        (
            *("date", "datetime", "date time", "trade date", "trading date", "trading day", "observation date"),
            *("quote date", "day", "dtyyyymmdd"),
        ),
        ("open time", "opentime", "timeopen", "time open"),
        ("time", "timestamp", "snapped at", "gmt time", "local time", "时间"),
        ("unix", "unix time", "unix timestamp", "epoch", "ts", "t"),
        (
            *("datum", "dato", "fecha", "data", "tarih", "дата", "date de cotation"),
            *("日期", "交易日期", "日付", "日付け", "日時", "날짜", "일자"),
        ),
        ("unnamed: 0", "index"),
    ),
    "close": (
        (
            *("close", "close/last", "close price", "closing price", "price close", "closeprice", "trade close"),
            "px last",
        ),
        ("price", "last", "last price", "settle", "settlement price", "latest", "nav", "c"),
        (
            *(
                "schlusskurs",
                "schluss",
                "cloture",
                "clot",
                "prezzo di chiusura",
                "cours de cloture",
                "cierre",
                "chiusura",
                "fechamento",
            ),
            *("zamkniecie", "slotkoers", "slot", "stangningskurs", "stangning", "kapanis", "закрытие"),
            *("收盘", "收盘价", "終値", "종가"),
        ),
        (
            "zuletzt",
            "letzter",
            "dernier",
            "ultimo",
            "ostatnio",
            "laatste",
            "senast",
            "simdi",
            "цена",
            "prezzo",
            "preco",
        ),
        ADJUSTED_CLOSE,
    ),
    "open": (
        ("open", "opening price", "open price", "price open", "opening", "px open"),
        ("first", "o"),
        (
            *("eroffnung", "eroffn", "eroffnungskurs", "erster", "ouv", "ouverture", "apertura", "abertura"),
            *("otwarcie", "oppen", "acilis", "откр", "открытие", "开盘", "开盘价", "始値", "시가"),
        ),
    ),
    "high": (
        ("high", "high price", "price high", "day high", "px high"),
        ("max", "h"),
        (
            *(
                "hoch",
                "tageshoch",
                "hochst",
                "hochstkurs",
                "plus haut",
                "haut",
                "maximo",
                "massimo",
                "maxima",
                "najwyzszy",
            ),
            *("hoog", "hogst", "yuksek", "макс", "максимум", "最高", "最高价", "高値", "고가"),
        ),
    ),
    "low": (
        ("low", "low price", "price low", "day low", "px low"),
        ("min", "l"),
        (
            *("tief", "tagestief", "tiefst", "tiefstkurs", "plus bas", "bas", "minimo", "minima", "najnizszy"),
            *("laag", "lagst", "dusuk", "мин", "минимум", "最低", "最低价", "安値", "저가"),
        ),
    ),
    "volume": (
        ("volume", "vol", "total volume", "trading volume", "shares traded", "no of shares", "volume usd", "px volume"),
        ("tick volume", "tickvol", "ticks", "v", "quantity"),
        ("stuck", "stucke", "stuecke", "umsatz in stucken", "成交量", "出来高", "거래량"),
        ("volumen", "wolumen", "hacim", "объем", "umsatz"),
    ),
    "adjusted_close": (ADJUSTED_CLOSE,),
    "ticker": (
        ("ticker", "symbol", "tic", "ticker symbol", "stock symbol", "stock code", "act symbol", "ts code"),
        ("stock", "name", "instrument", "pair", "asset"),
        ("code", "isin", "wkn", "股票代码", "代码", "銘柄コード", "종목코드"),
    ),
}
DATES = frozenset((*ALIASES["time"][0], *ALIASES["time"][4]))
"""Names of a column with the date, next to which there may be one with the time of day."""
TIMES_OF_DAY = frozenset(("time", "zeit", "uhrzeit", "heure", "hora", "ora", "czas", "tijd", "时间", "時刻", "시간"))
PREFIXES = {"volume": "volume "}
"""Beginnings of names, such as "Volume BTC", if no other name fits; of several such columns, the first one is used."""
