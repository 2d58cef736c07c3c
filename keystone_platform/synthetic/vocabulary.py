"""What believable values look like, by the names that fields usually have; by type where the name says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

from keystone_platform.spec.types import Array, Field, Scalar, Struct

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]

_Draw = Callable[[Random], JsonValue]


def _weighted(weights: Mapping[str, int]) -> _Draw:
    names, counts = list(weights), list(weights.values())
    return lambda random: random.choices(names, counts)[0]


def _one_of(values: Sequence[str | float]) -> _Draw:
    return lambda random: random.choice(values)


def _whole(low: int, high: int) -> _Draw:
    return lambda random: random.randint(low, high)


def _long_tailed(median: float) -> _Draw:
    """Durations, sizes, latencies: many small, a few very large."""
    return lambda random: round(random.lognormvariate(math.log(median), 1.1))


def _money(median: float) -> _Draw:
    return lambda random: round(random.lognormvariate(math.log(median), 0.8), 4)


def _hexadecimal(digits: int) -> _Draw:
    return lambda random: f"{random.getrandbits(4 * digits):0{digits}x}"


_ROUTES = ("/home", "/search", "/title/81040344", "/title/70143836", "/profile", "/account/billing")
_MESSAGES = (
    "TypeError: undefined is not an object (evaluating 'e.manifest.tracks')",
    "NetworkError: failed to fetch segment 118 after 3 attempts",
    "DRM: license request refused with status 403",
    "ChunkLoadError: loading chunk 17 failed",
    "QuotaExceededError: the source buffer is full",
    "Timeout: no first frame after 10000 ms",
)

BY_NAME: Mapping[str, _Draw] = {
    "ad_id": _whole(10_000, 19_999),
    "advertiser": _weighted({"acme": 30, "globex": 20, "initech": 15, "umbrella": 10, "hooli": 10, "stark": 5}),
    "app_version": _one_of(("8.41.0", "8.41.1", "8.42.0", "8.43.0-beta2")),
    "auction_id": _hexadecimal(24),
    "bid": _money(2.5),
    "bitrate_kbps": _one_of((235.0, 750.0, 1750.0, 3000.0, 5800.0, 16_000.0)),
    "browser": _weighted({"chrome": 60, "safari": 25, "firefox": 10, "edge": 5}),
    "campaign_id": _whole(500, 799),
    "creative_id": _whole(40_000, 41_500),
    "code": _one_of((1011, 2100, 3016, 4027, 5003, 5010, 7111, 7361, 8156)),
    "country": _weighted({"US": 40, "BR": 15, "IN": 12, "DE": 8, "FR": 8, "JP": 7, "MX": 6, "NG": 4}),
    "duration_ms": _long_tailed(1_500_000),
    "currency": _weighted({"USD": 70, "EUR": 20, "BRL": 10}),
    "error_code": _weighted({"M7111": 40, "N8156": 25, "U7361": 15, "D5002": 10, "F7701": 10}),
    "impression_id": _hexadecimal(24),
    "is_viewable": lambda random: random.random() < 0.7,
    "memory_mb": _one_of((1024, 2048, 3072, 4096, 8192, 12_288)),
    "position": _whole(1, 8),
    "http_status": _one_of((400, 401, 403, 404, 429, 500, 502, 503, 504)),
    "language": _weighted({"en": 50, "pt": 15, "hi": 10, "de": 8, "fr": 8, "ja": 7}),
    "level": _weighted({"debug": 5, "info": 25, "warning": 30, "error": 37, "fatal": 3}),
    "message": _one_of(_MESSAGES),
    "model": _weighted({"AFTKA": 20, "SM-S921B": 25, "iPhone16,2": 30, "QN65Q80C": 15, "CFI-2000": 10}),
    "os": _weighted({"android": 35, "ios": 25, "tizen": 15, "webos": 10, "windows": 15}),
    "page": _one_of(_ROUTES),
    "placement": _weighted({"preroll": 45, "midroll": 35, "banner": 20}),
    "platform": _weighted({"web": 30, "android": 30, "ios": 25, "tv": 15}),
    "price": _money(1.8),
    "price_usd": _money(1.8),
    "session_id": _hexadecimal(16),
    "severity": _weighted({"debug": 5, "info": 25, "warning": 30, "error": 37, "fatal": 3}),
    "status": _weighted({"ok": 92, "failed": 5, "cancelled": 3}),
    "title_id": _whole(70_000_000, 70_002_000),
    "trace_id": _hexadecimal(32),
    "type": _weighted({"tv": 35, "phone": 40, "tablet": 10, "desktop": 15}),
    "url": _one_of(_ROUTES),
    "user_id": _whole(1, 250_000),
    "viewable": lambda random: random.random() < 0.7,
    "bytes": _long_tailed(900_000),
}
"""How a value of that name is drawn; used where its kind fits the declared type."""

BY_SUFFIX: Mapping[str, _Draw] = {
    "_ms": _long_tailed(8_000),
    "_s": _long_tailed(40),
    "_id": _whole(1, 100_000),
    "_bytes": _long_tailed(900_000),
    "_usd": _money(1.8),
    "_micros": _long_tailed(1_800),
    "_version": _one_of(("8.41.0", "8.41.1", "8.42.0")),
}

_BY_TYPE: Mapping[Scalar, _Draw] = {
    Scalar.STRING: _one_of(("amber", "birch", "cedar", "delta", "ember", "fjord")),
    Scalar.BOOLEAN: lambda random: random.random() < 0.5,
    Scalar.INT: _whole(0, 10_000),
    Scalar.BIGINT: _whole(0, 10_000_000),
    Scalar.FLOAT: lambda random: round(random.random() * 100, 3),
    Scalar.DOUBLE: lambda random: round(random.random() * 100, 6),
}

_KINDS: Mapping[Scalar, type] = {
    Scalar.STRING: str,
    Scalar.BOOLEAN: bool,
    Scalar.INT: int,
    Scalar.BIGINT: int,
    Scalar.FLOAT: float,
    Scalar.DOUBLE: float,
}

NULL_SHARE = 0.01
"""Fields that are null or missing: real events have them."""


def draw_struct(struct: Struct, now: datetime, random: Random) -> dict[str, JsonValue]:
    """Return an object of that schema; now and then a field is null or missing. Times are of the half hour before."""
    drawn: dict[str, JsonValue] = {}
    for field in struct.fields:
        fate = random.random()
        if fate >= NULL_SHARE:
            drawn[field.name] = draw_field(field, now, random)
        elif fate >= NULL_SHARE / 2:
            drawn[field.name] = None
    return drawn


def draw_field(field: Field, now: datetime, random: Random) -> JsonValue:
    """Return a value of the field's type."""
    if isinstance(field.type, Struct):
        return draw_struct(field.type, now, random)
    if isinstance(field.type, Array):
        element = Field(field.name, field.type.element)
        return [draw_field(element, now, random) for _ in range(random.randrange(4))]
    if field.type in (Scalar.TIMESTAMP, Scalar.DATE):
        time = now - timedelta(seconds=random.random() * 1800)
        return f"{time:%Y-%m-%dT%H:%M:%S.%fZ}" if field.type is Scalar.TIMESTAMP else f"{time:%Y-%m-%d}"
    suffix = next((draw for end, draw in BY_SUFFIX.items() if field.name.endswith(end)), None)
    for draw in (BY_NAME.get(field.name), suffix):
        value = draw(random) if draw else None
        if type(value) is _KINDS.get(field.type):
            return value
    return _BY_TYPE[field.type](random)


def draw_context(random: Random) -> dict[str, JsonValue]:
    """Return what clients send along whether or not a schema declares it; routers ignore it."""
    return {
        "trace_id": _hexadecimal(32)(random),
        "user_agent": f"Mozilla/5.0 (Linux; Android {random.randint(11, 16)}) Chrome/{random.randint(110, 142)}.0",
        "esn": f"NFANDROID2-PRV-{_hexadecimal(40)(random)}".upper(),
        "network": _weighted({"wifi": 60, "cellular": 30, "ethernet": 10})(random),
        "region": _weighted({"us-east-1": 50, "eu-west-1": 30, "us-west-2": 20})(random),
        "experiments": ",".join(f"{random.randint(10_000, 60_000)}:{random.randint(1, 5)}" for _ in range(12)),
    }
