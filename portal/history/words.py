"""The words of the journal: a sentence for each event, and names for what events speak of."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from portal.account import ROLE_NAMES
from portal.gateways import Reason
from portal.language import mark as _
from portal.organisation import STATUS_NAMES
from portal.recovery import Refusal


class Kind(StrEnum):
    """What a line is about; what a reader chooses from."""

    DATA = "data"
    CONFIRMATION = "confirmation"
    VERIFICATION = "verification"
    MESSAGES = "messages"
    PEOPLE = "people"
    SIGN_IN = "sign_in"
    DEVICES = "devices"
    RECOVERY = "recovery"
    ACCOUNT = "account"


KIND_NAMES = {
    Kind.DATA: _("Данные"),
    Kind.CONFIRMATION: _("Подтверждение"),
    Kind.VERIFICATION: _("Статус и проверка"),
    Kind.MESSAGES: _("Письма и СМС"),
    Kind.PEOPLE: _("Сотрудники"),
    Kind.SIGN_IN: _("Вход"),
    Kind.DEVICES: _("Устройства и коды"),
    Kind.RECOVERY: _("Восстановление доступа"),
    Kind.ACCOUNT: _("Учётная запись"),
}


class Event(NamedTuple):
    """What a name in the journal means."""

    kind: Kind
    sentence: str
    """Its placeholders are details of the line, put in words."""


EVENTS = {
    # Organisations
    "organisation.created": Event(Kind.DATA, _("Организация добавлена")),
    "organisation.changed": Event(Kind.DATA, _("Изменено: %(fields)s")),
    "record.changed": Event(Kind.DATA, _("Изменены данные: %(fields)s")),
    "record.erased": Event(Kind.DATA, _("Прежние данные удалены: срок хранения истёк")),
    "organisation.submitted": Event(
        Kind.VERIFICATION, _("Отправлена на проверку. Статус: «%(old)s» → «%(to)s»")
    ),
    "organisation.resubmitted": Event(
        Kind.VERIFICATION, _("Отправлена на повторную проверку. Статус: «%(old)s» → «%(to)s»")
    ),
    "organisation.verified": Event(Kind.VERIFICATION, _("Статус: «%(old)s» → «%(to)s»")),
    "organisation.editing": Event(Kind.VERIFICATION, _("Статус: «%(old)s» → «%(to)s»")),
    "organisation.unverified": Event(Kind.VERIFICATION, _("Статус: «%(old)s» → «%(to)s»")),
    "verification.taken": Event(Kind.VERIFICATION, _("Проверка взята в работу")),
    "verification.released": Event(Kind.VERIFICATION, _("Проверка возвращена в очередь")),
    "block.reminded": Event(
        Kind.PEOPLE, _("Сотрудник попросил администраторов открыть операционную часть")
    ),
    # Requests to confirm
    "confirmation.requested": Event(Kind.CONFIRMATION, _("Подтверждение данных запрошено")),
    "confirmation.completed": Event(
        Kind.CONFIRMATION, _("Запрос выполнен: телефон и email подтверждены")
    ),
    "confirmation.reported": Event(
        Kind.CONFIRMATION, _("Сообщено об ошибке в данных, запрос закрыт")
    ),
    "confirmation.retired": Event(
        Kind.CONFIRMATION, _("Прежний запрос закрыт: его заменил более новый")
    ),
    "confirmation.changed": Event(Kind.CONFIRMATION, _("Запрос закрыт: данные изменились")),
    "confirmation.cancelled": Event(Kind.CONFIRMATION, _("Запрос отозван")),
    "phone.confirmed": Event(Kind.CONFIRMATION, _("Телефон подтверждён кодом из СМС")),
    "email.confirmed": Event(Kind.CONFIRMATION, _("Email подтверждён по ссылке из письма")),
    "email_link.posted": Event(Kind.CONFIRMATION, _("Запрошено письмо для подтверждения email")),
    "code.posted": Event(Kind.CONFIRMATION, _("Запрошена СМС с кодом")),
    "code.wrong": Event(
        Kind.CONFIRMATION, _("Введён неверный код из СМС, подряд неверных: %(in_a_row)s")
    ),
    "codes.paused": Event(
        Kind.CONFIRMATION, _("Слишком много неверных кодов: приём кодов приостановлен")
    ),
    # Messages
    "message.failed": Event(Kind.MESSAGES, _("Письмо «%(letter)s» не доставлено: %(reason)s")),
    "message.sent_again": Event(Kind.MESSAGES, _("Повторно отправлено: письмо «%(letter)s»")),
    # Accounts
    "account.created": Event(Kind.ACCOUNT, _("Учётная запись создана, роль: %(role)s")),
    "account.joined": Event(Kind.ACCOUNT, _("Добавлена организация %(organisation)s")),
    "account.invited": Event(Kind.ACCOUNT, _("Отправлено приглашение")),
    "invitation.withdrawn": Event(Kind.ACCOUNT, _("Приглашение отозвано")),
    "invitation.refused": Event(
        Kind.ACCOUNT,
        _("Приглашение в организацию %(organisation)s не отправлено: такой email занят"),
    ),
    "account.changed": Event(Kind.ACCOUNT, _("Изменено: %(field)s")),
    "account.suspended": Event(Kind.ACCOUNT, _("Учётная запись приостановлена")),
    "account.restored": Event(Kind.ACCOUNT, _("Учётная запись снова действует")),
    "account.erased": Event(Kind.ACCOUNT, _("Персональные данные учётной записи удалены")),
    "database.restored": Event(  # in chains of both kinds
        Kind.DATA,
        _("База портала восстановлена из копии: прежние запросы, ссылки и сеансы завершены"),
    ),
    "role.changed": Event(Kind.ACCOUNT, _("Роль: «%(old)s» → «%(new)s»")),
    "fact.imported": Event(
        Kind.ACCOUNT, _("Загружен ответ для восстановления доступа: %(service)s")
    ),
    "access.refused": Event(Kind.ACCOUNT, _("Отказано: открывали страницу, на которую нет прав")),
    "session.begun": Event(Kind.SIGN_IN, _("Вход, второй фактор: %(factor)s")),
    "password.wrong": Event(
        Kind.SIGN_IN, _("Введён неверный пароль, подряд неверных: %(in_a_row)s")
    ),
    "password.forgotten": Event(Kind.SIGN_IN, _("Запрошена ссылка для нового пароля")),
    "password.chosen": Event(Kind.SIGN_IN, _("Выбран новый пароль, все сеансы завершены")),
    "factor.wrong": Event(
        Kind.SIGN_IN, _("Второй фактор не подошёл, подряд неверных: %(in_a_row)s")
    ),
    "factors.paused": Event(
        Kind.SIGN_IN, _("Слишком много неверных попыток: вход ненадолго приостановлен")
    ),
    "device.added": Event(Kind.DEVICES, _("Добавлено устройство: %(kind)s")),
    "device.dropped": Event(Kind.DEVICES, _("Удалено устройство: %(kind)s")),
    "codes.made": Event(Kind.DEVICES, _("Получены новые резервные коды, прежние не действуют")),
    "codes.dropped": Event(Kind.DEVICES, _("Резервные коды больше не действуют")),
    "code.used": Event(Kind.DEVICES, _("Использован резервный код, взамен показан новый")),
    # What an administrator does to many organisations at once
    "campaign.started": Event(Kind.ACCOUNT, _("Запросы списком начаты")),
    "campaign.resumed": Event(Kind.ACCOUNT, _("Запросы списком продолжены")),
    "campaign.paused": Event(Kind.ACCOUNT, _("Запросы списком приостановлены")),
    "campaign.cancelled": Event(Kind.ACCOUNT, _("Запросы списком отменены")),
    "campaign.done": Event(Kind.ACCOUNT, _("Запросы списком закончены")),
    # Recoveries
    "case.opened": Event(
        Kind.RECOVERY, _("Начато восстановление доступа: обращение № %(case)s, %(service)s")
    ),
    "case.routed": Event(
        Kind.RECOVERY,
        _("Начато восстановление доступа: обращение № %(case)s передано администратору"),
    ),
    "case.denied": Event(Kind.RECOVERY, _("Восстановление доступа не начато: %(reason)s")),
    "case.asking": Event(
        Kind.RECOVERY, _("Обращением № %(case)s занялся специалист, компьютер показан")
    ),
    "case.waiting": Event(Kind.RECOVERY, _("Восстановление одобрено: обращение № %(case)s")),
    "case.completed": Event(
        Kind.RECOVERY, _("Доступ восстановлен на новом устройстве: обращение № %(case)s")
    ),
    "case.refused": Event(
        Kind.RECOVERY, _("В восстановлении отказано: обращение № %(case)s. %(reason)s")
    ),
    "case.cancelled": Event(
        Kind.RECOVERY, _("Восстановление остановлено: обращение № %(case)s. %(reason)s")
    ),
    "case.code_posted": Event(
        Kind.RECOVERY, _("Подготовлено письмо с кодом для нового устройства: обращение № %(case)s")
    ),
    "case.code_entered": Event(
        Kind.RECOVERY, _("Введён код для нового устройства: обращение № %(case)s")
    ),
    "case.code_wrong": Event(
        Kind.RECOVERY,
        _("Введён неверный код для нового устройства: обращение № %(case)s, попыток: %(tries)s"),
    ),
    "case.number_claimed": Event(
        Kind.RECOVERY, _("Введён номер диагностики компьютера: обращение № %(case)s")
    ),
    "case.number_refused": Event(
        Kind.RECOVERY, _("Номер диагностики чужого компьютера не принят: обращение № %(case)s")
    ),
    "case.looked_up": Event(
        Kind.RECOVERY, _("Специалист смотрел данные для сверки: обращение № %(case)s")
    ),
    "case.approved": Event(
        Kind.RECOVERY, _("Второй специалист подтвердил решение: обращение № %(case)s")
    ),
    "case.approval_refused": Event(
        Kind.RECOVERY, _("Отказано: подтверждать решение должен другой, обращение № %(case)s")
    ),
    "case.own_refused": Event(
        Kind.RECOVERY, _("Отказано: своим обращением занимается другой, № %(case)s")
    ),
    "case.forged": Event(Kind.RECOVERY, _("Открывали обращение, которого нет")),
}
"""Every name that is recorded; a test walks the code for them."""

UNKNOWN = Event(Kind.ACCOUNT, _("Событие «%(name)s»"))  # written by another version of the portal

OF_SMS = {
    "message.failed": _("%(letter)s не доставлена: %(reason)s"),
    "message.sent_again": _("Повторно отправлена: %(letter)s"),
}
DELIVERED = {
    "email": _("Письмо «%(letter)s» передано почтовому серверу"),
    "sms": _("%(letter)s передана оператору связи"),
}
RECEIVED = _("%(letter)s получена телефоном")  # of an SMS; no mail server says it of a letter
LOST = _("%(letter)s передана оператору связи, но телефон её не получил")
MAYBE_LEFT = {
    "email": _("Письмо «%(letter)s», возможно, не ушло: связь с почтовым сервером прервалась"),
    "sms": _("%(letter)s, возможно, не ушла: связь со шлюзом прервалась"),
}
VERIFIED_FROM = {  # what `organisation.verified` came from says what was done
    "submitted": _("Данные проверены. Статус: «%(old)s» → «%(to)s»"),
    "resubmitted": _("Изменённые данные проверены. Статус: «%(old)s» → «%(to)s»"),
    "editing": _("Проверенные реквизиты возвращены. Статус: «%(old)s» → «%(to)s»"),
}
TAKEN_OVER = _("Проверка забрана у коллеги")
RETURNED_TO = {"organisation.unverified", "organisation.editing"}
RETURNED = _("Возвращена с замечаниями. Статус: «%(old)s» → «%(to)s»")

ORGANISATION_KINDS = (
    Kind.DATA,
    Kind.CONFIRMATION,
    Kind.VERIFICATION,
    Kind.MESSAGES,
    Kind.PEOPLE,
)
ACCOUNT_KINDS = (Kind.SIGN_IN, Kind.DEVICES, Kind.RECOVERY, Kind.ACCOUNT, Kind.MESSAGES, Kind.DATA)

LETTERS = {  # by their subjects
    "confirmation": _("Подтверждение данных"),
    "email_link": _("Подтверждение email"),
    "completed": _("Проверка завершена"),
    "reported": _("Сообщение об ошибке в данных"),
    "verified": _("Организация проверена"),
    "returned": _("Организация возвращена на доработку"),
    "block_reminder": _("Сотрудник просит открыть доступ"),
    "reminder": _("Напоминание: подтвердите данные"),
    "unanswered": _("Ответа нет: ссылка больше не действует"),
    "undelivered": _("Сообщение не доставлено"),
    "queue": _("В очереди ждут проверки"),
    "invitation": _("Приглашение в портал ИЗКТ"),
    "password": _("Новый пароль"),
    "account_event": _("Изменение в учётной записи"),
    "case_opened": _("Начато восстановление доступа"),
    "case_routed": _("Сотруднику нужно восстановить доступ"),
    "case_waiting": _("Восстановление доступа одобрено"),
    "case_code": _("Код для нового устройства"),
    "case_completed": _("Новое устройство добавлено"),
    "case_cancelled": _("Восстановление доступа остановлено"),
    "case_refused": _("В восстановлении доступа отказано"),
}
SMS = {
    "code": _("СМС с кодом"),
    "case_opened": _("СМС о восстановлении доступа"),
    "case_waiting": _("СМС об одобренном восстановлении"),
    "case_granted": _("СМС о коде для нового устройства"),
}
TROUBLES = {
    Reason.REFUSED: _("получатель не принимает, проверьте адрес или номер"),
    Reason.UNREACHABLE: _("нет связи с сервером"),
    Reason.BUSY: _("сервер просил повторить позже"),
    Reason.MISCONFIGURED: _("ошибка в настройках портала"),
    Reason.UNKNOWN: _("связь прервалась, и неизвестно, ушло ли сообщение"),
    Reason.EXPIRED: _("срок действия истёк раньше, чем удалось отправить"),
    Reason.GIVEN_UP: _("не удалось отправить за 4 часа"),
    Reason.WITHDRAWN: _("вместо этого отправлено более новое сообщение"),
}
ACTORS = {
    "responsible": _("ответственное лицо"),
    "portal": _("портал"),
    "command": _("оператор портала (командная строка)"),
    "sweep": _("оператор портала (сроки хранения)"),
    "samples": _("учебные данные"),
    "delivery": _("доставка"),
    "unknown": _("кто-то без входа в портал"),
    "time": _("портал"),
}

DENIED = {  # why there is no recovery; its sentences for the phone call are longer
    Refusal.UNKNOWN: _("названный телефон не тот, что в учётной записи"),
    Refusal.OWN: _("свой доступ восстанавливает другой специалист"),
    Refusal.NOT_YOURS: _("это делает не тот, кто вправе"),
    Refusal.NO_SERVICE: _("не выбран сервис"),
    Refusal.NO_DEVICE: _("второй фактор ещё не настроен"),
    Refusal.SUSPENDED: _("учётная запись приостановлена"),
    Refusal.NEW_EMAIL: _("email недавно изменили"),
    Refusal.OPEN_CASE: _("восстановление уже идёт"),
    Refusal.TOO_MANY: _("слишком много попыток за сутки"),
    Refusal.GUESSED: _("слишком много отказов за сутки"),
}
FACTORS = {
    "totp": _("приложение-аутентификатор"),
    "passkey": _("ключ доступа"),
    "code": _("резервный код"),
    "enrolment": _("новое устройство"),
}
BESIDE = {
    "administrator_email": _("email администратора"),
    "networks": _("сети защищённого канала"),
    "name": _("имя"),
    "email": _("email"),
    "phone": _("телефон"),
}
CHANGED = {  # a sentence where one field alone changed
    "name": _("Изменено наименование: %(old)s → %(new)s"),
    "short_name": _("Изменено краткое наименование: %(old)s → %(new)s"),
    "inn": _("Изменён ИНН: %(old)s → %(new)s"),
    "kpp": _("Изменён КПП: %(old)s → %(new)s"),
    "ogrn": _("Изменён ОГРН: %(old)s → %(new)s"),
    "legal_address": _("Изменён юридический адрес: %(old)s → %(new)s"),
    "postal_address": _("Изменён почтовый адрес: %(old)s → %(new)s"),
    "last_name": _("Изменена фамилия: %(old)s → %(new)s"),
    "first_name": _("Изменено имя: %(old)s → %(new)s"),
    "patronymic": _("Изменено отчество: %(old)s → %(new)s"),
    "position": _("Изменена должность: %(old)s → %(new)s"),
    "phone": _("Изменён номер телефона: %(old)s → %(new)s"),
    "email": _("Изменён email: %(old)s → %(new)s"),
}
WORDS: dict[str, Mapping[Any, str]] = {  # by the names of details
    "old": STATUS_NAMES | ROLE_NAMES,
    "new": ROLE_NAMES,
    "to": STATUS_NAMES,
    "role": ROLE_NAMES,
    "factor": FACTORS,
    "kind": FACTORS,
    "field": BESIDE,
    "fields": BESIDE,
    "letter": SMS | LETTERS,
}
NOT_SAID = _("не указано")
ANOTHER_PERSON = _("Назначено другое ответственное лицо")
CHANGED_MANY = _("Изменены данные организации и ответственного лица")
CHANGED_ORGANISATION = _("Изменены сведения об организации")
CHANGED_PERSON = _("Изменены данные ответственного лица")
