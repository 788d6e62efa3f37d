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

OF_A_FIELD = re.compile("^(new|remark)_")  # a value that is proposed for it, what is wrong with it
LABELS = EDITED_FIELDS | {
    "comment": _("Комментарий"),
    "whole": _("Замечание"),
    "list": _("Список"),
}


def written() -> str:
    """The words of the form that was sent, a line for each field; "" if there are none to show."""
    if request.method != "POST" or not _is_readable() or not cookie.seems_own_form():
        return ""
    lines = [
        f"{translated(LABELS[field])}: {words.strip()}"
        for name, words in request.form.items()
        if (field := OF_A_FIELD.sub("", name)) in LABELS and words.strip()
    ]
    return "\n".join(lines)


def _is_readable() -> bool:
    try:
        return request.form is not None
    except HTTPException:  # longer than anything a person writes
        return False
