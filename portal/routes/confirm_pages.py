"""What the responsible person is answered: the page as it is now, and a sentence with it."""

from datetime import datetime

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import clock, confirmation, language, organisation
from portal.checks import display_phone
from portal.confirmation import Answer, Confirmation, Judgement, Standing, Wait
from portal.language import gettext as _
from portal.organisation import Details
from portal.pages import htmx, note_refused, respond, retry_after, sorry
from portal.routes.opened import is_opened
from portal.written import written


def again(id: str) -> Confirmation:
    """The request as it is after the step."""
    found = confirmation.find(id)
    assert found is not None, "a request is never deleted while it is worked on"
    return found


def page(
    found: Confirmation,
    *,
    popup: bool = False,
    status: int = 200,
    error: str = "",
    typed: str = "",
) -> Response:
    """The page, with the popup where there is a code to type; the sentence stands in front."""
    if status == 200 and found.standing not in {
        Standing.OPEN,
        Standing.COMPLETED,
        Standing.REPORTED,
    }:
        status = 410
    popup = popup and found.is_open and not found.phone_confirmed_at and found.code is not None
    if popup and found.pause_ends_at:
        error = _pause(found.pause_ends_at)
    return respond(
        "confirm/page.html",
        "confirm/_confirmation.html",
        status=status,
        confirmation=found,
        popup=popup,
        notice="" if popup else error,
        error=error if popup else "",
        typed=typed,
        next_code=confirmation.next_code(found) if popup else None,
        changes=_changes(found),
        written="" if found.is_open else written(),
        organisation_fields=organisation.ORGANISATION_FIELDS,
        person_fields=organisation.PERSON_FIELDS,
    )


def done(id: str, *, popup: bool) -> ResponseReturnValue:
    """After a step: htmx gets the part at once, a plain form is sent to its page."""
    if not htmx():
        return redirect(url_for(".code_page" if popup else ".page", id=id), 303)
    return page(again(id), popup=popup)


def sent(id: str, wait: Wait | None, *, popup: bool) -> ResponseReturnValue:
    if wait is None:
        return done(id, popup=popup)
    sentence = _pause(wait.until) if wait.paused else _too_soon(wait.until, code=popup)
    return retry_after(page(again(id), popup=popup, status=429, error=sentence), wait.until)


def email_page(found: Confirmation, link_id: str, status: int, *, stale: str = "") -> Response:
    return respond(
        "confirm/email.html",
        "confirm/_link.html",
        status=status,
        confirmation=found,
        link_id=link_id,
        works=works(found, link_id),
        stale=stale,
        opened=is_opened(found.id),
    )


def works(found: Confirmation, link_id: str) -> bool:
    link = found.email_link
    return found.awaits_email_link and link is not None and link.id == link_id


def advice(answer: Answer) -> tuple[str, int]:
    """What a person does about a code that was not taken, and the answer's status."""
    moment = answer.moment or clock.now()
    match answer.judgement:
        case Judgement.OLDER:
            sentence = _(
                "Это прежний код. В %(time)s мск мы отправили новый — введите его. "
                "Осталось попыток: %(left)s.",
                time=f"{moment.astimezone(clock.MOSCOW):%H:%M}",
                left=answer.tries_left,
            )
        case Judgement.EXPIRED:
            sentence = _("Срок действия кода истёк. Запросите новый код.")
        case Judgement.USED_UP:
            sentence = _("Попытки закончились, этот код больше не действует. Запросите новый.")
        case Judgement.NONE_SENT:
            sentence = _("Код ещё не отправлен. Запросите его.")
        case Judgement.PAUSED:
            return _pause(moment), 429
        case _:
            sentence = _(
                "Неверный код. Сверьте его с СМС. Осталось попыток: %(left)s.",
                left=answer.tries_left,
            )
    return sentence, 422


def _pause(until: datetime) -> str:
    return _(
        "Слишком много неверных кодов подряд. До %(moment)s коды не принимаются; потом запросите "
        "новый.",
        moment=language.moment(until),
    )


def _too_soon(until: datetime, *, code: bool) -> str:
    span = language.duration(until - clock.now())
    if code:
        return _("Новый код можно запросить через %(span)s.", span=span)
    return _("Новое письмо можно отправить через %(span)s.", span=span)


def outside() -> Response:
    note_refused("outside")
    response = respond("confirm/outside.html", status=403, written=written())
    if htmx():
        response.headers["HX-Refresh"] = "true"
    return response


def _changes(found: Confirmation) -> list[tuple[str, str, str]]:
    """What the record says now, for a person whose page is older; nothing of another person.

    Who was sent a link to a wrong address must not read the right one in it for ever.
    """
    overtaken = found.standing in {Standing.CHANGED, Standing.RETIRED}
    if found.is_current or not overtaken or clock.now() >= found.expires_at:
        return []
    now = organisation.find(found.organisation_id)
    if now is None or now.person != found.person:
        return []
    labels = organisation.ORGANISATION_FIELDS | organisation.PERSON_FIELDS
    return [
        (_(labels[name]), _shown(name, found.details), _shown(name, now.details))
        for name in organisation.differences(found.details, now.details)
    ]


def _shown(name: str, details: Details) -> str:
    value: str = getattr(details, name)
    return display_phone(value) if name == "phone" else value


def ended(found: Confirmation) -> Response:
    """A link that was followed after its request had ended."""
    if found.standing is Standing.COMPLETED:
        return respond("confirm/completed.html", status=410, confirmation=found)
    return respond("confirm/page.html", status=410, confirmation=found)


def dead_link() -> Response:
    note_refused("link")
    advice = {
        "confirm.open_link": _(
            "Возможно, адрес скопирован не полностью. Откройте ссылку прямо из письма, а если "
            "это не поможет, попросите администратора организации отправить новое письмо."
        ),
        "confirm.open_email_link": _(
            "Возможно, адрес скопирован не полностью. Откройте ссылку прямо из письма, а если "
            "это не поможет, запросите новое письмо на странице с данными организации."
        ),
    }
    return sorry(410, _("Ссылка не действует"), advice[request.endpoint or ""])


def reopen() -> Response:
    return sorry(
        410,
        _("Откройте ссылку из письма"),
        _(
            "В этом браузере её ещё не открывали или открывали давно. Всё, что вы подтвердили, "
            "сохранилось."
        ),
    )
