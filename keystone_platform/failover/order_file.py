"""The file of orders as `keystone failover` writes it."""

from __future__ import annotations

import os
from pathlib import Path

from keystone_platform.errors import InvalidSpec
from keystone_platform.producer.orders import BadOrder, Orders


def known_in(file: Path) -> Orders:
    """Return the orders in the file; none where it is not there.

    Raises:
        InvalidSpec: it can't be read, or is no file of orders.
    """
    try:
        return Orders.read(file.read_bytes())
    except FileNotFoundError:
        return Orders()
    except OSError as error:
        what = f"can't be read: {error.strerror}"
    except BadOrder as error:
        what = f"is no file of orders: {error}"
    raise InvalidSpec(what, file=str(file), mend="Name another file, or remove this one.")


def write_orders(file: Path, orders: Orders) -> None:
    """Write the file, whole or not at all; InvalidSpec if that can't be."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        fresh.write_text(orders.text(), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        what = f"can't be written: {error.strerror}"
        raise InvalidSpec(what, file=str(file), mend="Name a file in a folder that is there.") from error
