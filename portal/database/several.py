"""Asking for several rows by their ids, in one statement."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BindParameter, bindparam


def places(count: int) -> list[BindParameter[Any]]:
    """What a statement compares with that asks for so many ids; `Database.all_of` fills them."""
    return [bindparam(_name(place)) for place in range(count)]


def filled(ids: Collection[object]) -> dict[str, object]:
    """The ids by their places, the last one repeated up to a power of two: few statements do."""
    known = list(ids)
    known += known[-1:] * ((1 << (len(known) - 1).bit_length()) - len(known))
    return {_name(place): each for place, each in enumerate(known)}


def _name(place: int) -> str:
    return f"id_{place}"
