"""Backup codes: what is typed where the device is lost.

A set of ten is shown once and opens nothing until one of its codes was typed back; then it is the
account's set, and the older one is dropped. A spent code is replaced on the spot, so that a set
always has ten; how many are left says how many of them the person wrote down.

At rest a code is Argon2id of an HMAC: who has the database has to guess 80 bits, and cannot begin
without the data keys. Every number here is from product.md, «Numbers».
"""

import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from argon2.low_level import Type, hash_secret_raw
from sqlalchemy import and_, bindparam, func, insert, select, update

from portal import clock, config, journal, keys, limits, proofs
from portal.account import Account
from portal.database import db
from portal.device.tables import backup_codes, code_sets
from portal.limits import Limit

CODES = 10
SIGNS = 16
GROUP = 4
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: five bits a sign
FEW = 3  # so many left call for a new set
OFTEN = (Limit(10, timedelta(hours=1)),)  # new sets of an account: each is ten hashes

PASSES, MEMORY_KIB, LANES, SEAL_BYTES = 2, 19 * 1024, 1, 32
SALT_BYTES = 16
NO_SALT = bytes(SALT_BYTES)  # for work that is done only to take its time

CODE = re.compile(f"[{ALPHABET}]{{{SIGNS}}}")
# After upper(): Crockford's own, then Cyrillic letters that look like ours. Our alphabet has no U.
LOOK_ALIKES = str.maketrans("OILUОІЗАВЕКМНРСТУХ", "011V013ABEKMHPCTYX")
MINUSES = {"\N{MINUS SIGN}", "\N{HYPHEN BULLET}"}  # not among the dashes of Unicode

_THE_SET = and_(
    code_sets.c.account_id == bindparam("account"),
    code_sets.c.dropped_at.is_(None),
    select(backup_codes.c.id)
    .where(backup_codes.c.set_id == code_sets.c.id, backup_codes.c.kept_at.is_not(None))
    .correlate(code_sets)
    .exists(),
)
_UNSPENT = (
    select(code_sets.c.id.label("set_id"), code_sets.c.salt, backup_codes.c.id, backup_codes.c.seal)
    .join(backup_codes, backup_codes.c.set_id == code_sets.c.id)
    .where(_THE_SET, backup_codes.c.used_at.is_(None))
)
_OFFERED = (
    select(code_sets.c.salt, backup_codes.c.seal, backup_codes.c.kept_at)
    .join(backup_codes, backup_codes.c.set_id == code_sets.c.id)
    .where(
        code_sets.c.id == bindparam("of"),
        code_sets.c.account_id == bindparam("account"),
        code_sets.c.dropped_at.is_(None),
    )
)
_LEFT = select(
    code_sets.c.made_at,
    select(func.count())
    .where(
        backup_codes.c.set_id == code_sets.c.id,
        backup_codes.c.used_at.is_(None),
        backup_codes.c.kept_at.is_not(None),
    )
    .correlate(code_sets)
    .scalar_subquery()
    .label("count"),
).where(_THE_SET)
_ADD_SET = insert(code_sets)
_ADD_CODE = insert(backup_codes)
_KEEP_SET = (
    update(backup_codes)
    .where(backup_codes.c.set_id == bindparam("of"))
    .values(kept_at=bindparam("now"))
)
_DROP_OTHERS = (
    update(code_sets)
    .where(
        code_sets.c.account_id == bindparam("account"),
        code_sets.c.id != bindparam("of"),
        code_sets.c.dropped_at.is_(None),
    )
    .values(dropped_at=bindparam("now"))
)
_TAKE = (
    update(backup_codes)
    .where(
        backup_codes.c.id == bindparam("of"),
        backup_codes.c.used_at.is_(None),
        backup_codes.c.set_id.in_(select(code_sets.c.id).where(code_sets.c.dropped_at.is_(None))),
    )
    .values(used_at=bindparam("now"))
)
_NEWEST = (
    select(func.max(backup_codes.c.id))
    .join(code_sets, code_sets.c.id == backup_codes.c.set_id)
    .where(_THE_SET)
    .scalar_subquery()
)
_KEEP_NEWEST = (
    update(backup_codes)
    .where(backup_codes.c.id == _NEWEST, backup_codes.c.kept_at.is_(None))
    .values(kept_at=bindparam("now"))
)


class NewCodes(NamedTuple):
    """A set that is offered, as it is shown the only time."""

    set_id: str
    codes: list[str]


@dataclass(frozen=True, slots=True)
class Left:
    """How many codes of the set the person has, and since when the set is made; None: no set."""

    count: int
    made_at: datetime | None

    @property
    def are_few(self) -> bool:
        return self.count <= FEW


