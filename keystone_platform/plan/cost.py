"""What a change of a running router costs, said once at each field of the RouterPlan."""

from __future__ import annotations

from enum import IntEnum


class Cost(IntEnum):
    """Cost of a changed field, cheapest first; of several changes the dearest counts."""

    NOTHING = 0
    """The running router does what the new plan says already."""
    RESCALE = 1
    """Stop with a savepoint, start from it with other subtasks; rows and positions stay exact."""
    RESTART = 2
    """Stop with a savepoint, start the new plan from it; rows and positions stay exact."""
    NEW = 3
    """The savepoint's state belongs to other data, so the new router starts without it: a person has to want that."""
