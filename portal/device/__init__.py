"""Second factors: authenticator apps, passkeys, and backup codes for when they are lost.

A factor counts once: a TOTP step, the counter of a passkey and a backup code are each taken by one
conditional UPDATE. Wrong ones are counted by who asked for them, and letters are written there.
"""

from portal.device.backup_codes import (
    Left,
    NewCodes,
    codes_left,
    keep_replacement,
    make_codes,
    may_make_codes_at,
    prove_codes,
    take_code,
)
from portal.device.devices import (
    LONGEST_NAME,
    Device,
    Kind,
    devices_of,
    drop,
    drop_all,
    first_added_at,
    has_device,
)
from portal.device.passkeys import (
    Options,
    add_passkey,
    authentication_options,
    origin,
    registration_options,
    rp_id,
    take_passkey,
    works_at,
)
from portal.device.totp import (
    add_totp,
    grouped,
    new_secret,
    provisioning_uri,
    qr_svg,
    take_totp,
)

__all__ = [
    "LONGEST_NAME",
    "Device",
    "Kind",
    "Left",
    "NewCodes",
    "Options",
    "add_passkey",
    "add_totp",
    "authentication_options",
    "codes_left",
    "devices_of",
    "drop",
    "drop_all",
    "first_added_at",
    "grouped",
    "has_device",
    "keep_replacement",
    "make_codes",
    "may_make_codes_at",
    "new_secret",
    "origin",
    "prove_codes",
    "provisioning_uri",
    "qr_svg",
    "registration_options",
    "rp_id",
    "take_code",
    "take_passkey",
    "take_totp",
    "works_at",
]