def may_make_codes_at(account: Account) -> datetime | None:
    """When the next new codes may be asked for; None: now."""
    return limits.free_at(_use(account), OFTEN)


def make_codes(account: Account) -> NewCodes:
    """Offer ten new codes. They open nothing, and older ones do, until `prove_codes`."""
    limits.use(_use(account))
    codes = [_new_code() for _ in range(CODES)]
    set_id, salt, now = proofs.new_public_id(), secrets.token_bytes(SALT_BYTES), clock.now()
    db.execute(_ADD_SET, {"id": set_id, "account_id": account.id, "salt": salt, "made_at": now})
    for code in codes:
        _add(set_id, salt, code)
    return NewCodes(set_id, [_shown(code) for code in codes])


def _use(account: Account) -> str:
    return f"new codes of {account.id}"


def prove_codes(account: Account, set_id: str, typed: str, address: object) -> bool:
    """Make an offered set the account's, if what was typed is one of its codes; none is spent.

    Proving a set twice is no error.
    """
    offered = db.all(_OFFERED, of=set_id, account=account.id)
    if _found(typed, offered) is None:
        return False
    if any(row.kept_at for row in offered):
        return True
    now = clock.now()
    db.execute(_KEEP_SET, {"of": set_id, "now": now})
    db.execute(_DROP_OTHERS, {"of": set_id, "account": account.id, "now": now})
    journal.record(account.chain, "codes.made", account.id, address, set=set_id)
    return True


def take_code(account: Account, typed: str, address: object) -> str | None:
    """Spend a code; returns the one that replaces it, to be shown at once, or None if it is wrong.

    The new one works from now on, and is counted among those left after `keep_replacement`.
    """
    code = _found(typed, db.all(_UNSPENT, account=account.id))
    if code is None or not db.changed(_TAKE, of=code.id, now=clock.now()):
        return None
    replacement = _new_code()
    _add(code.set_id, code.salt, replacement)
    journal.record(account.chain, "code.used", account.id, address, set=code.set_id)
    return _shown(replacement)


def keep_replacement(account_id: str) -> None:
    """Note that the person wrote down the code that replaced the one spent last."""
    db.execute(_KEEP_NEWEST, {"account": account_id, "now": clock.now()})


def codes_left(account_id: str) -> Left:
    """How many codes the person has: unspent, and known to be written down."""
    row = db.one(_LEFT, account=account_id)
    return Left(row.count, row.made_at) if row else Left(0, None)


def code_in(typed: str) -> str | None:
    """The code that a person typed, in its one spelling, or None for what has no form of a code.

    Forgiven are case, blanks, all kinds of hyphens, and signs that look like those of a code.
    """
    if len(typed) > proofs.LONGEST_TYPED:
        return None
    code = one_spelling(typed)
    return code if CODE.fullmatch(code) else None


def one_spelling(typed: str) -> str:
    """What was typed, in the signs of a code, without what may stand between them."""
    return "".join(sign for sign in typed.upper() if not _is_between(sign)).translate(LOOK_ALIKES)


def _is_between(sign: str) -> bool:
    """Blanks, dashes, and what cannot be seen, such as a soft hyphen."""
    return sign.isspace() or unicodedata.category(sign) in {"Pd", "Cf"} or sign in MINUSES


def _new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(SIGNS))


def _shown(code: str) -> str:
    return "-".join(code[start : start + GROUP] for start in range(0, SIGNS, GROUP))


def _add(set_id: str, salt: bytes, code: str) -> None:
    seal = _seal(config.settings.data_keys[0], salt, code)
    db.execute(_ADD_CODE, {"set_id": set_id, "seal": seal, "made_at": clock.now()})


def _found(typed: str, codes: list[Any]) -> Any:
    """The row among codes of one set that was typed, or None.

    Takes as long for what has no form of a code, and for who has no codes.
    """
    code = code_in(typed)
    salt = codes[0].salt if codes else NO_SALT
    seals = [_seal(key, salt, code or "") for key in config.settings.data_keys]
    matching = [row for row in codes for seal in seals if hmac.compare_digest(seal, row.seal)]
    return matching[0] if code and matching else None


def _seal(key: bytes, salt: bytes, code: str) -> bytes:
    peppered = hmac.digest(keys.derive(key, "backup codes"), code.encode(), "sha256")
    return hash_secret_raw(
        peppered,
        salt,
        time_cost=PASSES,
        memory_cost=MEMORY_KIB,
        parallelism=LANES,
        hash_len=SEAL_BYTES,
        type=Type.ID,
    )
