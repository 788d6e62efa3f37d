"""Letters leave by SMTP, through Flask-Mail and a connection of our own.

Flask-Mail's connection has no time-out, does not check certificates after STARTTLS and is opened
anew for every letter; this one mends that. RFC 5321 for the reply codes, RFC 3834 for the header
that keeps automatic answers away.
"""

import contextlib
import re
import smtplib
import ssl
import time
from email.charset import BASE64, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.policy import compat32
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote, urlsplit

import flask_mail
from flask import Flask

from portal import clock, config
from portal.gateways import deadline
from portal.gateways.outgoing import Outgoing, Reason, TakenOver, Trouble

TIMEOUT_SECONDS = 8  # for each reply, from its question to its last sign
ANSWER_SECONDS = 60  # for the one to a letter: it may be looked through first (RFC 5321, 4.5.3.2.6)
LEAST_SECONDS = 30  # a letter whose answer could not be awaited for so long is not handed over
LETTER_SECONDS = 80  # for all of a letter: then it is not another worker's yet
SPARE_SECONDS = 10  # before it may be another's, to say goodbye and to note what came of it
GOODBYE_SECONDS = 2  # nothing depends on it
LONGEST_REPLY = 64 * 1024
GO_ON = 354  # the server waits for the letter
TAKEN = 250  # as smtplib knows it; the first digit is what counts (RFC 5321, 4.2.1)
IDLE_SECONDS = 5  # a connection unused for longer is asked whether it still lives
PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # in a header they begin another one
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}

# Any mail server takes base64; and a long comment in it has no line longer than RFC 5322 allows.
PLAIN = Charset("utf-8")
PLAIN.body_encoding = BASE64


# Flask-Mail writes letters by a policy that parses every header anew: thrice the CPU.
WIRE = compat32.clone(linesep="\r\n")


class Letter(flask_mail.Message):
    """A letter in two forms, of which a mail program shows the one it likes better.

    Begun without Flask-Mail's own `__init__`: for an id that is not used it looks up the name of
    this computer, and where DNS does not answer that takes as long as all replies of a server.
    """

    def __init__(self, message: Outgoing) -> None:
        self.sender = config.settings.mail_sender
        self.recipients = [message.recipient]
        self.cc, self.bcc, self.reply_to = [], [], None
        self.subject = message.subject
        self.body = message.text
        self.alts = {"html": message.html}
        self.date = message.posted_at.timestamp()
        # The same letter tried again keeps its id, so that a mail program shows it once.
        self.msgId = f"<{message.id}@{config.settings.host}>"
        self.charset = PLAIN  # type: ignore[assignment] # email.mime takes either
        self.mail_options, self.rcpt_options = [], []
        self._written = self._message().as_bytes()

    def as_bytes(self) -> bytes:
        return self._written

    def _message(self) -> MIMEMultipart:
        letter = MIMEMultipart("alternative", boundary=f"={self.msgId[1:23]}=")
        letter.policy = WIRE
        headers: dict[str, Any] = {  # compat32 takes a Header, too
            "Subject": Header(self.subject, "utf-8", header_name="Subject"),
            "From": flask_mail.sanitize_address(self.sender),
            "To": flask_mail.sanitize_address(self.recipients[0]),
            "Date": formatdate(self.date, localtime=True),
            "Message-ID": self.msgId,
        }
        for name, value in (headers | HEADERS).items():
            letter[name] = value
        letter.attach(self._mimetext(self.body))
        letter.attach(self._mimetext(self.html, "html"))
        return letter


class Host(smtplib.SMTP):
    """A mail server; `maybe_taken` while it has a letter and has not said what it does with it."""

    maybe_taken = False
    message: Outgoing | None = None
    hands_over = False  # a letter was announced

    def getreply(self) -> tuple[int, bytes]:
        """The server's; where it waits for a letter, the last look whether to send it."""
        if self.file is None and self.sock is not None:
            self.file = deadline.reader(self.sock)
        patience = ANSWER_SECONDS if self.maybe_taken else TIMEOUT_SECONDS
        with deadline.within(patience, LONGEST_REPLY):
            reply = super().getreply()
        if self.sock is not None:
            self.sock.settimeout(TIMEOUT_SECONDS)  # for what is said next, not what was left of it
        if reply[0] == GO_ON and self.hands_over and self.message:
            self.message.must_be_ours()  # a letter without its end is none
            if not deadline.has(LEAST_SECONDS):
                raise Trouble(Reason.BUSY)
            self.maybe_taken = True
        return reply

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Hand a letter over. What is neither yes nor no, said of it, is no answer."""
        self.hands_over = True
        code, text = super().data(msg)
        if code // 100 not in {2, 4, 5}:
            self.close()
            raise smtplib.SMTPServerDisconnected("no answer")
        self.hands_over = self.maybe_taken = False
        return (TAKEN if code // 100 == 2 else code), text


class TlsHost(Host, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte on."""


