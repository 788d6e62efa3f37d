"""What a person wrote in a form, shown again where the form itself cannot be.

Who is refused because of the hour, the crowd or somebody who was quicker loses nothing: the words
stand on the page of the refusal, to be copied. Fields are named here, so that no password and no
code ever stands on a page; and the form has to be one of ours, so that no other site has its own
words said by the portal.
"""

import re

from flask import request
from werkzeug.exceptions import HTTPException

from portal import cookie
from portal.language import gettext as translated
from portal.language import mark as _
from portal.organisation import EDITED_FIELDS
from portal.recovery.questions import catalogue

OF_A_FIELD = re.compile("^(new|remark)_")  # a value that is proposed for it, what is wrong with it
LABELS = EDITED_FIELDS | {
    "comment": _("Комментарий"),
    "whole": _("Замечание"),
    "list": _("Список"),
}
OF_A_PERSON = {
    "email": _("Email"),
    "name": _("Фамилия, имя, отчество"),
    "phone": _("Мобильный телефон"),
}


def written() -> str:
    """The words of the form that was sent, a line for each field; "" if there are none to show."""
    if request.method != "POST" or not _is_readable():
        return ""
    # Who signed out in another tab has no token any more, and the words all the same.
    if not (cookie.seems_own_form() or cookie.is_said_to_be_own()):
        return ""
    labels = _labels()
    lines = [
        f"{_asking(translated(labels[field]))} {words.strip()}"
        for name, words in request.form.items()
        if (field := OF_A_FIELD.sub("", name)) in labels and words.strip()
    ]
    return "\n".join(lines)


def _asking(label: str) -> str:
    return label if label.endswith("?") else f"{label}:"


def _labels() -> dict[str, str]:
    """What the fields of the form that was sent are called."""
    match (request.endpoint or "").partition(".")[0]:
        case "people":
            return OF_A_PERSON
        case "support":
            services = catalogue().values()
            asked = (each for of in services for each in of.questions)
            return OF_A_PERSON | {f"answer_{each.key}": each.text for each in asked}
        case _:
            return LABELS


def _is_readable() -> bool:
    try:
        request.form  # noqa: B018 - it is read here, for the first time perhaps
    except HTTPException:  # longer than anything a person writes
        return False
    return True
