"""SMS leave through SMSC.ru, by its HTTP interface (smsc.ru/api/http).

It takes an id of ours and does not look whether it had it before, so a message whose answer was
lost is asked for, by that id, before it is given again.
"""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
import urllib3

from portal import clock, config
from portal.gateways.http_sms import NOT_SENT, ask, new_pool
from portal.gateways.outgoing import Outgoing, Reason, Trouble

JSON = "3"  # the form of answers
# What `error_code` says of a message: parameters, login, balance, an address that is locked out,
# a date, a text or sender that is not allowed, a number, a number that nothing reaches, haste.
OURS = {1, 2, 3, 5, 6}
OF_THE_NUMBER = {7, 8}
NO_SUCH_MESSAGE = 3  # of the question what became of one
NOT_FOUND = -3  # the same, as a status
COME_BACK_LATER = {429, 503}

log = structlog.get_logger()


class Smsc:
    """The gateway at `smsc://login:password@smsc.ru`; without a login the password is an API key.

    `smsc+http://` is for this computer only, where a test stands in for SMSC.ru.
    """

    def __init__(self, url: str, way: str = "smsc") -> None:
        self.way = way
        parts = urlsplit(url)
        scheme = "http" if parts.scheme == "smsc+http" else "https"
        self._url = f"{scheme}://{parts.netloc.rpartition('@')[2]}/sys/"
        self._sender = dict(parse_qsl(parts.query)).get("sender") or config.settings.sms_sender
        login, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._login = {"login": login, "psw": password} if login else {"apikey": password}
        self._pool = new_pool()

    def send(self, message: Outgoing) -> str:
        if message.attempts and self._has(message):
            return message.id
        words = {
            "phones": message.recipient,
            "mes": message.text,
            "id": message.id,
            "sender": self._sender,
        }
        if message.useful_until:
            left = max(int((message.useful_until - clock.now()).total_seconds()) // 60, 1)
            words["valid"] = f"{min(left // 60, 23):02}:{left % 60:02}"
        try:
            answer = self._ask("send.php", words, message)
        except NOT_SENT as error:
            raise Trouble(Reason.UNREACHABLE) from error
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            # It may have been taken. The next try asks first.
            raise Trouble(Reason.UNKNOWN) from error
        if "error_code" in answer or "error" in answer:
            raise self._refused(answer.get("error_code"))
        return message.id

    def close(self) -> None:
        self._pool.clear()

    def _has(self, message: Outgoing) -> bool:
        """Whether SMSC.ru took the message when it was given before, and nobody heard of it."""
        try:
            answer = self._ask("status.php", {"phone": message.recipient, "id": message.id})
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            asked = Reason.UNKNOWN if message.maybe_taken_by else Reason.UNREACHABLE
            raise Trouble(asked) from error
        status, refused = answer.get("status"), answer.get("error_code")
        if refused == NO_SUCH_MESSAGE or status == NOT_FOUND:
            return False
        if isinstance(status, int):
            return True
        raise Trouble(Reason.UNKNOWN if message.maybe_taken_by else Reason.BUSY)

    def _ask(
        self, page: str, words: dict[str, str], message: Outgoing | None = None
    ) -> dict[str, Any]:
        """Post a question; raises HTTPError or ValueError where nobody knows what came of it."""
        status, text = ask(
            self._pool,
            self._url + page,
            message,
            fields=self._login | {"fmt": JSON, "charset": "utf-8"} | words,
            encode_multipart=False,
        )
        if status in COME_BACK_LATER:
            raise Trouble(Reason.BUSY)
        try:
            said = json.loads(text)
        except RecursionError as error:
            raise ValueError from error
        if status != 200 or not isinstance(said, dict):
            raise ValueError
        return said

    def _refused(self, code: object) -> Trouble:
        log.warning("SMSC.ru refused", code=code if isinstance(code, int) else None)
        if code in OF_THE_NUMBER:
            return Trouble(Reason.REFUSED, permanent=True)
        return Trouble(Reason.MISCONFIGURED if code in OURS else Reason.BUSY)
