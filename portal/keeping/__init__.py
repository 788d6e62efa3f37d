"""Keeping: what is kept how long, and what happens to it after that.

One table of data says it (portal/keeping/table.py): every table of the database stands there, with
the columns that speak of a person. `portal sweep` goes through it, some rows at a time. What a
verification rests on, what a page still shows and the journal are never touched.
"""

from portal.keeping.erasing import erase
from portal.keeping.sweeping import Key, find, remove
from portal.keeping.table import KEEPING, Line

__all__ = ["KEEPING", "Key", "Line", "erase", "find", "remove"]
