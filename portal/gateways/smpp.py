"""SMS leave by SMPP 3.4: a bind to an operator's SMSC that is kept, and receipts that come back.

A message whose answer never came may have left. Nobody can ask for it, for the operator's id of
it was in that answer: it is not sent again by itself, and a receipt may tell of it yet.
"""

import contextlib
import ssl
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from smpplib import consts

from portal import clock, config
from portal.gateways.outgoing import Outgoing, Reason, Receipt, Trouble
from portal.gateways.smpp_receipts import read_receipt
from portal.gateways.smpp_wire import CARRIERS, BrokenError, Wire
from portal.gateways.sms_parts import Part, parts_of

PORT = 2775
HANDED_OVER_SECONDS = 40  # no part leaves later: another worker may have the message soon
CHECKED_AFTER_SECONDS = 5  # a link that was silent for longer is asked before it gets a message
ASKED_AFTER_SECONDS = 30  # and asked in any case, so that nobody on the way takes it for dead
PAUSE_SECONDS = 1  # the operator said that we are too fast
BOUND_AGAIN_SECONDS = (1, 5, 15, 60)  # an idle link comes back after these; the last one repeats
KEPT_SECONDS = 60  # how long a receipt waits for its message, which another worker may be noting

TOO_FAST = {consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL}
OF_THE_NUMBER = {
    consts.SMPP_ESME_RINVDSTADR,
    consts.SMPP_ESME_RINVDSTTON,
    consts.SMPP_ESME_RINVDSTNPI,
    consts.SMPP_ESME_RINVNUMDESTS,
}
OURS = {  # our account, our sender, or how we write
    consts.SMPP_ESME_RINVMSGLEN,
    consts.SMPP_ESME_RINVSRCADR,
    consts.SMPP_ESME_RINVSRCTON,
    consts.SMPP_ESME_RINVSRCNPI,
    consts.SMPP_ESME_RBINDFAIL,
    consts.SMPP_ESME_RINVPASWD,
    consts.SMPP_ESME_RINVSYSID,
    consts.SMPP_ESME_RINVSYSTYP,
    consts.SMPP_ESME_RINVSERTYP,
    consts.SMPP_ESME_RINVESMCLASS,
}

log = structlog.get_logger()


class Came(NamedTuple):
    """A receipt that nobody has noted yet."""

    receipt: Receipt
    command: str  # that brought it
    sequence: int | None  # None: it was answered, and waits for its message
    until: float


