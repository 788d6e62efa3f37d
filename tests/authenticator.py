"""A device with passkeys, in software: what a browser answers to the portal's questions.

Knobs make what a bad one, or somebody between, would do: another origin, another host, nobody
asked for a finger, an old answer to a new question, a counter that goes back.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, HAS_KEY = 0x01, 0x04, 0x40  # flags of authenticator data
AAGUID = bytes(16)


@dataclass
class Passkey:
    """One key pair, for one account at one host."""

    id: bytes
    user: bytes
    key: ec.EllipticCurvePrivateKey
    count: int = 0


@dataclass
class Authenticator:
    """A device that its owner unlocks whenever it asks. `counts` is what synced passkeys do not."""

    origin: str = "http://localhost:8000"
    rp_id: str = "localhost"
    counts: bool = True
    passkeys: list[Passkey] = field(default_factory=list)

    def register(
        self,
        options: str,
        *,
        origin: str | None = None,
        rp_id: str | None = None,
        verifies: bool = True,
        challenge: bytes | None = None,
        id: bytes | None = None,
        ignores_excluded: bool = False,
    ) -> str:
        """A new passkey, as `navigator.credentials.create()` tells of it in JSON."""
        asked = json.loads(options)
        excluded = {decode(each["id"]) for each in asked["excludeCredentials"]}
        assert ignores_excluded or not excluded & {each.id for each in self.passkeys}, "it has one"
        passkey = Passkey(
            id or os.urandom(32),
            decode(asked["user"]["id"]),
            ec.generate_private_key(ec.SECP256R1()),
        )
        self.passkeys.append(passkey)
        numbers = passkey.key.public_key().public_numbers()
        cose = {  # RFC 9053, 7.1.1: EC2, ES256, P-256
            1: 2,
            3: -7,
            -1: 1,
            -2: numbers.x.to_bytes(32, "big"),
            -3: numbers.y.to_bytes(32, "big"),
        }
        data = self._data(passkey, rp_id, HAS_KEY, verifies=verifies)
        data += AAGUID + len(passkey.id).to_bytes(2, "big") + passkey.id + cbor2.dumps(cose)
        response = {
            "clientDataJSON": self._client("create", challenge or asked["challenge"], origin),
            "attestationObject": encode(
                cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
            ),
            "transports": ["internal"],
        }
        return self._answer(passkey, response)

    def sign(
        self,
        options: str,
        *,
        origin: str | None = None,
        rp_id: str | None = None,
        verifies: bool = True,
        challenge: bytes | None = None,
        passkey: Passkey | None = None,
        count: int | None = None,
        user: bytes | None = None,
        with_key: ec.EllipticCurvePrivateKey | None = None,
    ) -> str:
        """A signature, as `navigator.credentials.get()` tells of it in JSON."""
        asked = json.loads(options)
        allowed = {decode(each["id"]) for each in asked["allowCredentials"]}
        passkey = passkey or next(each for each in self.passkeys if each.id in allowed)
        if self.counts:
            passkey.count += 1
        data = self._data(passkey, rp_id, 0, verifies=verifies, count=count)
        client = self._client("get", challenge or asked["challenge"], origin)
        signed = data + hashlib.sha256(decode(client)).digest()
        response = {
            "clientDataJSON": client,
            "authenticatorData": encode(data),
            "signature": encode((with_key or passkey.key).sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": encode(passkey.user if user is None else user),
        }
        return self._answer(passkey, response)

    def _data(
        self,
        passkey: Passkey,
        rp_id: str | None,
        flags: int,
        *,
        verifies: bool,
        count: int | None = None,
    ) -> bytes:
        flags |= PRESENT | (VERIFIED if verifies else 0)
        number = passkey.count if count is None else count
        host = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return host + bytes([flags]) + number.to_bytes(4, "big")

    def _client(self, step: str, challenge: str | bytes, origin: str | None) -> str:
        said = challenge if isinstance(challenge, str) else encode(challenge)
        client = {
            "type": f"webauthn.{step}",
            "challenge": said,
            "origin": origin or self.origin,
            "crossOrigin": False,
        }
        return encode(json.dumps(client).encode())

    def _answer(self, passkey: Passkey, response: dict[str, Any]) -> str:
        answer = {
            "id": encode(passkey.id),
            "rawId": encode(passkey.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }
        return json.dumps(answer)


def encode(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
