"""Passwords of tests are kept with the least work: the portal's own takes a third of their time.

`tests/test_account.py` has the portal's own, and says what that is.
"""

from __future__ import annotations

from argon2 import PasswordHasher

from portal.account import password

OWN = password._HASHER
password._HASHER = PasswordHasher(
    memory_cost=8, time_cost=1, parallelism=1, hash_len=OWN.hash_len, salt_len=OWN.salt_len
)
