"""Verifications: who works on one, what a decision changes, and what it rests on."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, select, update

from portal import account, confirmation, editing, journal, organisation, outbox, verification
from portal.account import Account, Role
from portal.confirmation.tables import proofs
from portal.database import db
from portal.gateways import Reason, Trouble
from portal.journal import BrokenLine, events
from portal.organisation import MovedError, Status
from portal.organisation.tables import memberships
from portal.outbox import messages
from portal.verification import Outcome, Sent, Verification
from portal.verification.tables import verifications
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import act
from tests.undelivered import fail
from tests.verifying import change, confirm, found, kept, send, waiting, waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Post, Time

ID = "ORG-004217"
HERE = "10.20.0.3"
BEGINNING = datetime.min.replace(tzinfo=UTC)


def person(email: str, role: Role = Role.SPECIALIST, of: str | None = None) -> Account:
    made = act(account.create, email, role, of, email.partition("@")[0], "", "tests")
    assert isinstance(made, Account)
    return made


@pytest.fixture
def administrator(keep: Callable[..., None]) -> Account:
    keep()
    return person(ADMINISTRATOR, Role.ADMINISTRATOR, ID)


@pytest.fixture
def orlov(administrator: Account) -> Account:
    return person("orlov@izkt.example")


@pytest.fixture
def belova(administrator: Account) -> Account:
    return person("belova@izkt.example")


@pytest.fixture
def sent(administrator: Account) -> Verification:
    """An organisation that waits, with nobody working on it."""
    return waiting(ID, administrator)


def taken(one: Verification, by: Account) -> Verification:
    assert act(verification.take, one, by)
    return kept(one.id)


def verify(one: Verification, by: Account) -> Any:
    return act(verification.verify, one, by, HERE)


def give_back(one: Verification, by: Account, **remarks: str) -> None:
    act(verification.send_back, one, by, remarks, HERE)


def verified(by: Account, administrator: Account) -> Verification:
    one = taken(waiting(ID, administrator), by)
    assert verify(one, by)
    return kept(one.id)


def evidence(one: Verification) -> verification.Evidence:
    with db.reading():
        return verification.evidence(one)


def lines(name: str) -> list[Any]:
    with db.reading():
        return db.all(select(events).where(events.c.name == name).order_by(events.c.id))


# Sending


def test_what_is_missing_is_said_in_words(administrator: Account) -> None:
    with db.reading():
        assert verification.missing(found(ID)) == [
            "ответственное лицо должно подтвердить номер телефона и email"
        ]
    confirm(ID, "phone")
    with db.reading():
        assert verification.missing(found(ID)) == ["ответственное лицо должно подтвердить email"]


def test_an_organisation_is_sent_once_both_contacts_are_confirmed(administrator: Account) -> None:
    confirm(ID, "email")
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY
    assert found(ID).status is Status.UNVERIFIED
    confirm(ID)
    one = send(ID, administrator)
    assert found(ID).status is Status.SUBMITTED
    assert not found(ID).is_open
    assert (one.record_id, one.submitted_by) == (found(ID).record_id, administrator.id)


def test_an_organisation_waits_once(sent: Verification, administrator: Account) -> None:
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_NOW
    assert waits(ID).id == sent.id


# The queue


def queue(after: Verification | None = None, most: int = 50) -> list[str]:
    where = (after.submitted_at, after.id) if after else (BEGINNING, "")
    with db.reading():
        return [one.organisation_id for one, _of in verification.queue(*where, most=most)]


def test_who_waits_longest_comes_first(administrator: Account, time: Time) -> None:
    for id in ("ORG-3", "ORG-1", "ORG-2"):
        waiting(id, administrator)
        time.passes(minutes=1)
    assert queue() == ["ORG-3", "ORG-1", "ORG-2"]
    assert queue(most=2) == ["ORG-3", "ORG-1"]
    assert queue(waits("ORG-1")) == ["ORG-2"]
    with db.reading():
        [(_one, of)] = verification.queue(waits("ORG-1").submitted_at, waits("ORG-1").id, most=5)
    assert of.details == LOMOVA


def test_those_of_one_moment_are_all_listed_once(administrator: Account) -> None:
    ids = [f"ORG-{number}" for number in range(5)]
    moment = waiting(ids[0], administrator).submitted_at
    for id in ids[1:]:
        waiting(id, administrator)
    with db.writing():
        db.execute(verifications.update().values(submitted_at=moment))
        db.commit()
    seen: list[str] = []
    last = None
    for _turn in ids:
        [id] = queue(last, most=1)
        seen.append(id)
        last = waits(id)
    assert sorted(seen) == ids
    assert queue(last) == []


def test_what_was_decided_leaves_the_queue(sent: Verification, orlov: Account) -> None:
    verify(taken(sent, orlov), orlov)
    assert queue() == []


# Who works on it


def test_a_free_one_is_taken_and_left(sent: Verification, orlov: Account, time: Time) -> None:
    time.passes(minutes=5)
    one = taken(sent, orlov)
    assert one.specialist_id == orlov.id
    assert one.taken_at
    assert one.taken_at > one.submitted_at
    assert act(verification.release, one, orlov)
    assert kept(sent.id).specialist_id is None
    assert kept(sent.id).taken_at is None
    assert [line.actor for line in lines("verification.taken")] == [orlov.id]
    assert [line.actor for line in lines("verification.released")] == [orlov.id]


def test_the_newest_of_a_page_of_organisations_are_read_at_once(
    sent: Verification, orlov: Account
) -> None:
    one = taken(sent, orlov)
    with db.reading():
        assert verification.last_ones([ID, "ORG-2"]) == {ID: one}
        assert verification.last_ones([]) == {}


def test_of_two_who_saw_it_free_one_takes_it(
    sent: Verification, orlov: Account, belova: Account
) -> None:
    assert act(verification.take, sent, orlov)
    assert not act(verification.take, sent, belova)
    assert kept(sent.id).specialist_id == orlov.id


def test_it_is_taken_from_who_is_shown_and_from_nobody_else(
    sent: Verification, orlov: Account, belova: Account
) -> None:
    shown = taken(sent, orlov)
    assert act(verification.take, shown, belova)
    third = person("third@izkt.example")
    assert not act(verification.take, shown, third), "it is Belova's by now"
    assert kept(sent.id).specialist_id == belova.id
    assert json.loads(lines("verification.taken")[-1].details)["instead_of"] == orlov.id


def test_only_who_works_on_it_leaves_it(
    sent: Verification, orlov: Account, belova: Account
) -> None:
    one = taken(sent, orlov)
    assert not act(verification.release, one, belova)
    assert kept(sent.id).specialist_id == orlov.id


def test_what_is_decided_is_nobodys_to_take(
    sent: Verification, orlov: Account, belova: Account
) -> None:
    one = taken(sent, orlov)
    verify(one, orlov)
    assert not act(verification.take, kept(one.id), belova)
    assert not act(verification.take, one, belova)
    assert not act(verification.release, one, orlov)


# The decision


def test_a_verified_organisation_is_open_at_once(
    sent: Verification, orlov: Account, administrator: Account
) -> None:
    assert verify(taken(sent, orlov), orlov) is True
    now = found(ID)
    assert (now.status, now.is_open) == (Status.VERIFIED, True)
    assert now.verified_record_id == now.record_id == sent.record_id
    with db.reading():
        copies = db.all(select(memberships).where(memberships.c.organisation_id == ID))
    assert {row.status for row in copies} == {Status.VERIFIED}
    ended = kept(sent.id)
    assert (ended.outcome, ended.remarks, ended.is_open) == (Outcome.VERIFIED, {}, False)
    assert lines("organisation.verified")[0].actor == orlov.id
    assert lines("organisation.verified")[0].address == HERE


def test_the_administrator_is_told_that_it_is_verified(
    sent: Verification, orlov: Account, post: Post
) -> None:
    verify(taken(sent, orlov), orlov)
    letter = post.letters(ADMINISTRATOR)[-1]
    assert letter.subject == "Организация проверена"
    assert LOMOVA.short_name in letter.text
    assert "Операционная часть открыта" in letter.text
    assert ID in letter.text


def test_the_first_time_it_is_returned_to_unverified(sent: Verification, orlov: Account) -> None:
    give_back(taken(sent, orlov), orlov, inn="Не тот ИНН.")
    assert found(ID).status is Status.UNVERIFIED
    assert found(ID).verified_record_id is None
    assert kept(sent.id).outcome is Outcome.RETURNED
    assert kept(sent.id).remarks == {"inn": "Не тот ИНН."}
    assert lines("organisation.unverified")[0].actor == orlov.id


def test_later_it_is_returned_to_editing_and_closed(orlov: Account, administrator: Account) -> None:
    before = verified(orlov, administrator)
    change(ID, position="Директор")
    again = send(ID, administrator)
    assert found(ID).status is Status.RESUBMITTED
    assert found(ID).is_open
    give_back(taken(again, orlov), orlov, position="Не директор.")
    assert found(ID).status is Status.EDITING
    assert not found(ID).is_open
    assert found(ID).verified_record_id == before.record_id


def test_the_administrator_reads_each_remark_in_the_order_of_the_page(
    sent: Verification, orlov: Account, post: Post
) -> None:
    remarks = {"phone": "Не отвечает.", "name": "Без кавычек.", "": "Приложите выписку."}
    act(verification.send_back, taken(sent, orlov), orlov, remarks, HERE)
    letter = post.letters(ADMINISTRATOR)[-1]
    assert letter.subject == "Организация возвращена на доработку"
    said = [letter.text.index(each) for each in ("Приложите", "Без кавычек", "Не отвечает")]
    assert said == sorted(said)
    assert "Номер мобильного телефона\n  Не отвечает." in letter.text
    assert "Обо всей записи\n  Приложите выписку." in letter.text
    assert "откроется, когда специалист проверит" in letter.text
    assert f"http://127.0.0.1:8000/organisations/{ID}" in letter.text


def test_the_administrator_is_told_that_it_is_closed_now(
    orlov: Account, administrator: Account, post: Post
) -> None:
    verified(orlov, administrator)
    change(ID, position="Директор")
    give_back(taken(send(ID, administrator), orlov), orlov, position="Не директор.")
    assert "Операционная часть для сотрудников закрыта" in post.letters(ADMINISTRATOR)[-1].text


def test_remarks_are_readable_only_with_the_key(
    sent: Verification, orlov: Account, everything_stored: Callable[[], bytes]
) -> None:
    give_back(taken(sent, orlov), orlov, inn="Приметное замечание")
    stored = everything_stored()
    assert "Приметное".encode() not in stored
    assert ID.encode() in stored


def test_only_who_works_on_it_decides(sent: Verification, orlov: Account, belova: Account) -> None:
    one = taken(sent, orlov)
    with db.reading():
        assert verification.may_decide(one, orlov)
        assert not verification.may_decide(one, belova)
    for verb in (lambda: verify(one, belova), lambda: give_back(one, belova, inn="Нет.")):
        with pytest.raises(MovedError):
            verb()
    with pytest.raises(MovedError):
        verify(sent, belova)
    assert found(ID).status is Status.SUBMITTED
    assert kept(sent.id).is_open


def test_from_whom_it_was_taken_decides_no_more(
    sent: Verification, orlov: Account, belova: Account
) -> None:
    one = taken(sent, orlov)
    taken(one, belova)
    with pytest.raises(MovedError):
        verify(one, orlov)


def test_a_decision_is_made_once(sent: Verification, orlov: Account, post: Post) -> None:
    one = taken(sent, orlov)
    verify(one, orlov)
    for verb in (lambda: verify(one, orlov), lambda: give_back(one, orlov, inn="Нет.")):
        with pytest.raises(MovedError):
            verb()
    subjects = [each.subject for each in post.letters(ADMINISTRATOR)]
    assert subjects.count("Организация проверена") == 1
    assert found(ID).is_open


def test_nothing_is_verified_that_is_not_confirmed(sent: Verification, orlov: Account) -> None:
    one = taken(sent, orlov)
    with db.writing():
        db.execute(delete(proofs).where(proofs.c.kind == "email"))
        db.commit()
    assert verify(one, orlov) is False
    assert found(ID).status is Status.SUBMITTED
    assert kept(sent.id).is_open
    assert evidence(one).unconfirmed == ["email"]
    give_back(one, orlov, email="Подтвердите ещё раз.")
    assert found(ID).status is Status.UNVERIFIED


def test_what_was_returned_counts_until_it_is_sent_again(
    sent: Verification, orlov: Account, administrator: Account, time: Time
) -> None:
    assert returned() is None
    give_back(taken(sent, orlov), orlov, kpp="Не тот.")
    back = returned()
    assert back
    assert (back.id, back.remarks) == (sent.id, {"kpp": "Не тот."})
    change(ID, kpp="290101002")
    assert returned() == back, "a change answers them, sending ends them"
    time.passes(minutes=1)
    send(ID, administrator)
    assert returned() is None


def returned() -> Verification | None:
    with db.reading():
        return verification.returned(found(ID))


def test_another_record_ends_it(sent: Verification, orlov: Account) -> None:
    one = taken(sent, orlov)
    change(ID, position="Директор")
    assert kept(sent.id).outcome is Outcome.CHANGED
    assert found(ID).status is Status.UNVERIFIED
    with pytest.raises(MovedError):
        verify(one, orlov)
    with db.reading():
        assert verification.open_one(ID) is None


def test_what_is_beside_the_record_ends_nothing(sent: Verification) -> None:
    change(ID, networks="10.20.4.0/24")
    assert kept(sent.id).is_open
    assert found(ID).status is Status.SUBMITTED


# What it rests on


def test_the_first_verification_is_compared_with_nothing(sent: Verification) -> None:
    seen = evidence(sent)
    assert seen.before is None
    assert seen.changes == []
    assert not seen.is_another_person
    assert seen.record.details == LOMOVA
    assert seen.earlier == []


def test_changes_are_since_what_was_verified_not_since_what_was_returned(
    orlov: Account, administrator: Account, time: Time
) -> None:
    first = verified(orlov, administrator)
    time.passes(minutes=1)
    change(ID, position="Директор")
    give_back(taken(send(ID, administrator), orlov), orlov, position="Не директор.")
    time.passes(minutes=1)
    change(ID, position="Диспетчер", kpp="290101002")
    seen = evidence(send(ID, administrator))
    assert seen.before
    assert seen.before.id == first.record_id
    assert [tuple(each) for each in seen.changes] == [
        ("kpp", "290101001", "290101002"),
        ("position", "Главный механик", "Диспетчер"),
    ]
    assert [each.outcome for each in seen.earlier] == [Outcome.RETURNED, Outcome.VERIFIED]
    assert seen.earlier[0].remarks == {"position": "Не директор."}


def test_an_old_verification_still_shows_what_it_was_about(
    orlov: Account, administrator: Account, time: Time
) -> None:
    first = verified(orlov, administrator)
    time.passes(minutes=1)
    change(ID, position="Директор")
    second = taken(send(ID, administrator), orlov)
    verify(second, orlov)
    time.passes(minutes=1)
    change(ID, position="Диспетчер", phone="+79215550199")
    assert evidence(kept(first.id)).changes == []
    seen = evidence(kept(second.id))
    assert [tuple(each) for each in seen.changes] == [("position", "Главный механик", "Директор")]
    assert [each.value for each in seen.contacts] == [LOMOVA.phone, LOMOVA.email]
    assert seen.unconfirmed == []


def test_another_person_is_told_apart(orlov: Account, administrator: Account) -> None:
    verified(orlov, administrator)
    change(ID, last_name="Белых", first_name="Вера")
    confirm(ID)
    assert evidence(send(ID, administrator)).is_another_person


def test_a_new_name_of_the_same_person_is_pointed_at(
    orlov: Account, administrator: Account
) -> None:
    """The proofs stay when the administrator says that only the spelling was wrong."""
    verified(orlov, administrator)
    with db.writing():
        known = organisation.find(ID)
        assert known
        details = replace(known.details, last_name="Мошенников", first_name="Пётр")
        organisation.save(
            ID, details, known.administrator_email, "", administrator.id, is_another_person=False
        )
        db.commit()
    seen = evidence(send(ID, administrator))
    assert not seen.is_another_person
    assert seen.other_names == [LOMOVA.full_name]
    assert {each.person for each in seen.contacts} == {LOMOVA.full_name}
    change(ID, last_name=LOMOVA.last_name, first_name=LOMOVA.first_name)
    confirm(ID)
    assert evidence(send(ID, administrator)).other_names == []


def test_another_patronymic_is_another_name(administrator: Account) -> None:
    """Nobody is asked whether it is the same person, and the proofs stay."""
    waiting(ID, administrator)
    change(ID, patronymic="Петровна")
    assert evidence(send(ID, administrator)).other_names == [LOMOVA.full_name]
    change(ID, patronymic=LOMOVA.patronymic.upper())
    assert evidence(send(ID, administrator)).other_names == []


@pytest.mark.parametrize("email", [ADMINISTRATOR, ADMINISTRATOR.upper()])
def test_an_administrator_who_would_confirm_alone_is_pointed_at(
    administrator: Account, email: str
) -> None:
    assert not evidence(waiting(ID, administrator)).is_administrators_email
    assert evidence(waiting(ID, administrator, email=email)).is_administrators_email


def test_when_the_networks_changed_is_told(administrator: Account) -> None:
    assert evidence(waiting(ID, administrator)).networks_changed is None
    change(ID, "10.20.0.0/16")
    line = evidence(waiting(ID, administrator, position="Диспетчер")).networks_changed
    assert line
    assert line.actor == "tests"


def test_other_changes_do_not_hide_that_the_networks_changed(
    administrator: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["portal.verification.evidence"], "LINES", 3)
    change(ID, "10.20.0.0/16")
    for number in range(9):
        change(ID, "10.20.0.0/16", position=f"Механик {number}")
    line = evidence(waiting(ID, administrator, "10.20.0.0/16")).networks_changed
    assert line
    assert "networks" in line.details["fields"]


def test_what_was_returned_with_remarks_is_not_sent_again_as_it_was(
    orlov: Account, administrator: Account
) -> None:
    """It would open the operational part, whatever the specialist said."""
    verified(orlov, administrator)
    give_back(taken(waiting(ID, administrator, position="Директор"), orlov), orlov, position="Нет.")
    assert found(ID).status is Status.EDITING
    with db.reading():
        assert verification.missing(found(ID)) == ["исправьте строки, на которые указал специалист"]
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY
    change(ID, position="Диспетчер")
    change(ID, position="Директор")
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY, "as it was"
    change(ID, legal_address="163000, г. Архангельск, ул. Садовая, д. 1")
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY, "another row"
    again = taken(waiting(ID, administrator, position="Диспетчер"), orlov)
    act(verification.send_back, again, orlov, {"": "Пришлите приказ по почте."}, HERE)
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.SENT


def test_another_person_mends_no_row_of_the_organisation(
    orlov: Account, administrator: Account
) -> None:
    verified(orlov, administrator)
    address, job = {"legal_address": "Такого адреса нет."}, {"position": "Нет."}
    one = taken(waiting(ID, administrator, legal_address="163000, г. Онега, д. 1"), orlov)
    give_back(one, orlov, **address)
    change(ID, last_name="Новикова")
    confirm(ID)
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY
    one = taken(waiting(ID, administrator, legal_address="163000, г. Онега, д. 2"), orlov)
    give_back(one, orlov, **address, **job)
    change(ID, last_name="Сухова")
    confirm(ID)
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.SENT, "their own row"


def test_remarks_stay_in_force_until_somebody_judges_again(
    orlov: Account, administrator: Account, time: Time
) -> None:
    verified(orlov, administrator)
    time.passes(minutes=1)
    one = taken(waiting(ID, administrator, position="Директор"), orlov)
    time.passes(minutes=1)
    give_back(one, orlov, position="Нет.")
    time.passes(minutes=1)
    waiting(ID, administrator, position="Диспетчер")
    time.passes(minutes=1)
    change(ID, position="Директор")
    back = returned()
    assert back
    assert back.remarks == {"position": "Нет."}
    with db.reading():
        assert verification.is_as_returned(found(ID), verification.last_one(ID))
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY, "as it was"


def test_remarks_on_a_discarded_edit_are_not_said_of_the_next(
    orlov: Account, administrator: Account, time: Time
) -> None:
    verified(orlov, administrator)
    time.passes(minutes=1)
    give_back(taken(waiting(ID, administrator, position="Директор"), orlov), orlov, position="Нет.")
    time.passes(minutes=1)
    act(editing.discard, found(ID), administrator.id, HERE)
    time.passes(days=30)
    change(ID, kpp="290101002")
    assert found(ID).status is Status.EDITING
    assert returned() is None
    with db.reading():
        assert not verification.is_as_returned(found(ID), verification.last_one(ID))
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.SENT


def test_a_discarded_edit_that_is_made_again_has_its_remarks_again(
    orlov: Account, administrator: Account, time: Time
) -> None:
    verified(orlov, administrator)
    time.passes(minutes=1)
    give_back(taken(waiting(ID, administrator, position="Директор"), orlov), orlov, position="Нет.")
    time.passes(minutes=1)
    act(editing.discard, found(ID), administrator.id, HERE)
    time.passes(days=30)
    change(ID, kpp="290101002", position="Директор")
    back = returned()
    assert back
    assert back.remarks == {"position": "Нет."}
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.NOT_READY
    change(ID, position="Диспетчер")
    assert act(verification.submit, found(ID), administrator, HERE) is Sent.SENT


def test_what_was_said_of_an_earlier_one_is_not_sent_any_more(
    sent: Verification, orlov: Account, administrator: Account, post: Post
) -> None:
    give_back(taken(sent, orlov), orlov, kpp="Не тот.")
    with db.writing():
        fail(db.scalar(select(messages.c.id).where(messages.c.letter == "returned")), Reason.BUSY)
        db.commit()
    waiting(ID, administrator, kpp="290101002")
    with db.reading():
        [lost] = outbox.failed_of(ID)
    assert not lost.may_be_sent_again
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == ["Проверка завершена"]


def test_few_earlier_ones_are_listed_newest_first(
    orlov: Account, administrator: Account, time: Time
) -> None:
    for number in range(7):
        one = taken(waiting(ID, administrator, kpp=f"29010100{number}"), orlov)
        give_back(one, orlov, kpp=f"Не {number}.")
        time.passes(minutes=1)
    seen = evidence(waiting(ID, administrator, kpp="290101009"))
    assert [each.remarks["kpp"] for each in seen.earlier] == [f"Не {n}." for n in (6, 5, 4, 3, 2)]


def test_each_contact_says_when_and_by_which_request_it_was_confirmed(
    administrator: Account, time: Time
) -> None:
    confirm(ID, "phone", by="command")
    time.passes(hours=1)
    confirm(ID, "email", by=administrator.id)
    seen = evidence(send(ID, administrator))
    phone, email = seen.contacts
    assert (phone.value, email.value) == (LOMOVA.phone, LOMOVA.email)
    assert phone.confirmed_at
    assert email.confirmed_at
    assert phone.confirmed_at < email.confirmed_at
    assert [each.id for each in seen.requests] == [phone.confirmation_id, email.confirmation_id]
    assert [each.requested_by.id for each in seen.requests] == ["command", administrator.id]
    assert seen.requests[0].requested_by.name == ""
    assert seen.requests[1].requested_by.name == administrator.name
    assert [str(each.standing) for each in seen.requests] == ["retired", "completed"]


def test_one_request_is_told_once(sent: Verification) -> None:
    assert len(evidence(sent).requests) == 1


@pytest.mark.parametrize(
    ("networks", "address", "secure"),
    [
        ("", "10.20.4.17", True),
        ("", "203.0.113.9", False),
        ("", "", False),
        ("10.30.0.0/24", "10.30.0.5", True),
        ("10.30.0.0/24", "10.20.4.17", False),
    ],
)
def test_the_address_is_looked_up_in_the_organisations_own_channel(
    administrator: Account, networks: str, address: str, secure: bool
) -> None:
    change(ID, networks=networks)
    confirm(ID, address=address)
    seen = evidence(send(ID, administrator))
    assert [(each.address, each.is_secure) for each in seen.contacts] == [(address, secure)] * 2


class Broken:
    """A gateway that refuses everything for good."""

    def send(self, message: object) -> str:
        raise Trouble(Reason.REFUSED, permanent=True)

    def close(self) -> None:
        """Nothing is open."""


def test_letters_and_sms_of_the_request_are_told_with_what_became_of_them(
    administrator: Account, ask: Callable[..., str | None], post: Post, time: Time
) -> None:
    asked = ask()
    post.deliver()
    with db.writing():
        request = confirmation.find(asked or "")
        assert request
        confirmation.request_code(request, HERE)
        db.commit()
    outbox.deliver_due("sms", Broken())
    time.passes(minutes=1)
    with db.writing():
        request = confirmation.find(asked or "")
        assert request
        confirmation.send_code_again(request, HERE)
        db.commit()
    code = post.code()
    with db.writing():
        request = confirmation.find(asked or "")
        assert request
        confirmation.enter_code(request, code, HERE)
        db.commit()
    confirm(ID, "email")
    with db.reading():
        request = confirmation.find(asked or "")
    told = [
        (each.letter, each.channel, each.recipient, str(each.state), each.reason)
        for each in next(
            each for each in evidence(send(ID, administrator)).requests if each.id == asked
        ).messages
    ]
    assert told[0] == ("confirmation", "email", LOMOVA.email, "delivered", None)
    assert told[1] == ("code", "sms", LOMOVA.phone, "failed", Reason.REFUSED)
    assert told[2] == ("code", "sms", LOMOVA.phone, "delivered", None)


def test_what_was_withdrawn_before_its_time_is_not_told(sent: Verification, post: Post) -> None:
    """Reminders wait for days; the request that ended withdrew them."""
    [request] = evidence(sent).requests
    with db.reading():
        there = db.all(select(messages).where(messages.c.about == request.id))
    never_due = {row.letter for row in there if row.posted_at > (row.failed_at or row.posted_at)}
    assert not {each.letter for each in request.messages} & never_due


def test_the_evidence_can_be_filed(orlov: Account, administrator: Account, time: Time) -> None:
    verified(orlov, administrator)
    time.passes(minutes=1)
    change(ID, position="Директор")
    one = taken(send(ID, administrator), orlov)
    with db.reading():
        filed = json.loads(json.dumps(verification.written(verification.evidence(one))))
    assert set(filed) == {
        *("made_at", "verification", "organisation", "record", "changes"),
        *("contacts", "confirmations", "reports", "journal", "earlier"),
    }
    assert set(filed["verification"]) == {
        *("id", "record_id", "submitted_at", "submitted_by", "specialist", "taken_at"),
        *("ended_at", "outcome", "remarks"),
    }
    assert filed["verification"]["specialist"] == {"id": orlov.id, "name": "orlov"}
    assert filed["verification"]["outcome"] is None
    assert filed["record"]["fields"]["phone"] == LOMOVA.phone
    assert filed["changes"]["fields"] == [
        {"field": "position", "old": "Главный механик", "new": "Директор"}
    ]
    assert filed["journal"]["is_whole"] is True
    assert filed["journal"]["lines"] == len(journal_of(ID))
    assert [each["kind"] for each in filed["contacts"]] == ["phone", "email"]
    assert filed["contacts"][0]["is_secure"] is True
    assert {each["id"] for each in filed["confirmations"]} == {
        each["confirmation_id"] for each in filed["contacts"]
    }
    [earlier] = filed["earlier"]
    assert earlier["outcome"] == "verified"
    for moment in (filed["made_at"], filed["verification"]["submitted_at"], earlier["ended_at"]):
        assert datetime.fromisoformat(moment).utcoffset() is not None


def test_a_remark_on_the_whole_is_filed_with_no_field(sent: Verification, orlov: Account) -> None:
    act(verification.send_back, taken(sent, orlov), orlov, {"": "Всё не то."}, HERE)
    with db.reading():
        filed: Any = verification.written(verification.evidence(kept(sent.id)))
    assert filed["verification"]["remarks"] == [{"field": None, "remark": "Всё не то."}]


# The chain


def journal_of(id: str) -> list[Any]:
    with db.reading():
        return db.all(select(events).where(events.c.chain == f"organisation:{id}"))


def test_a_chain_is_counted_and_checked_alone(sent: Verification) -> None:
    chain = found(ID).chain
    with db.reading():
        assert journal.broken_line_of(chain) is None
        assert journal.length_of(chain) == len(journal_of(ID)) > 3
        assert journal.broken_line_of("organisation:ORG-nothing") is None
        assert journal.length_of("organisation:ORG-nothing") == 0


def test_a_changed_line_is_found_in_its_own_chain_only(
    sent: Verification, administrator: Account
) -> None:
    other = waiting("ORG-2", administrator)
    broken = (events.c.chain == found(ID).chain) & (events.c.number == 2)
    with db.writing():
        db.execute(update(events).where(broken).values(actor="somebody"))
        db.commit()
    assert evidence(sent).broken_line == BrokenLine(found(ID).chain, 2)
    assert evidence(other).broken_line is None


def test_a_removed_line_is_found(sent: Verification) -> None:
    chain = events.c.chain == found(ID).chain
    with db.writing():
        db.execute(delete(events).where(chain, events.c.number == 2))
        db.commit()
    assert evidence(sent).broken_line == BrokenLine(found(ID).chain, 2)


def test_the_organisations_verifications_are_listed_newest_first(
    orlov: Account, administrator: Account, time: Time
) -> None:
    first = verified(orlov, administrator)
    time.passes(minutes=1)
    change(ID, position="Директор")
    second = send(ID, administrator)
    with db.reading():
        listed = verification.verifications_of(ID, most=5)
        assert [each.id for each in listed] == [second.id, first.id]
        assert [each.id for each in verification.verifications_of(ID, most=1)] == [second.id]
        assert verification.verifications_of("ORG-nothing", most=5) == []
    assert organisation.is_open(found(ID).status)
