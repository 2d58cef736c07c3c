"""A filter's text beside what sqlglot made of it: the places of nodes, and what they may hold."""

from __future__ import annotations

from typing import NoReturn

from sqlglot import exp

from keystone_platform.spec.filters.text import LANGUAGE, wrong

MAX_SHOWN = 60
"""Characters of the text that an error quotes."""

_HARMLESS_ARGUMENTS = {"quoted", "is_string", "_type"}
"""What sqlglot notes on nodes beside their operands; anything else that is set changes the meaning."""


class Source:
    """The text that nodes come from."""

    def __init__(self, text: str) -> None:
        self.text = text

    def only(self, node: exp.Expr, key: str) -> exp.Expr:
        """Return the node's one operand, which has to be all that it holds."""
        self.check_arguments(node, key)
        found = node.args[key]
        if not isinstance(found, exp.Expr):
            self.wrong(node, f"{self.shown(node)} is not part of the filter language", LANGUAGE)
        return found

    def check_arguments(self, node: exp.Expr, *known: str) -> None:
        """Refuse the node if it holds anything beside the known arguments."""
        for key, value in node.args.items():
            if value and key not in known and key not in _HARMLESS_ARGUMENTS:
                self.wrong(node, f"{self.shown(node)} is not part of the filter language", LANGUAGE)

    def shown(self, node: exp.Expr) -> str:
        """Quote the node as the user wrote it."""
        places = [each.meta for each in node.walk() if "start" in each.meta]
        text = node.key
        if places:
            start, end = min(place["start"] for place in places), max(place["end"] for place in places) + 1
            text = self.text[start:end]
            text += ")" * (text.count("(") - text.count(")"))
        return f"`{text}`" if len(text) <= MAX_SHOWN else f"`{text[:MAX_SHOWN]}…`"

    def wrong(self, node: exp.Expr, what: str, mend: str) -> NoReturn:
        """Raise InvalidSpec for the node's place, or for what is around it where sqlglot keeps none (`null`)."""
        starts: list[int] = []
        around: exp.Expr | None = node
        while around is not None and not starts:
            starts = [each.meta["start"] for each in around.walk() if "start" in each.meta]
            around = around.parent
        raise wrong(self.text, min(starts, default=0), what, mend)
