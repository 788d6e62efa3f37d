"""What is said of a message that never left: what it was, why, and the one thing to do.

For every reason and every kind of addressee there is one sentence for the specialist and one for
the administrator: they can do different things about it. What the message said is never shown.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from portal import account, history
from portal.checks import display_phone
from portal.gateways import Reason
from portal.language import gettext as translated
from portal.language import mark as _
from portal.outbox import PERSONS, Failed


class Whose(StrEnum):
    """To whom a message went, so who knows what is wrong with the address."""

    PERSON = "person"
    ADMINISTRATOR = "administrator"
    OWNER = "owner"  # of an account


class Action(NamedTuple):
    """The one thing to do, in a sentence; `again` if the specialist's page has the button."""

    specialist: str
    administrator: str = ""
    again: bool = False


class Told(NamedTuple):
    """A message that never left, in words."""

    id: str
    what: str
    recipient: str
    organisation_id: str | None
    failed_at: datetime
    reason: str
    action: str
    may_be_sent_again: bool


LETTER = _("Письмо «%(title)s»")
ANY_LETTER, ANY_SMS = _("Письмо"), _("СМС")
NO_ADDRESS = _("адрес не читается")

BUSY_MAIL = _("Почтовый сервер четыре часа был недоступен или просил повторить позже.")
BUSY_SMS = _("Шлюз СМС четыре часа был недоступен или просил повторить позже.")
REASONS = {
    (Reason.REFUSED, "email"): _("Почтовый сервер отказался принять письмо на этот адрес."),
    (Reason.REFUSED, "sms"): _("Шлюз СМС отказался отправить сообщение на этот номер."),
    (Reason.GIVEN_UP, "email"): BUSY_MAIL,
    (Reason.GIVEN_UP, "sms"): BUSY_SMS,
    (Reason.UNREACHABLE, "email"): BUSY_MAIL,
    (Reason.UNREACHABLE, "sms"): BUSY_SMS,
    (Reason.BUSY, "email"): BUSY_MAIL,
    (Reason.BUSY, "sms"): BUSY_SMS,
    (Reason.UNKNOWN, "email"): _(
        "Связь с почтовым сервером прервалась, и неизвестно, ушло ли письмо."
    ),
    (Reason.UNKNOWN, "sms"): _("Связь со шлюзом СМС прервалась, и неизвестно, ушла ли СМС."),
    (Reason.EXPIRED, "email"): _("Письмо не удалось отправить, пока оно действовало."),
    (Reason.EXPIRED, "sms"): _("СМС не удалось отправить, пока она действовала."),
    (Reason.MISCONFIGURED, "email"): _(
        "Почта портала настроена неверно: сервер не принимает его отправителя, пароль или "
        "сертификат."
    ),
    (Reason.MISCONFIGURED, "sms"): _("Отправка СМС в портале настроена неверно."),
}

