"""Passwords and backup codes of tests are kept with the least work, which is half of their time.

The portal's own work is done, and said, in tests/test_account.py and tests/test_device.py.
"""

from __future__ import annotations

from argon2 import PasswordHasher

from portal.account import password
from portal.device import backup_codes

OWN = password._HASHER
OWN_MEMORY_KIB = backup_codes.MEMORY_KIB

password._HASHER = PasswordHasher(
    memory_cost=8, time_cost=1, parallelism=1, hash_len=OWN.hash_len, salt_len=OWN.salt_len
)
backup_codes.MEMORY_KIB = 8