class Connection(flask_mail.Connection):
    """A connection with a time-out, a checked certificate and the name of our own host."""

    def configure_host(self) -> Host:
        mail = self.mail
        ours = config.settings.host
        if mail.use_ssl:
            host: Host = TlsHost(
                mail.server, mail.port, ours, timeout=TIMEOUT_SECONDS, context=_checked()
            )
        else:
            host = Host(mail.server, mail.port, ours, timeout=TIMEOUT_SECONDS)
        try:
            if mail.use_tls:
                host.starttls(context=_checked())
            if mail.username:
                host.login(mail.username, mail.password or "")
        except BaseException:
            host.close()
            raise
        return host


class Smtp:
    """A gateway for letters at `smtp://`, `smtps://` or `smtp+starttls://`."""

    def __init__(self, url: str, way: str = "smtp") -> None:
        self.way = way
        parts = urlsplit(url)
        app = Flask(__name__)  # Flask-Mail reads an app's settings; this one has only those
        app.config.update(
            MAIL_SERVER=parts.hostname,
            MAIL_PORT=parts.port or PORTS[parts.scheme],
            MAIL_USE_SSL=parts.scheme == "smtps",
            MAIL_USE_TLS=parts.scheme == "smtp+starttls",
            MAIL_USERNAME=unquote(parts.username or "") or None,
            MAIL_PASSWORD=unquote(parts.password or "") or None,
        )
        self._app = app
        self._mail = flask_mail.Mail(app)
        self._connection: Connection | None = None
        self._used_at = 0.0

    def send(self, message: Outgoing) -> str:
        letter = _letter(message)
        with deadline.within(_seconds_for(message)):
            return self._send(message, letter)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.host is not None:
            with (
                deadline.within(GOODBYE_SECONDS),
                contextlib.suppress(OSError, smtplib.SMTPException),
            ):
                connection.host.quit()
            connection.host.close()

    def _send(self, message: Outgoing, letter: Letter) -> str:
        try:
            with self._app.app_context():
                self._open(message).send(letter)
        except (TakenOver, Trouble):  # at the last look: the server waits for the letter
            self._hang_up()
            raise
        except Exception as error:
            trouble = _trouble(error)
            if self._maybe_taken():
                trouble = Trouble(Reason.UNKNOWN)  # sent again with the same id, it is shown once
            self.close()
            raise trouble from error
        self._used_at = time.monotonic()
        return ""

    def _hang_up(self) -> None:
        """Let go of the connection without a word: the server would take it for the letter's."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.host is not None:
            connection.host.close()

    def _maybe_taken(self) -> bool:
        host = self._connection.host if self._connection else None
        return isinstance(host, Host) and host.maybe_taken

    def _open(self, message: Outgoing) -> Connection:
        if self._connection is not None and time.monotonic() - self._used_at > IDLE_SECONDS:
            self._close_if_dead()
        if self._connection is None:
            self._connection = Connection(self._mail)
            self._connection.__enter__()
        if isinstance(self._connection.host, Host):
            self._connection.host.message = message
        return self._connection

    def _close_if_dead(self) -> None:
        host = self._connection.host if self._connection else None
        try:
            alive = host is not None and host.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            alive = False
        if not alive:
            self.close()


def _letter(message: Outgoing) -> Letter:
    """The letter as it leaves. Raises Trouble if it cannot be written."""
    # Flask-Mail would write to another mailbox than one in Cyrillic; few servers take RFC 6531.
    takes = message.recipient.rpartition("@")[0].isascii()
    if not takes or CONTROLS.search(message.subject + message.recipient):
        raise Trouble(Reason.REFUSED, permanent=True)
    try:
        return Letter(message)
    except Exception as error:
        raise Trouble(Reason.REFUSED, permanent=True) from error


def _seconds_for(message: Outgoing) -> float:
    """How long a letter may take: nobody is waited for when it may be another worker's."""
    if message.ours_until is None:
        return LETTER_SECONDS
    ours = (message.ours_until - clock.now()).total_seconds()
    return min(LETTER_SECONDS, ours - SPARE_SECONDS)


def _checked() -> ssl.SSLContext:
    return ssl.create_default_context()


def _trouble(error: Exception) -> Trouble:
    match error:
        case smtplib.SMTPRecipientsRefused():
            return _by_code(max(int(refusal[0]) for refusal in error.recipients.values()))
        case smtplib.SMTPDataError():
            return _by_code(error.smtp_code)
        case smtplib.SMTPConnectError():
            return Trouble(Reason.UNREACHABLE)
        case smtplib.SMTPResponseException():
            # A greeting, a password or a sender is ours: no letter is refused for good by it.
            return Trouble(Reason.MISCONFIGURED if error.smtp_code >= 500 else Reason.BUSY)
        case smtplib.SMTPNotSupportedError() | ssl.SSLError():
            return Trouble(Reason.MISCONFIGURED)
        case _:  # the connection broke, or a server answers what nobody foresaw
            return Trouble(Reason.UNREACHABLE)


def _by_code(code: int) -> Trouble:
    if code >= 500:
        return Trouble(Reason.REFUSED, permanent=True)
    return Trouble(Reason.BUSY)
