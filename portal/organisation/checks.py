"""What the values of an organisation have to be beside each other, and its networks.

The form and the file ask the same functions; what each value is by itself says FIELD_CHECKS.
"""

from collections.abc import Mapping

from portal import readers
from portal.checks import BadValueError
from portal.language import gettext as _
from portal.weakening import WIDEST, is_wide, merged

MOST_NETWORKS = 50


def misfits(values: Mapping[str, str]) -> dict[str, str]:
    """What does not go together, in a sentence for the field that it is said beside.

    Values are good by themselves; one that is not is left out, and nothing is said of it.
    """
    inn, wrong = values.get("inn"), {}
    kpp = _misfit_of_kpp(inn, values["kpp"]) if inn and "kpp" in values else ""
    ogrn = _misfit_of_ogrn(inn, values["ogrn"]) if inn and "ogrn" in values else ""
    if kpp:
        wrong["kpp"] = kpp
    if ogrn:
        wrong["ogrn"] = ogrn
    return wrong


def check_networks(text: str) -> str:
    """An organisation's own networks in one spelling, separated by spaces; none is allowed.

    Raises BadValueError.
    """
    try:
        found = tuple(map(readers.network, text.split()))
    except ValueError:
        raise BadValueError(
            _("Сети пишутся через пробел, например 10.20.4.0/24 10.20.8.0/24.")
        ) from None
    if len(found) > MOST_NETWORKS:
        raise BadValueError(_("Слишком много сетей: не больше %(count)s.", count=MOST_NETWORKS))
    if is_wide(found) or any(each.prefixlen < WIDEST[each.version] for each in merged(found)):
        raise BadValueError(_("Сеть слишком велика: ссылка открывалась бы почти откуда угодно."))
    return " ".join(map(str, found))


def _misfit_of_kpp(inn: str, kpp: str) -> str:
    """A sole proprietor, whose ИНН has 12 digits, has no КПП."""
    if len(inn) == 10 and not kpp:
        return _("КПП пуст только у предпринимателей, их ИНН — из 12 цифр.")
    if len(inn) == 12 and kpp:
        return _("У предпринимателя КПП нет.")
    return ""


def _misfit_of_ogrn(inn: str, ogrn: str) -> str:
    """A sole proprietor has an ОГРНИП of 15 digits."""
    if (len(inn) == 12) != (len(ogrn) == 15):
        return _("ИНН и ОГРН не одного лица: один от организации, другой от предпринимателя.")
    return ""
