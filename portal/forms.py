"""Forms: what was typed and whether it can be read; what it means is for the nouns to say."""

from collections.abc import Mapping

from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField, TextAreaField

from portal.checks import BadValueError, has_link
from portal.language import gettext as _
from portal.organisation import EDITED_CHECKS, FIELD_CHECKS, Details, details_in, misfits

LONGEST_COMMENT = 2000
LONG_FIELDS = {"name", "legal_address", "postal_address"}  # typed on more than one line
SAME, OTHER = "same", "other"  # the responsible person, or somebody else


class ReportForm(FlaskForm):  # type: ignore[misc]
    """For each field of the record, a mark that it is wrong and what would be right."""

    comment = TextAreaField()

    def read(self, details: Details) -> dict[str, str]:
        """The marked fields with their right values; what cannot be taken is in `errors`."""
        proposed = {}
        for name, check in FIELD_CHECKS.items():
            field = self[f"new_{name}"]
            typed = (field.data or "").strip()
            if not typed and not self[f"wrong_{name}"].data:
                continue
            if not typed:
                proposed[name] = ""
                continue
            try:
                proposed[name] = check(typed)
            except BadValueError as error:
                field.errors = [str(error)]
                continue
            if proposed[name] == getattr(details, name):
                field.errors = [
                    _("Так и записано. Укажите другое значение или сотрите это и снимите отметку.")
                ]
        self._check_comment(proposed)
        return proposed

    def _check_comment(self, proposed: dict[str, str]) -> None:
        comment = (self.comment.data or "").replace("\r\n", "\n").strip()
        if len(comment) > LONGEST_COMMENT:
            self.comment.errors = [
                _("Слишком длинно: не больше %(count)s знаков.", count=LONGEST_COMMENT)
            ]
        elif (
            any(not sign.isprintable() and sign != "\n" for sign in comment) or "\ufffd" in comment
        ):
            self.comment.errors = [_("Уберите непечатаемые знаки.")]
        elif has_link(comment):
            self.comment.errors = [_("Здесь не может быть ссылки.")]
        elif not comment:
            if not proposed and not any(self.errors.values()):
                self.comment.errors = [_("Отметьте, что неверно, или напишите в комментарии.")]
            for name, new in proposed.items():
                if not new:
                    self[f"new_{name}"].errors = [
                        _("Укажите, как правильно, или поясните в комментарии.")
                    ]
        self.comment.data = comment


for _name in FIELD_CHECKS:
    setattr(ReportForm, f"wrong_{_name}", BooleanField())
    setattr(ReportForm, f"new_{_name}", StringField())


class EditForm(FlaskForm):  # type: ignore[misc]
    """All that an administrator may change of an organisation, and who the person is."""

    person = StringField()

    def read(self, began: Mapping[str, str]) -> dict[str, str]:
        """Each value in its one spelling; what cannot be taken is in `errors`.

        `began` is what the form was drawn from: another name than that one's raises a question.
        """
        values = {}
        for name, check in EDITED_CHECKS.items():
            typed = self[name].data or ""
            if name in LONG_FIELDS:
                typed = typed.replace("\r\n", " ").replace("\n", " ")
            try:
                values[name] = check(typed)
            except BadValueError as error:
                self[name].errors = [str(error)]
        if not self.is_answered(began, {**began, **values}):
            self.ask_who()
        self.point_at(misfits(values))
        return values

    def is_answered(self, began: Mapping[str, str], values: Mapping[str, str]) -> bool:
        """Whether it is said who is meant, or the name is the same."""
        is_same = details_in(began).is_same_person(details_in(values))
        return is_same or self.person.data in {SAME, OTHER}

    def ask_who(self) -> None:
        self.person.errors = [_("Выберите: исправлено написание или это другой человек.")]

    def point_at(self, wrong: Mapping[str, str]) -> None:
        for name, sentence in wrong.items():
            self[name].errors = [sentence]


for _name in EDITED_CHECKS:
    setattr(EditForm, _name, StringField())
