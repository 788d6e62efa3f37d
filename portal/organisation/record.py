"""One version of an organisation's requisites and of its responsible person."""

import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

from portal import checks, keys
from portal.language import mark as _

ORGANISATION_FIELDS = {
    "name": _("Наименование"),
    "short_name": _("Краткое наименование"),
    "inn": _("ИНН"),
    "kpp": _("КПП"),
    "ogrn": _("ОГРН"),
    "legal_address": _("Юридический адрес"),
    "postal_address": _("Почтовый адрес"),
}
PERSON_FIELDS = {
    "last_name": _("Фамилия"),
    "first_name": _("Имя"),
    "patronymic": _("Отчество"),
    "position": _("Должность"),
    "phone": _("Номер мобильного телефона"),
    "email": _("Email"),
}
CONTACTS = ("phone", "email")  # of these fields: what the responsible person confirms

FIELD_CHECKS = {
    "name": checks.text(500),
    "short_name": checks.text(200),
    "inn": checks.inn,
    "kpp": checks.kpp,
    "ogrn": checks.ogrn,
    "legal_address": checks.text(500),
    "postal_address": checks.text(500, required=False),
    "last_name": checks.text(100),
    "first_name": checks.text(100),
    "patronymic": checks.text(100, required=False),
    "position": checks.text(200),
    "phone": checks.phone,
    "email": checks.email,
}
"""How each field is checked, whoever fills it in."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a record says, each value in its one spelling; the phone is E.164."""

    name: str
    short_name: str
    inn: str
    kpp: str
    ogrn: str
    legal_address: str
    postal_address: str
    last_name: str
    first_name: str
    patronymic: str
    position: str
    phone: str
    email: str

    @classmethod
    def read(cls, stored: str) -> "Details":
        return cls(**json.loads(stored))

    def written(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.last_name, self.first_name, self.patronymic) if part)

    def is_same_person(self, other: "Details") -> bool:
        """Whether both name one person: the same last and first name, case and ё apart."""
        return _plain(self.last_name) == _plain(other.last_name) and _plain(
            self.first_name
        ) == _plain(other.first_name)

    def is_named_as(self, other: "Details") -> bool:
        """Whether both have the same name, the patronymic with it, case and ё apart."""
        return _plain(self.full_name) == _plain(other.full_name)


class Change(NamedTuple):
    """A value as it was, and as it is or is going to be."""

    field: str
    old: str
    new: str


def compare(old: Details, new: Details) -> list[Change]:
    """What differs, in the order of the page."""
    before, after = asdict(old), asdict(new)
    return [
        Change(name, before[name], after[name])
        for name in (*ORGANISATION_FIELDS, *PERSON_FIELDS)
        if before[name] != after[name]
    ]


def differences(old: Details, new: Details) -> list[str]:
    """The names of the fields that differ, in the order of the page."""
    return [change.field for change in compare(old, new)]


def fingerprints(kind: str, value: str) -> tuple[bytes, ...]:
    """What a phone or an email is known by in the database; an email whatever its case."""
    return keys.fingerprints(value.lower(), kind)


def _plain(name: str) -> str:
    return name.casefold().replace("ё", "е")
