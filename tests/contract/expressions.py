"""Random schemas, events and texts of the filter language, by a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from keystone_platform.spec.types import Array, Field, FieldType, Scalar, Struct

WHOLE = (Scalar.INT, Scalar.BIGINT)
TEXTS = (
    "",
    " ",
    "US",
    "us",
    " us ",
    "tv",
    "é😀x",
    "straße",
    "a\nb",
    "a\\b",
    "\u0000",
    "1",
    "-0",
    "007",
    "1e3",
    "9" * 19,
)
TEXTS += (
    "3.5",
    "+5",
    " 7",
    "true",
    "it's",
    '"*/--;`',
    "\u202eabc",
    "\ud7ff",
    "😀",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "x" * 1200,
)
PATTERNS = (
    "a",
    "^a+b$",
    "(us|tv)",
    "^[a-z]+$",
    ".",
    "[^a-z]",
    r"^\s*\w+\s*$",
    "a.b",
    "^-?[0-9]+$",
    "😀|é",
    "x{3,5}$",
    "(a|aa)+?b",
)
PATTERNS = (*PATTERNS[:-1], "^(aa|a)?a{0,9}b?$", r"^.*b$", r"[\\n;]", "u(s)?", "[a-c😀]x", "^$")
WHOLES = (
    0,
    1,
    -1,
    2,
    5,
    10,
    59,
    1000,
    86_400,
    2**31 - 1,
    -(2**31),
    2**31,
    2**53 + 1,
    10**18,
    9_200_000_000_000_000_000,
)
WHOLES += (2**63 - 1, -(2**63), 4_611_686_018_427_387_904)
FRACTIONS = (
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    0.1,
    0.49999999999999994,
    1e-300,
    5e-324,
    1e15,
    9.2e18,
    9.3e18,
    1e300,
)
FRACTIONS += (-1e300, 1.7976931348623157e308, 4503599627370497.5, 2147483647.5, -2147483648.9, 123.456, 0.005, 1.005)
DAYS = ("1970-01-01", "1969-12-31", "2026-02-28", "2024-02-29", "0001-01-01", "9999-12-31", "1582-10-10", "2026-11-22")
LITERAL_DAYS = tuple(day for day in DAYS if day != "1582-10-10")
CLOCKS = ("00:00:00Z", "23:59:59.999999Z", "12:34:56.123456Z", "00:00:00.000001Z")
NEEDLES = ("", "a", "us", "😀", "s ", "1")
LIKES = ("%", "_", "a%", "%s%", "_😀_", "a_b", "", "%\\%", "us", "% ", "__%")


@dataclass(frozen=True)
class Sample:
    """A schema, events that fit it, and expressions over it."""

    schema: Struct
    events: tuple[str, ...]
    expressions: tuple[str, ...]


def sample(seed: int, *, events: int, expressions: int) -> Sample:
    dice = Random(seed)
    schema = _schema(dice)
    rows = tuple(json.dumps(_object(schema, dice)) for _ in range(events))
    writer = Writer(schema, dice)
    return Sample(schema, rows, tuple(writer.expression() for _ in range(expressions)))


def _schema(dice: Random) -> Struct:
    scalars = [Field(f"{kind}{number}", kind) for kind in Scalar for number in range(dice.randint(1, 2))]
    kinds = [Scalar.STRING, Scalar.INT, Scalar.BIGINT, Scalar.BOOLEAN, Scalar.DATE, Scalar.TIMESTAMP]
    arrays = [Field(f"array_{kind}", Array(kind)) for kind in dice.sample(kinds, 4)]
    inner = Struct(tuple(dice.sample(scalars, 4)))
    outer = Struct((*dice.sample(scalars, 3), Field("end", Scalar.INT), Field("inner", inner)))
    fields = [
        *{field.name: field for field in scalars}.values(),
        *arrays,
        Field("o", outer),
        Field("comment", Scalar.STRING),
    ]
    dice.shuffle(fields)
    return Struct(tuple(fields))


def _object(schema: Struct, dice: Random) -> dict[str, Any]:
    made = {}
    for field in schema.fields:
        fate = dice.random()
        if fate > 0.12:
            made[field.name] = value_of(field.type, dice)
        elif fate > 0.06:
            made[field.name] = None
    return made


def value_of(type_: FieldType, dice: Random) -> Any:
    """Return a value of the type, an odd one as likely as not."""
    if isinstance(type_, Struct):
        return _object(type_, dice)
    if isinstance(type_, Array):
        return [dice.choice([None, value_of(type_.element, dice)]) for _ in range(dice.randrange(4))]
    match type_:
        case Scalar.STRING:
            return dice.choice(TEXTS)
        case Scalar.BOOLEAN:
            return dice.random() < 0.5
        case Scalar.INT:
            return dice.choice([each for each in WHOLES if -(2**31) <= each < 2**31] + [dice.randint(-100, 100)])
        case Scalar.BIGINT:
            return dice.choice([*WHOLES, dice.randint(-100, 100), dice.randint(-(2**63), 2**63 - 1)])
        case Scalar.FLOAT:
            return dice.choice([0.0, -0.0, 0.5, 1.5, -2.25, 16777216.0, 2.0**100, -(2.0**-100)])
        case Scalar.DOUBLE:
            return dice.choice([*FRACTIONS, dice.uniform(-1000, 1000)])
        case Scalar.DATE:
            return dice.choice(DAYS)
        case Scalar.TIMESTAMP:
            return f"{dice.choice(DAYS)}T{dice.choice(CLOCKS)}"


class Writer:
    """Writes texts of the language over a schema's fields."""

    def __init__(self, schema: Struct, dice: Random) -> None:
        self._dice = dice
        self._fields: dict[FieldType, list[str]] = {}
        self._add(schema, "")

    def expression(self) -> str:
        type_ = self._dice.choice([*Scalar, Scalar.BOOLEAN, Scalar.BOOLEAN, Scalar.BIGINT, Scalar.DOUBLE])
        return self.of(Scalar.DOUBLE if type_ is Scalar.FLOAT else type_, self._dice.choice([1, 2, 2, 3, 3, 4]))

    def of(self, type_: Scalar, depth: int) -> str:
        """Return a text of that type; INT and BIGINT are one."""
        if depth <= 0 or self._dice.random() < 0.1:
            return self._leaf(type_)
        makers = {
            Scalar.STRING: self._string,
            Scalar.BOOLEAN: self._boolean,
            Scalar.INT: self._whole,
            Scalar.BIGINT: self._whole,
            Scalar.FLOAT: self._double,
            Scalar.DOUBLE: self._double,
            Scalar.DATE: self._time,
            Scalar.TIMESTAMP: self._time,
        }
        if self._dice.random() < 0.15:
            return self._choice(type_, depth - 1)
        return makers[type_](type_, depth - 1)

    def _add(self, struct: Struct, prefix: str) -> None:
        for field in struct.fields:
            path = f'{prefix}"{field.name}"' if field.name == "end" else f"{prefix}{field.name}"
            if isinstance(field.type, Struct):
                self._add(field.type, f"{path}.")
            else:
                self._fields.setdefault(field.type, []).append(path)

    def _leaf(self, type_: Scalar) -> str:
        if self._dice.random() < 0.75:
            kinds = WHOLE if type_ in WHOLE else (Scalar.FLOAT, Scalar.DOUBLE) if type_ is Scalar.DOUBLE else (type_,)
            return self._dice.choice([name for kind in kinds for name in self._fields.get(kind, [])])
        return self.literal(type_)

    def literal(self, type_: Scalar) -> str:
        match type_:
            case Scalar.STRING:
                return _quoted(self._dice.choice([text for text in TEXTS if "\u0000" not in text]))
            case Scalar.BOOLEAN:
                return self._dice.choice(["true", "false"])
            case Scalar.INT | Scalar.BIGINT:
                return str(self._dice.choice(WHOLES))
            case Scalar.FLOAT | Scalar.DOUBLE:
                return repr(self._dice.choice(FRACTIONS))
            case Scalar.DATE:
                return f"date '{self._dice.choice(LITERAL_DAYS)}'"
            case Scalar.TIMESTAMP:
                return f"timestamp '{self._dice.choice(LITERAL_DAYS)} {self._dice.choice(CLOCKS)}'"

    def _choice(self, type_: Scalar, depth: int) -> str:
        one, other, condition = self.of(type_, depth), self.of(type_, depth), self.of(Scalar.BOOLEAN, depth)
        return self._dice.choice(
            [
                f"coalesce({one}, {other})",
                f"nullif({one}, {other})",
                f"case when {condition} then {one} else {other} end",
                f"case when {condition} then {one} end",
                f"case {one} when {other} then {self.of(type_, depth)} else null end",
            ]
        )

    def _string(self, _type: Scalar, depth: int) -> str:
        text = self.of(Scalar.STRING, depth)
        name = self._dice.choice(["lower", "upper", "trim", "ltrim", "rtrim"])
        return self._dice.choice(
            [
                f"{name}({text})",
                f"{name}({text})",
                f"substring({text}, {self._dice.randint(1, 4)}, {self._dice.randint(0, 3)})",
                f"substring({text}, {self._dice.randint(1, 4)})",
                f"({text} || {self._leaf(Scalar.STRING)})",
                f"concat({text}, '-', {self._leaf(Scalar.STRING)})",
                f"cast({self.of(Scalar.BIGINT, depth)} as string)",
                f"cast({self.of(Scalar.BOOLEAN, depth)} as string)",
                f"cast({self.of(Scalar.DATE, depth)} as string)",
            ]
        )

    def _whole(self, _type: Scalar, depth: int) -> str:
        one, other = self.of(Scalar.BIGINT, depth), self.of(Scalar.BIGINT, depth)
        array = self._dice.choice(
            [name for kind, names in self._fields.items() if isinstance(kind, Array) for name in names]
        )
        number = self._dice.choice([one, self.of(Scalar.DOUBLE, depth), self.of(Scalar.STRING, depth)])
        return self._dice.choice(
            [
                f"({one} {self._dice.choice('+-*%')} {other})",
                f"({one} {self._dice.choice('+-*%')} {other})",
                f"({one} + {other} - {self.of(Scalar.BIGINT, 0)})",
                f"-({one})",
                f"abs({one})",
                f"round({one})",
                f"length({self.of(Scalar.STRING, depth)})",
                f"length({array})",
                f"cast({number} as {self._dice.choice(['int', 'bigint'])})",
            ]
        )

    def _double(self, _type: Scalar, depth: int) -> str:
        one = self.of(Scalar.DOUBLE, depth)
        other = self.of(self._dice.choice([Scalar.DOUBLE, Scalar.BIGINT]), depth)
        return self._dice.choice(
            [
                f"({one} {self._dice.choice('+-*/')} {other})",
                f"({other} {self._dice.choice('+-*/')} {one})",
                f"({self.of(Scalar.BIGINT, depth)} / {self.of(Scalar.BIGINT, depth)})",
                f"{self._dice.choice(['floor', 'ceil', 'round', 'abs', '-'])}({one})",
                f"round({one}, {self._dice.randint(0, 6)})",
                f"cast({self.of(self._dice.choice([Scalar.STRING, Scalar.BIGINT]), depth)} as double)",
            ]
        )

    def _time(self, type_: Scalar, depth: int) -> str:
        time = self.of(type_, depth)
        units = ["day", "week"] if type_ is Scalar.DATE else ["second", "minute", "hour", "day", "week"]
        amount = self._dice.choice([1, -1, 7, 90, 400, 100_000])
        moved = f"({time} {self._dice.choice('+-')} interval '{amount}' {self._dice.choice(units)})"
        other = Scalar.TIMESTAMP if type_ is Scalar.DATE else Scalar.DATE
        return self._dice.choice([moved, moved, f"cast({self.of(other, depth)} as {type_})"])

    def _boolean(self, _type: Scalar, depth: int) -> str:
        one, other = self.of(Scalar.BOOLEAN, depth), self.of(Scalar.BOOLEAN, depth)
        text = self.of(Scalar.STRING, depth)
        return self._dice.choice(
            [
                f"({one} and {other})",
                f"({one} or {other})",
                f"(not {one})",
                self._comparison(depth),
                self._comparison(depth),
                self._comparison(depth),
                f"({self.of(self._dice.choice(list(Scalar)), depth)} is null)",
                f"({text} like {_quoted(self._dice.choice(LIKES))})",
                f"{self._dice.choice(['starts_with', 'ends_with'])}({text}, {self.of(Scalar.STRING, depth)})",
                f"contains({text}, {_quoted(self._dice.choice(NEEDLES))})",
                f"regexp_like({text}, {_quoted(self._dice.choice(PATTERNS))})",
                self._contains(depth),
                f"({self.of(Scalar.TIMESTAMP, depth)} - {self.of(Scalar.TIMESTAMP, depth)} > interval '5' day)",
            ]
        )

    def _comparison(self, depth: int) -> str:
        type_ = self._dice.choice(list(Scalar))
        one = self.of(type_, depth)
        values = ", ".join(self.literal(type_) for _ in range(3))
        if type_ in (Scalar.STRING, Scalar.BOOLEAN) or self._dice.random() < 0.3:
            listed = f"({one} {self._dice.choice(['in', 'not in'])} ({values}))"
            return self._dice.choice([f"({one} {self._dice.choice(['=', '<>'])} {self.of(type_, depth)})", listed])
        operator = self._dice.choice(["=", "<>", "<", "<=", ">", ">="])
        between = f"({one} between {self.literal(type_)} and {self._leaf(type_)})"
        return self._dice.choice([f"({one} {operator} {self.of(type_, depth)})", between])

    def _contains(self, depth: int) -> str:
        kind = self._dice.choice([kind for kind in self._fields if isinstance(kind, Array)])
        assert isinstance(kind, Array)
        small = str(self._dice.choice([0, 1, -1, 5]))
        value = small if kind.element is Scalar.INT else self.of(kind.element, depth)
        return f"contains({self._dice.choice(self._fields[kind])}, {value})"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