class Smpp:
    """A gateway for SMS at `smpp://` or `smpps://`, bound as a transceiver."""

    def __init__(self, url: str, way: str = "smpp") -> None:
        self.way = way
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or PORT
        self._is_tls = parts.scheme == "smpps"
        self._login = {
            "system_id": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
        }
        self._sender = dict(parse_qsl(parts.query)).get("sender") or config.settings.sms_sender
        self._wire: Wire | None = None
        self._left: dict[str, list[str]] = {}  # of a message in several parts: those that left
        self._came: list[Came] = []
        self._asked_at = 0.0
        self._quiet_until = 0.0
        self._bound_again_at = 0.0
        self._failures = 0

    def send(self, message: Outgoing) -> str:
        """Hand a message over, part after part; returns the id of the last one.

        That one alone has a receipt: it leaves when all the others have.
        """
        until = time.monotonic() + HANDED_OVER_SECONDS
        parts = parts_of(message.text, message.id)
        left = self._left.pop(message.id, [])
        while len(left) < len(parts):
            is_last = len(left) == len(parts) - 1
            try:
                left.append(self._hand_over(message, parts[len(left)], until, is_last=is_last))
            except Trouble as trouble:
                if not left or trouble.permanent:
                    raise
                self._left = {message.id: left}  # the next try begins where this one ended
                raise Trouble(Reason.UNKNOWN) from trouble  # no other way may begin anew
        return left[-1]

    def listen(self, keep: Callable[[list[Receipt]], list[Receipt]]) -> None:
        if self._wire is not None or time.monotonic() >= self._bound_again_at:
            with contextlib.suppress(Trouble):  # it was logged
                self._read_all(self._bound())
        self._note(keep)

    def close(self) -> None:
        if self._wire is not None:
            with contextlib.suppress(BrokenError):
                self._wire.wait_for(self._wire.ask("unbind"), self._take)
            self._wire.close()
        self._wire, self._came = None, []

    def _read_all(self, wire: Wire) -> None:
        try:
            while wire.has_more():
                self._take(wire.read())
            self._ask_if_silent(wire)
        except BrokenError as error:
            self._lose(error)

    # A message

    def _hand_over(self, message: Outgoing, part: Part, until: float, *, is_last: bool) -> str:
        """Hand one part over; returns the operator's id of it."""
        time.sleep(max(0, self._quiet_until - time.monotonic()))
        wire = self._awake()
        message.must_be_ours()
        if time.monotonic() > until:
            raise Trouble(Reason.BUSY)
        try:
            asked = wire.ask("submit_sm", **self._words(message, part, is_last=is_last))
        except BrokenError as error:  # what did not leave as a whole was not understood
            self._lose(error)
            raise Trouble(Reason.UNREACHABLE) from error
        try:
            answer = wire.wait_for(asked, self._take)
        except BrokenError as error:
            self._lose(error)
            raise Trouble(Reason.UNKNOWN, permanent=True) from error
        if answer.status == consts.SMPP_ESME_RINVBNDSTS:  # the operator has forgotten our bind
            self._lose(BrokenError())
        if answer.is_error():
            raise self._refused("submit_sm", answer.status)
        known_as = (answer.message_id or b"").decode("ascii", "replace")
        if not known_as.isprintable():
            log.warning("the operator's id of a message is no text", message=message.id)
            return ""
        return known_as

    def _words(self, message: Outgoing, part: Part, *, is_last: bool) -> dict[str, object]:
        ton, npi = _kind_of(self._sender)
        return {
            "source_addr_ton": ton,
            "source_addr_npi": npi,
            "source_addr": self._sender,
            "dest_addr_ton": consts.SMPP_TON_INTL,
            "dest_addr_npi": consts.SMPP_NPI_ISDN,
            "destination_addr": message.recipient.removeprefix("+"),
            "esm_class": part.esm_class,
            "data_coding": part.coding,
            "short_message": part.octets,
            "registered_delivery": int(is_last),
            "validity_period": _validity(message.useful_until),
        }

    # The link

    def _awake(self) -> Wire:
        """A bind that answers: a message given to a dead one would be one more nobody knows of."""
        wire = self._bound()
        if wire.silent_for < CHECKED_AFTER_SECONDS and not wire.has_more():
            return wire
        try:
            while wire.has_more():
                self._take(wire.read())
            wire.wait_for(wire.ask("enquire_link"), self._take)
        except BrokenError as error:
            self._lose(error)
            return self._bound()
        return wire

    def _bound(self) -> Wire:
        """The bind that is there, or a new one."""
        if self._wire is None:
            try:
                self._wire = self._bind()
            except Trouble:
                place = min(self._failures, len(BOUND_AGAIN_SECONDS) - 1)
                self._bound_again_at = time.monotonic() + BOUND_AGAIN_SECONDS[place]
                self._failures += 1
                raise
            self._failures, self._asked_at = 0, 0.0
        return self._wire

    def _bind(self) -> Wire:
        wire = None
        try:
            wire = Wire(self._host, self._port, is_tls=self._is_tls)
            answer = wire.wait_for(wire.ask("bind_transceiver", **self._login), self._take)
        except BrokenError as error:
            if wire is not None:
                wire.close()
            log.warning("no connection for SMS", way=self.way, cause=_cause(error))
            is_ours = isinstance(error.__cause__, ssl.SSLError)
            raise Trouble(Reason.MISCONFIGURED if is_ours else Reason.UNREACHABLE) from error
        if answer.is_error():
            wire.close()
            raise self._refused("bind_transceiver", answer.status)
        return wire

    def _lose(self, error: BrokenError) -> None:
        """Let go of a connection that broke. Whoever waits for an answer there, asks again."""
        log.warning("the connection for SMS broke", way=self.way, cause=_cause(error))
        if self._wire is not None:
            self._wire.close()
        self._wire = None
        self._bound_again_at = time.monotonic() + BOUND_AGAIN_SECONDS[0]
        self._came = [each._replace(sequence=None) for each in self._came]

    def _refused(self, what: str, status: int) -> Trouble:
        word = consts.DESCRIPTIONS.get(status, "")
        log.warning("the operator refused", way=self.way, what=what, status=hex(status), word=word)
        if status in TOO_FAST:
            self._quiet_until = time.monotonic() + PAUSE_SECONDS
        if status in OF_THE_NUMBER:
            return Trouble(Reason.REFUSED, permanent=True)
        return Trouble(Reason.MISCONFIGURED if status in OURS else Reason.BUSY)

    def _ask_if_silent(self, wire: Wire) -> None:
        """Ask a silent link whether it lives; one that does not answer is broken."""
        now = time.monotonic()
        if wire.silent_for > 2 * ASKED_AFTER_SECONDS:
            raise BrokenError
        if min(wire.silent_for, now - self._asked_at) > ASKED_AFTER_SECONDS:
            wire.ask("enquire_link")
            self._asked_at = now

    def _take(self, pdu: Any) -> None:
        """What the operator says by itself. Raises BrokenError if that is the end."""
        wire = self._wire
        if pdu is None or wire is None:
            return
        if pdu.command in CARRIERS:
            receipt = read_receipt(pdu, self.way)
            if receipt is None:  # somebody answers an SMS: nobody reads that
                wire.answer(pdu.command, pdu.sequence)
            else:
                until = time.monotonic() + KEPT_SECONDS
                self._came.append(Came(receipt, pdu.command, pdu.sequence, until))
        elif pdu.command == "enquire_link":
            wire.answer("enquire_link", pdu.sequence)
        elif pdu.command == "unbind":
            wire.answer("unbind", pdu.sequence)
            raise BrokenError

    # Receipts

    def _note(self, keep: Callable[[list[Receipt]], list[Receipt]]) -> None:
        """Have receipts noted, then tell the operator that they came."""
        if not self._came:
            return
        came = self._came
        unplaced = keep([each.receipt for each in came])  # if that fails, they are all still there
        now = time.monotonic()
        self._came = [
            each._replace(sequence=None)
            for each in came
            if each.receipt in unplaced and now < each.until
        ]
        try:
            for each in came:
                if each.sequence is not None and self._wire is not None:
                    self._wire.answer(each.command, each.sequence)
        except BrokenError as error:
            self._lose(error)


def _cause(error: BrokenError) -> str:
    return type(error.__cause__ or error).__name__


def _kind_of(sender: str) -> tuple[int, int]:
    """Type and plan of a sender's number: a word, a short number, or an international one."""
    if not sender.isdigit():
        return consts.SMPP_TON_ALNUM, consts.SMPP_NPI_UNK
    if len(sender) < 7:
        return consts.SMPP_TON_NWSPEC, consts.SMPP_NPI_UNK
    return consts.SMPP_TON_INTL, consts.SMPP_NPI_ISDN


def _validity(until: datetime | None) -> str:
    """For how long the operator may try; a code that came later would be of no use (7.1.1.2)."""
    if until is None:
        return ""
    left = max(int((until - clock.now()) / timedelta(seconds=1)), 60)
    days, hours, minutes, seconds = left // 86400, left // 3600 % 24, left // 60 % 60, left % 60
    return f"0000{min(days, 30):02}{hours:02}{minutes:02}{seconds:02}000R"
