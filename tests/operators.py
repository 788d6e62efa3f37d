"""An operator's SMSC, as the portal's link meets it: the one of smpp34, behind a wire that fails.

smpp34 answers as a real one does. What it does not do itself, the wire in front of it does: TLS,
refusing a bind, and breaking at a chosen moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import smpp34

from tests.ports import free_port

if TYPE_CHECKING:
    import ssl
    from concurrent.futures import Future

HOST = "127.0.0.1"
DROP = "drop"  # the connection breaks before the message got there
LOSE = "lose"  # the message is taken, and the connection breaks before the answer
HANG = "hang"  # the message is taken, and the answer does not come

# What an SMSC may answer (SMPP 3.4, 5.1.3)
ALREADY_BOUND, SYSTEM_ERROR, BAD_SENDER, BAD_NUMBER = 0x05, 0x08, 0x0A, 0x0B
BAD_PASSWORD, QUEUE_FULL, THROTTLED, OF_THE_VENDOR = 0x0E, 0x14, 0x58, 0x0401
# and the parameters of a receipt (5.3.2)
RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427

HEADER = struct.Struct(">LLLL")
COMMANDS = {
    0x00000004: "submit_sm",
    0x00000006: "unbind",
    0x00000009: "bind_transceiver",
    0x00000015: "enquire_link",
    0x80000005: "deliver_sm_resp",
    0x80000000: "generic_nack",
}
RESPONSE = 0x80000000
UDH = 0x40
UCS2 = 8


@dataclass(frozen=True)
class Part:
    """One submit_sm as it came."""

    id: str
    sender: tuple[int, int, str]
    to: tuple[int, int, str]
    receipt: int
    coding: int
    octets: bytes
    place: tuple[int, int, int] | None  # the reference, how many parts, and which one

    @property
    def text(self) -> str:
        return self.octets.decode("utf-16-be" if self.coding == UCS2 else "ascii")


class Operator:
    """An SMSC in a thread. `answers` are given in order, then everything is accepted."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.parts: list[Part] = []
        self.heard: list[str] = []  # what the portal asked for, command after command
        self.binds: list[tuple[str, str]] = []
        self.answers: deque[int | str] = deque()  # a status, or a mood
        self.refuses_bind = 0
        self.is_deaf = False  # it hears, and answers nothing any more
        self._tls, self._scheme = tls, "smpps" if tls else "smpp"
        self._port = free_port()
        self._open: set[asyncio.StreamWriter] = set()
        self._esme: Any = None
        self._let_in = self._known = 0  # binds that the SMSC was asked for, and that it told of
        self._loses = False

    def url(self, login: str = "izkt:secret", query: str = "") -> str:
        return f"{self._scheme}://{login}@{HOST}:{self._port}{query}"

    def start(self) -> None:
        ready = threading.Event()
        self._inner_port = (
            free_port()
        )  # a new one: smpp34 lets go of its port after stop() returned
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def hang_up(self) -> None:
        """Let go of every connection."""

        async def abort() -> None:
            self._abort()

        asyncio.run_coroutine_threadsafe(abort(), self._loop).result(60)

    def sends(self, id: str, stat: str, to: str = "79215550147", **what: Any) -> Future[Any]:
        """Send a receipt; what comes of that is known when the portal has answered."""
        text = what.pop("text", f"id:{id} sub:001 dlvrd:001 stat:{stat} err:000 text:")
        what = {"esm_class": 4} | what

        async def send() -> Any:
            while self._known < self._let_in:  # who was just bound is not known yet
                await asyncio.sleep(0.001)
            return await self._esme.deliver_sm("IZKT", text.encode(), source_addr=to, **what)

        return asyncio.run_coroutine_threadsafe(send(), self._loop)

    @property
    def texts(self) -> list[str]:
        """The messages as a phone shows them, parts put together."""
        whole: dict[Any, dict[int, str]] = {}
        for part in self.parts:
            key = part.id if part.place is None else (part.to, part.place[:2])
            whole.setdefault(key, {})[part.place[2] if part.place else 1] = part.text
        return ["".join(pieces[place] for place in sorted(pieces)) for pieces in whole.values()]

    # The SMSC

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        smsc = smpp34.Server(HOST, self._inner_port, system_id="SMSC")
        wire = self._loop.run_until_complete(self._begin(smsc))
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        wire.close()
        self._abort()
        self._loop.run_until_complete(self._end(smsc))
        self._loop.close()

    async def _begin(self, smsc: smpp34.Server) -> asyncio.AbstractServer:
        await smsc.start()
        self._work_goes_on = asyncio.create_task(self._work(smsc))
        return await asyncio.start_server(self._carry, HOST, self._port, ssl=self._tls)

    async def _end(self, smsc: smpp34.Server) -> None:
        await smsc.stop()
        left = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _work(self, smsc: smpp34.Server) -> None:
        while True:
            event = await smsc.next()
            if isinstance(event, smpp34.Esme):
                self._esme = event
                self._known += 1
            elif isinstance(event, smpp34.SubmitSmEvent):
                self._decide(event)

    def _decide(self, event: smpp34.SubmitSmEvent) -> None:
        answer = self.answers.popleft() if self.answers else 0
        if isinstance(answer, int) and answer:
            event.reject(answer)
            return
        self._loses = answer == LOSE
        self.is_deaf = answer == HANG
        octets, place = event.short_message, None
        if event.esm_class & UDH:
            place = (octets[3], octets[4], octets[5])
            octets = octets[octets[0] + 1 :]
        id = f"m-{len(self.parts) + 1}"
        self.parts.append(
            Part(
                id,
                (event.source_addr_ton, event.source_addr_npi, event.source_addr),
                (event.dest_addr_ton, event.dest_addr_npi, event.destination_addr),
                event.registered_delivery,
                event.data_coding,
                octets,
                place,
            )
        )
        event.accept(id)

    # The wire in front of it

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_smsc = await asyncio.open_connection(HOST, self._inner_port)
        self._open |= {writer, to_smsc}
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(
                self._carry_in(reader, writer, to_smsc), self._carry_out(behind, writer)
            )
        for each in (writer, to_smsc):
            each.transport.abort()
        self._open -= {writer, to_smsc}

    async def _carry_in(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_smsc: asyncio.StreamWriter,
    ) -> None:
        while True:
            pdu = await _read(reader)
            _, command, _, sequence = HEADER.unpack(pdu[:16])
            name = COMMANDS.get(command, hex(command))
            self.heard.append(name)
            if name == "bind_transceiver":
                system_id, password = pdu[16:].split(b"\0")[:2]
                self.binds.append((system_id.decode(), password.decode()))
                if self.refuses_bind:
                    writer.write(HEADER.pack(16, command | RESPONSE, self.refuses_bind, sequence))
                    continue
                self._let_in += 1
            if name == "submit_sm" and self.answers and self.answers[0] == DROP:
                self.answers.popleft()
                raise ConnectionResetError
            to_smsc.write(pdu)

    async def _carry_out(self, behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            pdu = await _read(behind)
            if self._loses:
                self._loses = False
                raise ConnectionResetError
            if not self.is_deaf:
                writer.write(pdu)

    def _abort(self) -> None:
        for each in self._open:
            each.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length, "big") - 4)
