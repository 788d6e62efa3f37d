"""What is said of what was done, or could not be."""

from collections.abc import Callable
from datetime import datetime

from portal import account, language
from portal.account import NotInvited
from portal.language import gettext as _
from portal.language import mark
from portal.outbox import State
from portal.routes.people.person import Factor, Person

NOT_INVITED = {  # what is said beside the email
    NotInvited.HERE: mark(
        "Этот сотрудник уже есть в списке. Изменить роль или пригласить ещё раз можно там."
    ),
    NotInvited.SUSPENDED: mark(
        "Этот сотрудник уже есть в списке, его учётная запись приостановлена. Восстановите её там."
    ),
    **dict.fromkeys(
        (NotInvited.ELSEWHERE, NotInvited.NOT_YOURS),
        mark(
            "Пригласить этот email нельзя. Проверьте, нет ли опечатки; если её нет, "
            "позвоните в поддержку."
        ),
    ),
}


def _told_reset(person: Person) -> str:
    if person.factor is not Factor.SENT or not person.case:
        return ""
    return _(
        "Код отправлен на %(email)s и действует до %(moment)s. Попросите сотрудника ввести на "
        "портале email и пароль, а потом код.",
        email=person.account.email,
        moment=language.moment(person.case.expires_at),
    )


def _told_withdrawn(person: Person) -> str:
    if person.case:
        return ""
    return _(
        "Код отозван, %(name)s узнает об этом из письма. Прежнее устройство и резервные коды "
        "работают.",
        name=person.name,
    )


def _told_refused(person: Person) -> str:
    if person.case:
        return ""
    return _(
        "Отказано, %(name)s узнает об этом из письма. Прежнее устройство и резервные коды "
        "работают.",
        name=person.name,
    )


def _told_invited(person: Person) -> str:
    found = person.invitation
    if found is None or found.letter is State.FAILED:
        return ""
    return _(
        "Приглашение отправлено на %(email)s и действует до %(moment)s.",
        email=person.account.email,
        moment=language.moment(found.until),
    )


def _told_uninvited(person: Person) -> str:
    if person.invitation:
        return ""
    return _(
        "Приглашение отозвано: ссылка из письма больше не действует. %(name)s остаётся в "
        "списке, пригласить можно снова.",
        name=person.name,
    )


def _told_role(person: Person) -> str:
    return _(
        "Роль изменена: %(name)s — %(role)s. Сотрудник узнает об этом из письма.",
        name=person.name,
        role=_(account.ROLE_NAMES[person.account.role]).lower(),
    )


def _told_suspended(person: Person) -> str:
    if not person.is_suspended:
        return ""
    return _(
        "Учётная запись приостановлена: %(name)s больше не может войти и узнает об этом из письма.",
        name=person.name,
    )


def _told_restored(person: Person) -> str:
    if person.is_suspended:
        return ""
    return _(
        "Учётная запись снова действует: %(name)s входит с прежними паролем и устройством и "
        "узнает об этом из письма.",
        name=person.name,
    )


DONE: dict[str, Callable[[Person], str]] = {
    "done": _told_reset,
    "withdrawn": _told_withdrawn,
    "refused": _told_refused,
    "invited": _told_invited,
    "uninvited": _told_uninvited,
    "role": _told_role,
    "suspended": _told_suspended,
    "restored": _told_restored,
}


def open_case() -> str:
    return _("Доступ этого сотрудника уже восстанавливают: вот как обстоит дело.")


def too_many(until: datetime) -> str:
    return _(
        "За час можно отправить не больше 50 приглашений. Следующее — %(moment)s.",
        moment=language.moment(until),
    )
