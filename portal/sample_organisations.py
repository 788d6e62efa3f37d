"""Sample organisations for `portal run --demo`: one for each thing that can be seen."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from portal import (
    account,
    clock,
    confirmation,
    editing,
    gateways,
    importing,
    organisation,
    outbox,
    sample_people,
    verification,
)
from portal.account import Account
from portal.confirmation import Confirmation
from portal.confirmation.course import prove
from portal.database import db
from portal.organisation import Organisation
from portal.sample_people import ADMINISTRATOR, SECOND, SPECIALIST
from portal.verification import Verification

SAMPLES = Path(__file__).parent / "samples.csv"
ACTOR = "samples"
ADDRESS = "127.0.0.1"
FIRST = "ORG-004217"  # the organisation whose journey is ready to be clicked through

SUBMITTED = "ORG-004229"
VERIFIED = sample_people.OPEN
EDITING = sample_people.BLOCKED
RESUBMITTED = "ORG-004232"
RETURNED = "ORG-004233"
REMARKS = {
    "legal_address": "В выписке из ЕГРЮЛ другой дом: 5.",
    "position": "Укажите должность так, как она названа в приказе.",
}


def seed() -> None:
    """Make the organisations and bring each into its state; once, on an empty database."""
    clock.shift(timedelta(days=-20))
    for _tally in importing.import_file(SAMPLES, ACTOR):
        pass
    clock.reset()
    _ask_for_confirmation()
    sample_people.seed()
    _verify()


def is_there() -> bool:
    """Whether the samples were made by an earlier start."""
    with db.reading():
        return organisation.find(FIRST) is not None


def _ask_for_confirmation() -> None:
    """Requests in every state; the rest were never asked."""
    _request("ORG-004218", "phone")
    _request("ORG-004219", "email")
    _request("ORG-004220", "phone", "email")
    _report("ORG-004221")
    _request("ORG-004222")
    _request("ORG-004222")  # the first letter's link is retired
    _request("ORG-004223")
    _change("ORG-004223", postal_address="390000, г. Рязань, а/я 14")
    clock.shift(timedelta(days=-8))
    _request("ORG-004224")  # expired since yesterday
    clock.reset()
    _request("ORG-004225")  # has networks of its own: its link is outside on this machine


def _verify() -> None:
    """Organisations in every status."""
    clock.shift(timedelta(days=-4))
    for id in (VERIFIED, EDITING, RESUBMITTED, RETURNED):
        _request(id, "phone", "email")
        _submit(id)
    clock.shift(timedelta(hours=2))
    for id in (VERIFIED, EDITING, RESUBMITTED):
        _decide(id)
    _send_back(RETURNED)
    clock.reset()
    clock.shift(timedelta(hours=-3))
    _change(RESUBMITTED, position="Заместитель директора по транспорту")
    _submit(RESUBMITTED)
    _take(RESUBMITTED, SECOND)
    _request(SUBMITTED, "phone", "email")
    _submit(SUBMITTED)
    _change(EDITING, phone="+79105550199")
    _request(EDITING)
    clock.reset()


def _request(id: str, *confirmed: str) -> None:
    with db.writing():
        asked = confirmation.request(_sample(id), ACTOR)
        db.commit()
    outbox.deliver_due("email", gateways.choose("email"))  # the letter came before the answer
    with db.writing():
        for kind in confirmed:
            prove(_asked(asked), kind, ADDRESS)
        db.commit()


def _report(id: str) -> None:
    with db.writing():
        asked = confirmation.request(_sample(id), ACTOR)
        proposed = {"position": "Начальник автоколонны", "phone": "+79215550199"}
        confirmation.report(_asked(asked), proposed, "Номер сменился в октябре.", ADDRESS)
        db.commit()


def _change(id: str, **changed: str) -> None:
    with db.writing():
        found = _sample(id)
        details = replace(found.details, **changed)
        organisation.save(id, details, found.administrator_email, "", ACTOR)
        editing.end_outdated(id, ACTOR)
        db.commit()


def _submit(id: str) -> None:
    with db.writing():
        verification.submit(_sample(id), _person(ADMINISTRATOR), ADDRESS)
        db.commit()


def _decide(id: str) -> None:
    with db.writing():
        verification.verify(_taken(id, SPECIALIST), _person(SPECIALIST), ADDRESS)
        db.commit()


def _send_back(id: str) -> None:
    with db.writing():
        waiting = _taken(id, SPECIALIST)
        verification.send_back(waiting, _person(SPECIALIST), REMARKS, ADDRESS)
        db.commit()


def _take(id: str, email: str) -> None:
    with db.writing():
        _taken(id, email)
        db.commit()


def _taken(id: str, email: str) -> Verification:
    waiting = verification.open_one(id)
    assert waiting, "it was sent a moment ago"
    verification.take(waiting, _person(email))
    return waiting


def _sample(id: str) -> Organisation:
    found = organisation.find(id)
    assert found, "samples.csv has it"
    return found


def _asked(id: str | None) -> Confirmation:
    found = confirmation.find(id or "")
    assert found, "it was requested a moment ago"
    return found


def _person(email: str) -> Account:
    found = account.find_by_email(email)
    assert found, "sample_people has them"
    return found
