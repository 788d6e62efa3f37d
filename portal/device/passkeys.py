"""Passkeys: a key pair of which the private half never leaves the device (WebAuthn).

The challenge of an answer is kept by the caller, who forgets it in the transaction in which the
answer is judged: that is what makes an answer count once where the device keeps no counter.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import bindparam, select, update
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal import clock, config, networks
from portal.account import Account
from portal.database import db
from portal.device.devices import Kind, add
from portal.device.tables import devices

NAME = "IZKT"  # how the browser's window names us
LONGEST_CREDENTIAL_ID = 1023  # WebAuthn Level 3, 7.1
DEFAULT_PORTS = {"http": 80, "https": 443}  # which an origin does not name

_CREDENTIALS = (
    select(devices.c.credential_id)
    .where(
        devices.c.account_id == bindparam("of"),
        devices.c.kind == Kind.PASSKEY,
        devices.c.dropped_at.is_(None),
    )
    .order_by(devices.c.added_at, devices.c.id)
)
_KNOWN = select(devices.c.id).where(devices.c.credential_id == bindparam("credential"))
_THE_KEY = select(devices.c.id, devices.c.public_key, devices.c.sign_count).where(
    devices.c.account_id == bindparam("of"),
    devices.c.credential_id == bindparam("credential"),
    devices.c.dropped_at.is_(None),
)
_TAKE = (
    update(devices)
    .where(
        devices.c.id == bindparam("of"),
        devices.c.dropped_at.is_(None),
        devices.c.sign_count == bindparam("before"),
    )
    .values(sign_count=bindparam("count"), used_at=bindparam("now"))
)

Result = TypeVar("Result")


class Options(NamedTuple):
    """What the browser is asked, in JSON, and the challenge that its answer has to repeat."""

    json: str
    challenge: bytes


def rp_id() -> str:
    """The host that passkeys are for. WebAuthn knows no IP addresses: 127.0.0.1 is localhost."""
    host = config.settings.host
    return "localhost" if config.is_loopback(host) else host


def origin() -> str:
    """The origin that pages with passkeys have, as browsers write it."""
    url = urlsplit(config.settings.base_url)
    port = f":{url.port}" if url.port and url.port != DEFAULT_PORTS[url.scheme] else ""
    return f"{url.scheme}://{rp_id()}{port}"


def works_at(host: str) -> bool:
    """Whether a page asked for by that host, with or without its port, can use passkeys."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name == rp_id() and networks.parse(name) is None


def registration_options(account: Account) -> Options:
    """Ask the browser for a new passkey, on none of the devices that have one already."""
    options = webauthn.generate_registration_options(
        rp_id=rp_id(),
        rp_name=NAME,
        user_id=account.id.encode(),
        user_name=account.email,
        user_display_name=account.name,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_credentials(account.id),
    )
    return Options(webauthn.options_to_json(options), options.challenge)


def add_passkey(
    account: Account, answer: str, challenge: bytes, name: str, address: object
) -> str | None:
    """Add the passkey that a browser's answer brings. Returns its id; None: it proves none."""
    verified = _or_none(
        lambda: webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=rp_id(),
            expected_origin=origin(),
            require_user_verification=True,
        )
    )
    if verified is None or len(verified.credential_id) > LONGEST_CREDENTIAL_ID:
        return None
    if db.one(_KNOWN, credential=verified.credential_id):
        return None
    return add(
        account,
        Kind.PASSKEY,
        name,
        address,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
    )


def authentication_options(account_id: str) -> Options:
    """Ask the browser for one of the account's passkeys."""
    options = webauthn.generate_authentication_options(
        rp_id=rp_id(),
        allow_credentials=_credentials(account_id),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Options(webauthn.options_to_json(options), options.challenge)


def take_passkey(account_id: str, answer: str, challenge: bytes) -> bool:
    """Whether a browser's answer was signed by a passkey of this account, for this challenge.

    Refused as well: another origin or host, no PIN or finger asked for, a counter that did not
    grow (WebAuthn Level 3, 7.2).
    """
    given = _or_none(lambda: parse_authentication_credential_json(answer))
    if given is None or given.response.user_handle not in {None, b"", account_id.encode()}:
        return False
    key = db.one(_THE_KEY, of=account_id, credential=given.raw_id)
    if key is None:
        return False
    verified = _or_none(
        lambda: webauthn.verify_authentication_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=rp_id(),
            expected_origin=origin(),
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=True,
        )
    )
    if verified is None:
        return False
    count = verified.new_sign_count
    return bool(db.changed(_TAKE, of=key.id, before=key.sign_count, count=count, now=clock.now()))


def _credentials(account_id: str) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(id=row.credential_id)
        for row in db.all(_CREDENTIALS, of=account_id)
    ]


def _or_none(read: Callable[[], Result]) -> Result | None:
    """What the library reads in an answer, or None if it refuses it.

    An answer is whatever somebody chose to send, and what that makes the library, its JSON, CBOR
    and certificates raise is not one family of exceptions.
    """
    try:
        return read()
    except Exception:  # noqa: BLE001
        return None
