"""Authenticator apps: six digits that change every 30 seconds (TOTP, RFC 6238)."""

import hmac

import pyotp
import segno
from markupsafe import Markup
from sqlalchemy import bindparam, select, update

from portal import clock, proofs
from portal.account import Account
from portal.database import db
from portal.device.devices import Kind, add, drop_totp
from portal.device.tables import devices

ISSUER = "IZKT"  # how the app names us; not every app shows Cyrillic
SPREAD = 1  # steps a clock may be off, product.md, «Numbers»
GROUP = 4

_THE_APP = (
    select(devices.c.id, devices.c.secret)
    .where(
        devices.c.account_id == bindparam("of"),
        devices.c.kind == Kind.TOTP,
        devices.c.dropped_at.is_(None),
    )
    .limit(1)
)
# Each step once, and none before one that was taken: of any number at the same moment, one is.
_TAKE = (
    update(devices)
    .where(
        devices.c.id == bindparam("of"),
        devices.c.dropped_at.is_(None),
        devices.c.last_step < bindparam("step"),
    )
    .values(last_step=bindparam("step"), used_at=bindparam("now"))
)


def new_secret() -> str:
    """160 random bits in base32, to be kept by the caller until `add_totp`."""
    return pyotp.random_base32()


def grouped(secret: str) -> str:
    """A secret as a person types it over: in groups of four."""
    return " ".join(secret[start : start + GROUP] for start in range(0, len(secret), GROUP))


def provisioning_uri(secret: str, email: str) -> str:
    """What the QR code says, and a link on the phone itself opens."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def qr_svg(uri: str) -> Markup:
    """The QR code as inline SVG, dark on white whatever the page; it has no style attributes."""
    code = segno.make(uri, error="m", micro=False)
    svg = code.svg_inline(omitsize=True, light="#fff", svgclass=None, lineclass=None)
    return Markup(svg)  # noqa: S704 - nothing of the uri but the squares is in it


def add_totp(account: Account, secret: str, typed: str, name: str, address: object) -> str | None:
    """Add an app that proves, by a code, to have the secret. An older one is dropped then.

    The code is used up by it. Pressing twice is no error. Returns the device's id; None: wrong.
    """
    step = _step_of(secret, typed)
    if step is None:
        return None
    app = db.one(_THE_APP, of=account.id)
    if app and hmac.compare_digest(app.secret, secret):
        known: str = app.id
        return known  # as it is: added anew, it would forget which steps were taken
    drop_totp(account, address)
    return add(account, Kind.TOTP, name, address, secret=secret, last_step=step)


def take_totp(account_id: str, typed: str) -> bool:
    """Whether what was typed is a code of the account's app, each of which counts once."""
    app = db.one(_THE_APP, of=account_id)
    step = _step_of(app.secret, typed) if app else None
    if step is None:
        return False
    return bool(db.changed(_TAKE, of=app.id, step=step, now=clock.now()))


def _step_of(secret: str, typed: str) -> int | None:
    """The step whose code it is; compared in constant time. Blanks and hyphens are forgiven."""
    code = proofs.FORGIVEN.sub("", typed)
    if len(typed) > proofs.LONGEST_TYPED or not proofs.CODE.fullmatch(code):
        return None
    totp = pyotp.TOTP(secret)
    now = totp.timecode(clock.now())
    matching = [
        step
        for step in range(now - SPREAD, now + SPREAD + 1)
        if hmac.compare_digest(totp.generate_otp(step), code)
    ]
    # The latest, should two steps have the same digits: else they would count twice.
    return max(matching, default=None)
