"""Regular expressions that mean the same in Java and RE2, and that Java's backtracking can't run away with.

A pattern is read into sets of code points and written anew for each engine, so nothing of its text is left to an
engine's reading of it. It is refused when a bound of its worst case is more than MAX_STEPS. Quantifiers stand on single
characters only (Java recurses for each repetition of a group, until its stack is full) and are possessive wherever what
follows can't begin with what they repeat: giving characters back would not help there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from keystone_platform.spec.filters.charset import Ranges, merged, without
from keystone_platform.spec.filters.pattern_cost import MAX_TEXT, Paths, cost
from keystone_platform.spec.filters.pattern_tree import Atom, Branch, Group, Items, is_possessive

MAX_STEPS = 10_000_000
"""Characters that a matching may compare in the worst case: about a tenth of a second."""

MAX_CHARACTERS = 500
MAX_DEPTH = 8
"""Groups within groups."""
MAX_REPEAT = 100
"""The largest number in braces."""

_DIGITS: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

_BRACES = re.compile(r"\{([0-9]{1,4})(,([0-9]{1,4})?)?\}", re.ASCII)


class BadPattern(Exception):
    """A pattern is not of the subset.

    Attributes:
        what: what is wrong.
        mend: what to write instead.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


@dataclass(frozen=True)
class Pattern:
    """A regular expression in the syntax of each engine.

    Attributes:
        steps: characters that a matching may compare in the worst case.
    """

    text: str
    java: str
    re2: str
    steps: int