REQUEST_AGAIN = _("Запросите подтверждение ещё раз. Не поможет — позвоните в поддержку.")
CALL_SUPPORT = _("Позвоните в поддержку: ошибка в настройках портала.")
OPERATOR = _("Сообщите оператору портала.")
OPERATOR_FIRST = _("Сообщите оператору портала, а когда он исправит настройки, отправьте ещё раз.")
AGAIN = _("Возможно, сервер уже работает: отправьте ещё раз.")
ASK_FIRST = _("Спросите получателя, пришло ли сообщение. Если нет, отправьте ещё раз.")
ACTIONS = {
    (Reason.REFUSED, Whose.PERSON, "email"): Action(
        _("Попросите администратора исправить email и запросить подтверждение ещё раз."),
        _("Проверьте email: исправьте его в данных организации и запросите подтверждение ещё раз."),
    ),
    (Reason.REFUSED, Whose.PERSON, "sms"): Action(
        _("Попросите администратора исправить номер телефона и запросить подтверждение ещё раз."),
        _(
            "Проверьте номер телефона: исправьте его в данных организации и запросите "
            "подтверждение ещё раз."
        ),
    ),
    (Reason.REFUSED, Whose.ADMINISTRATOR, "email"): Action(
        _(
            "Уточните email в организации: верный — отправьте ещё раз, неверный — попросите "
            "исправить его в данных."
        ),
        _("Исправьте email администратора в данных организации."),
        again=True,
    ),
    (Reason.REFUSED, Whose.OWNER, "email"): Action(
        _(
            "Уточните у владельца email: верный — отправьте ещё раз, неверный — сообщите "
            "оператору портала."
        ),
        again=True,
    ),
    (Reason.REFUSED, Whose.OWNER, "sms"): Action(
        _(
            "Уточните у владельца телефон: верный — отправьте ещё раз, неверный — сообщите "
            "оператору портала."
        ),
        again=True,
    ),
    (Reason.GIVEN_UP, Whose.PERSON, "email"): Action(AGAIN, REQUEST_AGAIN, again=True),
    (Reason.GIVEN_UP, Whose.ADMINISTRATOR, "email"): Action(
        AGAIN, _("Ничего делать не нужно: всё, о чём было письмо, видно на этой странице."), True
    ),
    (Reason.GIVEN_UP, Whose.OWNER, "email"): Action(AGAIN, again=True),
    (Reason.GIVEN_UP, Whose.OWNER, "sms"): Action(AGAIN, again=True),
    (Reason.UNKNOWN, Whose.PERSON, "email"): Action(
        ASK_FIRST, _("Спросите, пришло ли письмо. Если нет, запросите подтверждение ещё раз."), True
    ),
    (Reason.UNKNOWN, Whose.PERSON, "sms"): Action(
        _("Ничего делать не нужно: если СМС не пришла, человек запросит новый код сам."),
        _(
            "Спросите ответственное лицо, пришла ли СМС. Если нет, пусть запросит новый код на той "
            "же странице."
        ),
    ),
    (Reason.UNKNOWN, Whose.ADMINISTRATOR, "email"): Action(
        ASK_FIRST,
        _("Ничего делать не нужно: всё, о чём было письмо, видно на этой странице."),
        True,
    ),
    (Reason.UNKNOWN, Whose.OWNER, "email"): Action(ASK_FIRST, again=True),
    (Reason.UNKNOWN, Whose.OWNER, "sms"): Action(ASK_FIRST, again=True),
    (Reason.EXPIRED, Whose.PERSON, "sms"): Action(
        _("Ничего делать не нужно: код устарел, новый человек запросит на своей странице."),
        _(
            "Попросите ответственное лицо запросить новый код на той же странице. Не поможет — "
            "позвоните в поддержку."
        ),
    ),
    (Reason.EXPIRED, Whose.OWNER, "email"): Action(
        _("Ничего делать не нужно: письмо устарело, новое владелец запросит сам.")
    ),
    (Reason.MISCONFIGURED, Whose.PERSON, "email"): Action(OPERATOR_FIRST, CALL_SUPPORT, True),
    (Reason.MISCONFIGURED, Whose.ADMINISTRATOR, "email"): Action(
        OPERATOR_FIRST, CALL_SUPPORT, True
    ),
    (Reason.MISCONFIGURED, Whose.OWNER, "email"): Action(OPERATOR_FIRST, again=True),
    (Reason.MISCONFIGURED, Whose.OWNER, "sms"): Action(OPERATOR_FIRST, again=True),
}
OUTDATED = {  # where sending again would be right, had it not come too late
    Whose.PERSON: Action(
        _("Ничего делать не нужно: это письмо уже не действует."),
        _("Ничего делать не нужно: это письмо уже не действует."),
    ),
    Whose.ADMINISTRATOR: Action(
        _("Ничего делать не нужно: всё, о чём было письмо, видно на странице организации."),
        _("Ничего делать не нужно: всё, о чём было письмо, видно на этой странице."),
    ),
    Whose.OWNER: Action(_("Ничего делать не нужно: это сообщение уже не действует.")),
}
# What is over and still needs somebody. A case has one code: another one needs a new case.
LOST = {
    (Reason.REFUSED, "case_code"): Action(
        _(
            "Код не дошёл, и второго не будет. Уточните у владельца email: неверный исправит "
            "оператор портала. Если обращение ещё открыто, закройте его отказом; пусть владелец "
            "начнёт новое."
        )
    ),
    (Reason.UNKNOWN, "case_code"): Action(
        _(
            "Спросите владельца, пришёл ли код: тогда он действует. Если нет, второго не будет: "
            "закройте обращение отказом; пусть владелец начнёт новое."
        )
    ),
    (Reason.EXPIRED, "case_code"): Action(
        _("Код не успел уйти, и второго не будет: пусть владелец начнёт новое обращение.")
    ),
    (Reason.REFUSED, "password"): Action(
        _(
            "Уточните у владельца email: неверный исправит оператор портала. Новое письмо владелец "
            "запросит сам."
        )
    ),
}
ELSE = Action(OPERATOR, CALL_SUPPORT)


def whose(message: Failed) -> Whose:
    """To whom a message went."""
    if message.account_id:
        return Whose.OWNER
    return Whose.PERSON if message.letter in PERSONS else Whose.ADMINISTRATOR


def tell(message: Failed) -> Told:
    """A message in words for a specialist."""
    action = _action(message)
    again = action.again and message.may_be_sent_again
    return _told(message, action.specialist, again=again)


def tell_administrator(message: Failed) -> Told:
    """The same for the administrator of its organisation, who asks for another one instead."""
    return _told(message, _action(message).administrator, again=False)


def what(message: Failed) -> str:
    """What a message was, without anything that it said."""
    if message.channel == "sms":
        return translated(history.SMS.get(message.letter, ANY_SMS))
    title = history.LETTERS.get(message.letter)
    return translated(LETTER, title=translated(title)) if title else translated(ANY_LETTER)


def _action(message: Failed) -> Action:
    to = whose(message)
    action = ACTIONS.get((message.reason, to, message.channel), ELSE)
    lost = LOST.get((message.reason, message.letter))
    if lost and not message.may_be_sent_again:
        return lost
    return OUTDATED[to] if action.again and not message.may_be_sent_again else action


def _told(message: Failed, action: str, *, again: bool) -> Told:
    return Told(
        message.id,
        what(message),
        _recipient(message),
        message.organisation_id,
        message.failed_at,
        translated(REASONS[message.reason, message.channel]),
        translated(action),
        again,
    )


def _recipient(message: Failed) -> str:
    """Where a message went. Of an account only whose it is: a recovery may ask for the address."""
    owner = account.find(message.account_id) if message.account_id else None
    if owner:
        return owner.called
    if not message.recipient:
        return translated(NO_ADDRESS)
    return display_phone(message.recipient) if message.channel == "sms" else message.recipient
