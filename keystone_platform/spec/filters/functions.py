"""The closed list of functions: what each takes and what it gives. Only what stands here can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from keystone_platform.spec.filters.arithmetic import MAX_DECIMALS, rounded
from keystone_platform.spec.filters.pattern import BadPattern, pattern
from keystone_platform.spec.filters.tree import (
    Call,
    Case,
    Comparison,
    Expr,
    Function,
    IsNull,
    Literal,
    Matches,
    Not,
    Operator,
)
from keystone_platform.spec.filters.typing import NUMBERS, WHOLE, Mismatch, met, named, widened
from keystone_platform.spec.types import Array, Scalar

MAX_LENGTH = 2**31 - 1
MAX_NEEDLE = 256
"""Characters of the text that `contains` looks for."""

_CONTAINED = (Scalar.STRING, Scalar.BOOLEAN, *WHOLE, Scalar.DATE, Scalar.TIMESTAMP)
"""Types of elements that `contains` looks for: equality of fractions is no question to ask."""


def call(name: str, arguments: Sequence[Expr]) -> Expr:
    """Return the call of a function of FUNCTIONS.

    Raises:
        Mismatch: the arguments are not what it takes.
    """
    return FUNCTIONS[name](name, arguments)


def _text_to_text(name: str, arguments: Sequence[Expr]) -> Expr:
    (operand,) = _texts(name, arguments, 1)
    return Call(Function(name), (operand,), Scalar.STRING)


def _length(name: str, arguments: Sequence[Expr]) -> Expr:
    if len(arguments) == 1 and isinstance(arguments[0].type, Array):
        return Call(Function.SIZE, tuple(arguments), Scalar.BIGINT)
    return Call(Function.LENGTH, _texts(name, arguments, 1), Scalar.BIGINT)


def _substring(name: str, arguments: Sequence[Expr]) -> Expr:
    places = tuple(arguments[1:])
    numbers = [_whole(place, least, MAX_LENGTH) for place, least in zip(places, (1, 0), strict=False)]
    if not 1 <= len(places) <= 2 or None in numbers:
        message = "substring() takes a text, where to begin (from 1) and how many characters, as plain numbers"
        raise Mismatch(message, "Write substring(name, 1, 3).")
    return Call(Function.SUBSTRING, (*_texts(name, arguments[:1], 1), *places), Scalar.STRING)


def _whole(expr: Expr, least: int, most: int) -> int | None:
    """Return the number of a literal within these bounds; None for anything else."""
    if (
        isinstance(expr, Literal)
        and expr.type is Scalar.INT
        and isinstance(expr.value, int)
        and least <= expr.value <= most
    ):
        return expr.value
    return None


def concat(name: str, arguments: Sequence[Expr]) -> Expr:
    """Return the texts one after the other."""
    texts = _texts(name, arguments, len(arguments))
    return texts[0] if len(texts) == 1 else Call(Function.CONCAT, texts, Scalar.STRING)


def _contains(name: str, arguments: Sequence[Expr]) -> Expr:
    """Look into an array, or for a short text in a text: a long one could take the product of their lengths."""
    if len(arguments) == 2 and isinstance(arguments[0].type, Array):
        return _has(arguments[0], arguments[0].type, arguments[1])
    texts = _texts(name, arguments, 2)
    if not isinstance(texts[1], Literal) or len(str(texts[1].value)) > MAX_NEEDLE:
        message = f"contains() looks for a text in quotes of {MAX_NEEDLE} characters at most"
        raise Mismatch(
            message, "Write contains(url, 'promo'); fields are compared by =, starts_with() and ends_with()."
        )
    return Call(Function.CONTAINS, texts, Scalar.BOOLEAN)


def _edge(name: str, arguments: Sequence[Expr]) -> Expr:
    return Call(Function(name), _texts(name, arguments, 2), Scalar.BOOLEAN)


def _has(array: Expr, type_: Array, value: Expr) -> Expr:
    if type_.element not in _CONTAINED:
        message = f"contains() does not look into an {type_}: fractions are hardly ever equal"
        raise Mismatch(message, "Declare the array as one of texts, whole numbers, booleans or times.")
    if value.type in WHOLE and type_.element is Scalar.BIGINT:
        value = widened(value, Scalar.BIGINT)
    if value.type is not type_.element:
        message = f"an {type_} holds no {named(value.type).split(' ', 1)[1]}"
        raise Mismatch(message, f"Look for {named(type_.element)}.")
    found = Call(Function.HAS, (array, value), Scalar.BOOLEAN)
    if isinstance(value, Literal):
        return found
    return Case(((Not(IsNull(value)), found),), Literal(None, Scalar.BOOLEAN), Scalar.BOOLEAN)


def _regexp_like(name: str, arguments: Sequence[Expr]) -> Expr:
    if len(arguments) != 2 or not isinstance(arguments[1], Literal) or not isinstance(arguments[1].value, str):
        message = "regexp_like() takes a text and a pattern in quotes"
        raise Mismatch(message, "Write regexp_like(path, '^/api/v[0-9]+/').")
    (operand,) = _texts(name, arguments[:1], 1)
    try:
        return Matches(operand, pattern(arguments[1].value))
    except BadPattern as error:
        raise Mismatch(error.what, error.mend) from None


def _abs(name: str, arguments: Sequence[Expr]) -> Expr:
    operand = _number(name, arguments)
    result = Scalar.BIGINT if operand.type in WHOLE else Scalar.FLOAT if operand.type is Scalar.FLOAT else Scalar.DOUBLE
    return Call(Function.ABS, (widened(operand, result),), result)


def _whole_step(name: str, arguments: Sequence[Expr]) -> Expr:
    operand = _number(name, arguments)
    if operand.type in WHOLE:
        return operand
    return Call(Function(name), (widened(operand, Scalar.DOUBLE),), Scalar.DOUBLE)


def _round(name: str, arguments: Sequence[Expr]) -> Expr:
    operand, places = _number(name, arguments[:1]), arguments[1:]
    decimals = [_whole(place, 0, MAX_DECIMALS) for place in places]
    if len(decimals) > 1 or None in decimals:
        message = f"round() takes a number and how many digits after the point to keep, 0 to {MAX_DECIMALS}"
        raise Mismatch(message, "Write round(price, 2).")
    return rounded(operand, decimals[0] if decimals and decimals[0] else 0)


def _coalesce(name: str, arguments: Sequence[Expr]) -> Expr:
    if len(arguments) == 1:
        message = "coalesce() of one value"
        raise Mismatch(message, "Write coalesce(field, 'value if it is null').")
    values, type_ = met(arguments)
    return Call(Function.COALESCE, values, type_)


def _nullif(name: str, arguments: Sequence[Expr]) -> Expr:
    (value, other), type_ = met(arguments)
    return Case(((Comparison(Operator.EQUAL, value, other), Literal(None, type_)),), value, type_)


def _number(name: str, arguments: Sequence[Expr]) -> Expr:
    if len(arguments) != 1 or arguments[0].type not in NUMBERS:
        message = f"{name}() takes a number, and this is {_listed(arguments)}"
        raise Mismatch(message, "Name a number.")
    return arguments[0]


def _texts(name: str, arguments: Sequence[Expr], count: int) -> tuple[Expr, ...]:
    if len(arguments) != count or any(argument.type is not Scalar.STRING for argument in arguments):
        message = f"{name}() takes text{'s' if count > 1 else ''}, and this is {_listed(arguments)}"
        raise Mismatch(message, "Name a string field; numbers become text by cast(… as string).")
    return tuple(arguments)


def _listed(arguments: Sequence[Expr]) -> str:
    return " and ".join(named(argument.type) for argument in arguments) or "nothing"


FUNCTIONS: Mapping[str, Callable[[str, Sequence[Expr]], Expr]] = {
    "abs": _abs,
    "ceil": _whole_step,
    "coalesce": _coalesce,
    "concat": concat,
    "contains": _contains,
    "ends_with": _edge,
    "floor": _whole_step,
    "length": _length,
    "lower": _text_to_text,
    "ltrim": _text_to_text,
    "nullif": _nullif,
    "regexp_like": _regexp_like,
    "round": _round,
    "rtrim": _text_to_text,
    "starts_with": _edge,
    "substring": _substring,
    "trim": _text_to_text,
    "upper": _text_to_text,
}