def pattern(text: str) -> Pattern:
    """Read a pattern.

    Raises:
        BadPattern: it is not of the subset, or could take too long.
    """
    if len(text) > MAX_CHARACTERS:
        what = f"a pattern of {len(text)} characters, more than {MAX_CHARACTERS}"
        raise BadPattern(what, "Use several, joined by `or`.")
    branches = _Reader(text).branches()
    steps = sum((1 if each.from_start else MAX_TEXT) * (cost(each.items, (), Paths())[0] + 1) for each in branches)
    if steps > MAX_STEPS:
        what = "a pattern that may take too long: too many repetitions that can share out the same characters"
        raise BadPattern(
            what, "Begin it with ^, repeat narrower sets ([^/]* for .*), or use `like`, which has no bound."
        )
    java, re2 = ("|".join(_written(each, possessive=flag) for each in branches) for flag in (True, False))
    return Pattern(text, f"(?:{java})", f"(?:{re2})", steps)


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def branches(self) -> tuple[Branch, ...]:
        found = [self._branch()]
        while self._take("|"):
            found.append(self._branch())
        if self._at < len(self._text):
            self._wrong("a parenthesis that was never opened", r"Write \) for the character.")
        return tuple(found)

    def _branch(self) -> Branch:
        from_start = self._take("^")
        items = self._sequence(0)
        return Branch(items, from_start, self._take("$"))

    def _sequence(self, depth: int) -> Items:
        items: list[Atom | Group] = []
        while self._at < len(self._text) and self._peek() not in "|)$":
            items.append(self._quantified(self._item(depth)))
        if self._peek() == "$" and (depth or self._peek(1) not in "|"):
            self._wrong("`$` before the end", r"It stands last, outside of parentheses; \$ is the character.")
        return tuple(items)

    def _item(self, depth: int) -> Atom | Group:
        character = self._next()
        match character:
            case "(":
                return self._group(depth + 1)
            case "[":
                return Atom(self._class())
            case ".":
                return Atom(without(((0x0A, 0x0A),)))
            case "\\":
                return Atom(self._escaped())
            case "^":
                self._at -= 1
                self._wrong("`^` after the start", r"It stands first, outside of parentheses; \^ is the character.")
            case "*" | "+" | "?" | "{":
                self._at -= 1
                self._wrong(f"`{character}` repeats nothing", rf"Write \{character} for the character.")
        return Atom(((ord(character), ord(character)),))

    def _group(self, depth: int) -> Group:
        if depth > MAX_DEPTH:
            self._wrong(f"parentheses nested more than {MAX_DEPTH} deep", "Write it flatter.")
        if self._peek() == "?" and not (self._take("?") and self._take(":")):
            self._wrong("`(?`", "Look-around, flags and named groups are not supported; (…) and (?:…) are.")
        branches = [self._sequence(depth)]
        while self._take("|"):
            branches.append(self._sequence(depth))
        if not self._take(")"):
            self._wrong("a parenthesis that is not closed", r"Write \( for the character.")
        return Group(tuple(branches))

    def _quantified(self, item: Atom | Group) -> Atom | Group:
        if self._peek() not in "*+?{" or not self._peek():
            return item
        least, most = self._quantifier()
        if self._peek() == "+":
            self._wrong("a possessive quantifier", "Leave the second `+` out.")
        self._take("?")  # a lazy quantifier: what it would match differs, whether there is a match does not
        if self._peek() and self._peek() in "*+?{":
            self._wrong("a quantifier after a quantifier", "Write one of them.")
        if isinstance(item, Atom):
            return Atom(item.allowed, least, most)
        if (least, most) != (0, 1):
            self._wrong(
                "a repeated group", "Only single characters and sets like [a-z] repeat; a group may be optional: (…)?."
            )
        return Group(item.branches, optional=True)

    def _quantifier(self) -> tuple[int, int | None]:
        character = self._next()
        if character != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
        braces = _BRACES.match(self._text, self._at - 1)
        if braces is None:
            self._wrong("`{` that begins no number of repetitions", r"Write {2}, {2,5} or {2,}; \{ is the character.")
        self._at = braces.end()
        least = int(braces[1])
        most = None if braces[2] == "," else int(braces[3] or braces[1])
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            self._wrong(f"`{braces[0]}`", f"Write the smaller number first, {MAX_REPEAT} at most.")
        return least, most

    def _escaped(self) -> Ranges:
        character = self._next()
        if character.lower() in _CLASSES:
            known = _CLASSES[character.lower()]
            return known if character.islower() else without(known)
        if character in _CONTROLS:
            return ((ord(_CONTROLS[character]),) * 2,)
        if not character or character.isalnum():
            self._wrong(f"`\\{character}`", r"Supported are \d \w \s \D \W \S \t \n \r \f, and a \ before signs.")
        return ((ord(character), ord(character)),)

    def _class(self) -> Ranges:
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        while self._peek() != "]" or not found:
            low = self._member()
            if self._peek() == "-" and self._peek(1) != "]":
                self._at += 1
                high = self._member()
                if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] < low[0][0]:
                    self._wrong("a range that is none", r"Write [a-z]; \- is the character.")
                low = ((low[0][0], high[0][1]),)
            found += low
        self._at += 1
        allowed = without(merged(found)) if negated else merged(found)
        if not allowed:
            self._wrong("brackets that no character fits", "Leave something in.")
        return allowed

    def _member(self) -> Ranges:
        character = self._next()
        if character == "":
            self._wrong("a bracket that is not closed", r"Write \[ for the character.")
        if character == "[":
            self._wrong("`[` within brackets", r"Write \[ for the character; [:alpha:] and the like are not supported.")
        return self._escaped() if character == "\\" else ((ord(character), ord(character)),)

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def _take(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _wrong(self, what: str, mend: str) -> NoReturn:
        place = f"character {self._at + 1} of the pattern: {what}"
        raise BadPattern(place, mend)


def _written(branch: Branch, *, possessive: bool) -> str:
    start, end = r"\A" if branch.from_start else "", r"\z" if branch.to_end else ""
    return f"{start}{_sequence_text(branch.items, (), possessive=possessive)}{end}"


def _sequence_text(items: Items, rest: Sequence[Atom | Group], *, possessive: bool) -> str:
    written = []
    for index, item in enumerate(items):
        following = (*items[index + 1 :], *rest)
        if isinstance(item, Atom):
            sign = "+" if possessive and is_possessive(item, following) else ""
            written.append(f"{_set_text(item.allowed)}{_quantifier_text(item)}{sign}")
        else:
            branches = "|".join(_sequence_text(each, following, possessive=possessive) for each in item.branches)
            written.append(f"(?:{branches}){'?' if item.optional else ''}")
    return "".join(written)


def _set_text(allowed: Ranges) -> str:
    if len(allowed) == 1 and allowed[0][0] == allowed[0][1]:
        return _character_text(allowed[0][0])
    inner = "".join(
        _character_text(low) if low == high else f"{_character_text(low)}-{_character_text(high)}"
        for low, high in allowed
    )
    return f"[{inner}]"


def _character_text(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:X}}}"


def _quantifier_text(atom: Atom) -> str:
    if (atom.least, atom.most) == (1, 1):
        return ""
    simple = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((atom.least, atom.most))
    if simple:
        return simple
    return (
        f"{{{atom.least}}}" if atom.least == atom.most else f"{{{atom.least},{'' if atom.most is None else atom.most}}}"
    )
