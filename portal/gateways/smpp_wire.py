"""A connection that speaks SMPP: PDUs go out and come in, each answer to its question.

smpplib writes and reads the PDUs. Its own client connects without the name of the server, so
that no certificate could be checked, and writes whole messages into its log.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

import structlog
from smpplib import consts, exceptions, smpp

TIMEOUT_SECONDS = 8  # to connect, and for what has begun to come to end
ANSWER_SECONDS = 10
LONGEST_PDU = 70_000  # what 16 bits of length can say of an optional part, and the rest
HIGHEST_SEQUENCE = 0x7FFFFFFF
HEADER = struct.Struct(">LLLL")  # length, command, status, sequence
GENERIC_NACK = 0x80000000

CARRIERS = {"deliver_sm", "data_sm"}  # of receipts
OPTION = struct.Struct(">HH")  # its number, and the length of its value

log = structlog.get_logger()


class BrokenError(Exception):
    """The connection is of no use any more. What was being said may have been heard."""


class Wire:
    """One connection, from its first octet to its end. Raises BrokenError from everywhere."""

    def __init__(self, host: str, port: int, *, is_tls: bool) -> None:
        self.sequence = 0
        with self._breaking():
            raw = socket.create_connection((host, port), timeout=TIMEOUT_SECONDS)
            self._socket = _wrapped(raw, host) if is_tls else raw
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard_at = time.monotonic()

    @property
    def silent_for(self) -> float:
        """Seconds since the other side was heard."""
        return time.monotonic() - self._heard_at

    def next_sequence(self) -> int:
        """The number of the next question, as smpplib asks for it."""
        self.sequence = self.sequence % HIGHEST_SEQUENCE + 1
        return self.sequence

    def ask(self, command: str, **what: object) -> int:
        """Send a question; returns its number."""
        with self._breaking():
            pdu = smpp.make_pdu(command, client=self, **what)
            self._socket.sendall(pdu.generate())
        return int(pdu.sequence)

    def answer(self, command: str, sequence: int) -> None:
        """Send the answer that all is well."""
        with self._breaking():
            pdu = smpp.make_pdu(f"{command}_resp", client=self, sequence=sequence)
            pdu.sequence = sequence
            self._socket.sendall(pdu.generate())

    def wait_for(self, sequence: int, take: Callable[[Any], None]) -> Any:
        """The answer to a question. Whatever else comes meanwhile is given to `take`."""
        until = time.monotonic() + ANSWER_SECONDS
        while (left := until - time.monotonic()) > 0 and self._comes_within(left):
            pdu = self.read()
            if pdu is None:
                continue
            if pdu.is_response() and pdu.sequence == sequence:
                return pdu
            take(pdu)
        raise BrokenError

    def has_more(self) -> bool:
        """Whether something waits to be read, the end of the connection included."""
        return self._comes_within(0)

    def read(self) -> Any:
        """The next PDU; None for one that nobody here understands."""
        until = time.monotonic() + TIMEOUT_SECONDS
        with self._breaking():
            length, _, _, sequence = HEADER.unpack(header := self._receive(HEADER.size, until))
            if not HEADER.size <= length <= LONGEST_PDU:
                raise BrokenError
            body = self._receive(length - HEADER.size, until)
            self._heard_at = time.monotonic()
            try:
                pdu = smpp.parse_pdu(header, client=self)
            except exceptions.UnknownCommandError:
                nack = (HEADER.size, GENERIC_NACK, consts.SMPP_ESME_RINVCMDID, sequence)
                self._socket.sendall(HEADER.pack(*nack))
                return None
        return self._with_body(pdu, body)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _with_body(self, pdu: Any, body: bytes) -> Any:
        """A PDU with as much of its body as anybody here asks for.

        A body that cannot be read breaks no connection: what follows is in step, and an operator
        says again after each bind what was not answered. So that is answered, and forgotten.
        """
        if pdu.is_response():
            pdu.message_id = body.partition(b"\0")[0]  # whatever an operator adds to it
        elif pdu.command in CARRIERS:
            try:
                _read_body(pdu, body)
            except Exception as error:  # noqa: BLE001 - smpplib has none of its own for it
                cause = type(error).__name__
                log.warning("what the operator said cannot be read", what=pdu.command, cause=cause)
                self.answer(pdu.command, pdu.sequence)
                return None
        return pdu

    def _comes_within(self, seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True  # read by the TLS layer already
        with self._breaking():
            return bool(select.select([self._socket], [], [], seconds)[0])

    def _receive(self, length: int, until: float) -> bytes:
        octets = b""
        while len(octets) < length:
            if time.monotonic() > until:  # it comes, but in drops
                raise BrokenError
            some = self._socket.recv(length - len(octets))
            if not some:
                raise BrokenError
            octets += some
        return octets

    @staticmethod
    @contextlib.contextmanager
    def _breaking() -> Any:
        """Whatever goes wrong here ends the connection."""
        try:
            yield
        except BrokenError:
            raise
        except Exception as error:
            raise BrokenError from error


def _wrapped(raw: socket.socket, host: str) -> ssl.SSLSocket:
    try:
        return ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def _read_body(pdu: Any, body: bytes) -> None:
    """Read what a deliver_sm or data_sm carries. Raises whatever smpplib does if it cannot be."""
    pdu.parse_optional_params = lambda octets: _read_options(pdu, octets)
    pdu.parse_params(body)
    if pdu.esm_class is None:
        raise ValueError("it ends too early")


def _read_options(pdu: Any, octets: bytes) -> None:
    """Read the parameters that a receipt may have; the others may be as they like.

    smpplib would read them all, or nothing, and takes the last octet of a text for its zero, which
    some operators leave out.
    """
    while len(octets) >= OPTION.size:
        number, length = OPTION.unpack(octets[: OPTION.size])
        value, octets = octets[OPTION.size :][:length], octets[OPTION.size + length :]
        if len(value) < length:
            return  # half an id would be another one
        if number == consts.OPTIONAL_PARAMS["message_state"]:
            pdu.message_state = int.from_bytes(value)
        elif number == consts.OPTIONAL_PARAMS["receipted_message_id"]:
            pdu.receipted_message_id = value.partition(b"\0")[0]
        elif number == consts.OPTIONAL_PARAMS["message_payload"]:
            pdu.message_payload = value
