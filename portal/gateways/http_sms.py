"""SMS leave through an HTTP gateway that takes JSON (README, «The JSON gateway for SMS»)."""

import json
from urllib.parse import unquote, urlsplit

import urllib3

from portal import config
from portal.gateways.outgoing import Outgoing, Reason, Trouble

TIMEOUT_SECONDS = 10
LONGEST_ANSWER = 64 * 1024
COME_BACK_LATER = {408, 429}


class JsonGateway:
    """A gateway at `https://…`; plain `http://` only on this computer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._headers = {"Content-Type": "application/json"}
        if parts.username:
            user, password = unquote(parts.username), unquote(parts.password or "")
            self._headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
        self._pool = urllib3.PoolManager(
            maxsize=1, retries=False, timeout=urllib3.Timeout(total=TIMEOUT_SECONDS)
        )

    def send(self, message: Outgoing) -> str:
        body = {
            "id": message.id,
            "to": message.recipient,
            "text": message.text,
            "sender": config.settings.sms_sender,
        }
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=json.dumps(body, ensure_ascii=False).encode(),
                headers=self._headers | {"Idempotency-Key": message.id},
                redirect=False,
                preload_content=False,
            )
            text = answer.read(LONGEST_ANSWER)
            answer.drain_conn()
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise Trouble(Reason.UNREACHABLE) from error
        return _judge(answer.status, text)

    def close(self) -> None:
        self._pool.clear()


def _judge(status: int, text: bytes) -> str:
    if 400 <= status < 500 and status not in COME_BACK_LATER:
        raise Trouble(Reason.REFUSED, permanent=True)
    if not 200 <= status < 300:
        raise Trouble(Reason.BUSY)
    try:
        return str(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError):
        # Whether it was taken is not known; asking again with the same id is harmless.
        raise Trouble(Reason.BUSY) from None
