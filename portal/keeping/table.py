"""The table: what is kept how long, and why. docs/personal-data.md tells it to people.

Lines are swept in this order: what refers to others goes before what it refers to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Table

from portal import config
from portal.account.session import Stage
from portal.account.tables import (
    account_changes,
    account_links,
    accounts,
    sessions,
    wrong_passwords,
)
from portal.campaign.tables import campaign_items, campaigns
from portal.confirmation.tables import codes, confirmations, email_links, proofs
from portal.device.tables import backup_codes, code_sets, devices
from portal.diagnostics import diagnostics
from portal.gateways.inbox import inbox
from portal.journal import events
from portal.keeping import conditions
from portal.keeping.conditions import BEFORE
from portal.limits import uses
from portal.organisation import memberships, organisations, records
from portal.organisation.tables import drafts, organisation_words
from portal.outbox import messages
from portal.recovery.case import OPEN_LASTS
from portal.recovery.tables import cases, facts
from portal.verification.tables import verifications

LIMITS_KEPT = timedelta(days=2)  # the longest limit counts 24 hours back
PENDING_KEPT = timedelta(days=1)  # of a session that is over
SHORT_KEPT = timedelta(days=30)  # what worked for minutes or days: while somebody may ask about it
ANSWERS_KEPT = OPEN_LASTS + timedelta(days=4)  # of a case whose time ran out: longer than any lasts
TYPED_KEPT = timedelta(days=90)  # lines that were no organisation: while the list is worked on
NEVER_CAME_KEPT = timedelta(days=180)  # after the last invitation: half a year's leave is over
DRAFTS_KEPT = timedelta(days=180)  # as long: nobody goes on typing after that
SIGN_INS_KEPT = timedelta(days=365)  # a recovery asks whether a computer was seen before
CAMPAIGNS_KEPT = timedelta(days=365)  # a list is asked for again in the next year at the latest


def _messages() -> timedelta:
    return timedelta(days=config.settings.keep_messages_days)


def _records() -> timedelta:
    return timedelta(days=config.settings.keep_records_days)


def _cases() -> timedelta:
    return OPEN_LASTS + timedelta(days=config.settings.keep_cases_days)  # since none can be open


def _accounts() -> timedelta:
    return timedelta(days=config.settings.keep_accounts_days)


@dataclass(frozen=True, slots=True, eq=False)  # a line is itself alone
class Line:
    """How long rows of a table are kept, once `over` says that their time runs."""

    table: Table
    what: str
    why: str
    over: ColumnElement[bool] | None = None
    """None: as long as what they belong to, as `why` says."""
    span: timedelta | Callable[[], timedelta] = timedelta()
    wiped: Mapping[str, object] | None = None
    """What is written over these columns; the row stays. None: the row goes."""
    is_noted: bool = False
    """Whether the journal has a line for each, so that one transaction holds one chain."""
    personal: tuple[str, ...] = ()
    """Columns that speak of a person, or by which one is found."""

    @property
    def kept_for(self) -> timedelta:
        return self.span() if callable(self.span) else self.span


KEEPING: tuple[Line, ...] = (
    # Counts, and what works for a short time
    Line(
        uses,
        "счётчики частоты",
        "Limits count back a day at most; a key is a fingerprint of what is limited.",
        uses.c.at < BEFORE,
        LIMITS_KEPT,
        personal=("key",),
    ),
    Line(
        wrong_passwords,
        "счётчики неверных паролей",
        "Wrong passwords in a row, by the fingerprint of the email that was typed.",
        conditions.WRONG_PASSWORDS,
        SHORT_KEPT,
        personal=("key",),
    ),
    Line(
        codes,
        "коды из СМС",
        "A code works for minutes; its row says how often it was tried.",
        codes.c.expires_at < BEFORE,
        SHORT_KEPT,
    ),
    Line(
        email_links,
        "ссылки для подтверждения email",
        "A link works for a day; after that its row only says why it is dead.",
        email_links.c.expires_at < BEFORE,
        SHORT_KEPT,
    ),
    Line(
        sessions,
        "незавершённые входы",
        "A sign-in without a second factor, or an enrolment.",
        (sessions.c.ends_at < BEFORE) & (sessions.c.stage != Stage.FULL),
        SHORT_KEPT,
        personal=("address", "agent", "pending"),
    ),
    Line(
        sessions,
        "начатые шаги входов",
        "A code, a secret or a challenge that was shown and never kept: it is of no use any more.",
        sessions.c.pending.is_not(None) & (sessions.c.ends_at < BEFORE),
        PENDING_KEPT,
        wiped={"pending": None},
        personal=("pending",),
    ),
    Line(
        sessions,
        "входы",
        "«Мои устройства» shows them, and a recovery asks whether a computer was seen before.",
        sessions.c.ends_at < BEFORE,
        SIGN_INS_KEPT,
        personal=("address", "agent", "pending"),
    ),
    Line(
        devices,
        "имена удалённых устройств",
        "A dropped device proves nothing; when it was added is an answer in a recovery.",
        conditions.DEVICE_NAME,
        SHORT_KEPT,
        wiped={"name": ""},
        personal=("name", "secret", "credential_id", "public_key"),
    ),
    Line(
        backup_codes,
        "резервные коды прежних наборов",
        "Only seals; a set that was dropped, or never typed back, opens nothing.",
        conditions.BACKUP_CODE,
        SHORT_KEPT,
    ),
    Line(
        code_sets,
        "прежние наборы резервных кодов",
        "As its codes.",
        conditions.CODE_SET,
        SHORT_KEPT,
    ),
    Line(
        inbox,
        "письма и СМС страницы /inbox",
        "Only where letters stay in the house, for trying things out.",
        inbox.c.arrived_at < BEFORE,
        SHORT_KEPT,
        personal=("recipient", "subject", "text", "html"),
    ),
    # Recoveries
    Line(
        cases,
        "ответы в обращениях",
        "An ended case has none; of one whose time ran out without a word they go here.",
        conditions.ANSWERS,
        ANSWERS_KEPT,
        wiped={"answers": None},
        personal=("answers",),
    ),
    Line(
        cases,
        "обращения о восстановлении доступа",
        "Who let whom in again: until nobody can complain of it any more.",
        conditions.CASE,
        _cases,
        personal=("answers",),
    ),
    Line(
        diagnostics,
        "диагностики компьютера",
        "The evidence of a case, and kept with it; without one of no use after an hour.",
        conditions.DIAGNOSTICS,
        SHORT_KEPT,
        personal=("address", "agent", "number"),
    ),
    # Organisations
    Line(
        drafts,
        "черновики",
        "An edit that was never applied.",
        drafts.c.saved_at < BEFORE,
        DRAFTS_KEPT,
        personal=("typed",),
    ),
    Line(
        campaign_items,
        "набранные строки списков",
        "A line that was none of the administrator's organisations may be anything.",
        conditions.TYPED,
        TYPED_KEPT,
        wiped={"typed": None},
        personal=("typed",),
    ),
    Line(
        campaign_items,
        "строки списков",
        "What came of a list of requests.",
        conditions.ITEM,
        CAMPAIGNS_KEPT,
        personal=("typed",),
    ),
    Line(campaigns, "списки", "As its lines.", conditions.CAMPAIGN, CAMPAIGNS_KEPT),
    Line(
        verifications,
        "прежние проверки",
        "The last two that ended well stay: what counts, and what it was compared with.",
        conditions.VERIFICATION,
        _records,
        personal=("remarks",),
    ),
    Line(
        proofs,
        "подтверждения прежних контактов",
        "A contact that nobody has on record any more; going back to it would ask anew.",
        conditions.PROOF,
        _records,
        personal=("value", "fingerprint", "address", "person"),
    ),
    Line(
        confirmations,
        "сообщения об ошибках",
        "What the person said is wrong; the last one is still offered to the administrator.",
        conditions.REPORT,
        _records,
        wiped={"report": None},
        personal=("report",),
    ),
    Line(
        confirmations,
        "прежние запросы",
        "The last one stays, and those by which a contact was confirmed that counts.",
        conditions.REQUEST,
        _records,
        personal=("report",),
    ),
    Line(
        records,
        "прежние записи организаций",
        "What an organisation said before; counted from when it said something else.",
        conditions.RECORD,
        _records,
        is_noted=True,
        personal=("details", "phone_fingerprint", "email_fingerprint", "person"),
    ),
    Line(
        messages,
        "письма, которых никому не писали",
        "Who asks for a new password of an email without an account has the same rows written.",
        conditions.TO_NOBODY,
        SHORT_KEPT,
    ),
    Line(
        messages,
        "адреса отправленных писем и СМС",
        "That a message left is told by its row, which stays; to whom is only needed for a while.",
        conditions.RECIPIENT,
        _messages,
        wiped={"recipient": "", "words": None},
        personal=("recipient", "words"),
    ),
    # Accounts
    Line(
        accounts,
        "учётные записи, в которые никто не вошёл",
        "Nobody followed the last invitation to the end.",
        conditions.NEVER_CAME,
        NEVER_CAME_KEPT,
        is_noted=True,
        personal=("email", "email_fingerprint", "name", "phone", "password"),
    ),
    Line(
        accounts,
        "приостановленные учётные записи",
        "Whoever sent or decided a verification that is kept stays named in it.",
        conditions.SUSPENDED,
        _accounts,
        is_noted=True,
        personal=("email", "email_fingerprint", "name", "phone", "password"),
    ),
    Line(
        account_links,
        "ссылки приглашений и новых паролей",
        "An account that nobody came for is counted from its last one.",
        account_links.c.expires_at < BEFORE,
        NEVER_CAME_KEPT,
    ),
    # What stays as long as what it belongs to
    Line(
        account_changes,
        "прежние имена, email и телефоны учётных записей",
        "As long as the account: they are answers in a recovery.",
        personal=("old",),
    ),
    Line(
        facts,
        "сведения для восстановления доступа",
        "As long as the account: they are answers in a recovery.",
        personal=("answer", "fingerprint"),
    ),
    Line(memberships, "принадлежность к организациям", "As long as the account."),
    Line(
        organisations,
        "организации",
        "As long as the organisation orders cards; it names its administrator's email.",
        personal=("administrator_email", "networks"),
    ),
    Line(
        organisation_words,
        "слова для поиска",
        "Fingerprints of the current record's words, made anew with it.",
        personal=("word",),
    ),
    Line(
        events,
        "журнал",
        "As long as the portal: its chains are the proof of who did what. It names people by ids "
        "that lead nowhere once the account is erased, and the addresses requests came from.",
        personal=("actor", "address"),
    ),
)
