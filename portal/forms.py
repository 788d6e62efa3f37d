"""Forms: what was typed and whether it can be read; what it means is for the nouns to say."""

from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField, TextAreaField

from portal.checks import BadValueError
from portal.language import gettext as _
from portal.organisation import FIELD_CHECKS, Details

LONGEST_COMMENT = 2000


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
                field.errors = [_("Так и записано. Укажите другое значение или снимите отметку.")]
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
