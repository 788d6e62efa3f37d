"""What is true of an account: facts that were imported, and what our own records know.

Facts are personal data: they are compared (`answers`), never shown. Whoever looks them up says so
in the journal.
"""

from sqlalchemy import bindparam, insert, select

from portal import clock, journal, keys
from portal.account import Account, Change, changes_of
from portal.database import db
from portal.device import first_added_at
from portal.recovery import answers, dates, questions
from portal.recovery.dates import Precision
from portal.recovery.questions import Kind, Question, Source
from portal.recovery.spelling import words
from portal.recovery.tables import facts

_FORMER = {"former_name": "name", "former_email": "email", "former_phone": "phone"}
_CHANGED = {"name_changed": "name", "email_changed": "email", "phone_changed": "phone"}

_ADD = insert(facts)
_KNOWN = select(facts.c.id).where(
    facts.c.account_id == bindparam("account"),
    facts.c.service == bindparam("service"),
    facts.c.question == bindparam("question"),
    facts.c.fingerprint == bindparam("fingerprint"),
)
_OF_SERVICE = (
    select(facts.c.question, facts.c.answer)
    .where(facts.c.account_id == bindparam("account"), facts.c.service == bindparam("service"))
    .order_by(facts.c.id)
)


def keep(account_id: str, service: str, question: str, answer: str, actor: str) -> bool:
    """Keep a fact, in the running transaction; False if it is known already.

    Service, question and answer are checked already. A fact is added to those that are there:
    for the comparison all of them are true.
    """
    # The account is part of it: nobody sees which accounts have the same answer.
    value = "\n".join((account_id, service, question, answer))
    prints = keys.fingerprints(value, "fact")
    place = {"account": account_id, "service": service, "question": question}
    if any(db.one(_KNOWN, **place, fingerprint=each) for each in prints):
        return False
    db.execute(
        _ADD,
        {
            "account_id": account_id,
            "service": service,
            "question": question,
            "answer": answer,
            "fingerprint": prints[0],
            "imported_at": clock.now(),
        },
    )
    journal.record(
        journal.of_account(account_id), "fact.imported", actor, service=service, question=question
    )
    return True


def facts_of(account: Account, service_key: str) -> dict[str, list[str]]:
    """The facts of an account by the keys of a service's questions; those without any are left out.

    What our own records answer is answered by them alone. A fact that can be told from what the
    account says now proves nothing, and is left out: a specialist sees it, and so may others.
    """
    service = questions.catalogue()[service_key]
    imported: dict[str, list[str]] = {}
    for row in db.all(_OF_SERVICE, account=account.id, service=service_key):
        imported.setdefault(row.question, []).append(row.answer)
    changes = changes_of(account)
    found = {}
    for question in service.questions:
        if question.source is Source.OWN:
            answers_of = _own(account, question, changes)
        else:
            answers_of = imported.get(question.key, [])
        found[question.key] = [each for each in answers_of if not _is_told(account, question, each)]
    return {key: each for key, each in found.items() if each}


def _own(account: Account, question: Question, changes: list[Change]) -> list[str]:
    """What our own records answer to one of `questions.OWN_RECORDS`."""
    if question.key in _FORMER:
        field = _FORMER[question.key]
        return [each.old for each in changes if each.field == field and each.old]
    if question.key in _CHANGED:
        field = _CHANGED[question.key]
        moments = [each.changed_at for each in changes if each.field == field and each.old]
    elif question.key == "second_factor":
        added_at = first_added_at(account.id)
        moments = [added_at] if added_at else []
    else:
        moments = [account.created_at]
    precision = Precision.MINUTE if question.kind is Kind.MOMENT else Precision.DAY
    return [dates.written(each, precision) for each in moments]


def _is_told(account: Account, question: Question, fact: str) -> bool:
    """Whether name, email or phone, or some words of them, are the right answer."""
    for now in (account.name, account.email, account.phone):
        shared = " ".join(word for word in words(fact) if word in words(now))
        if answers.matches(question, now, fact) or answers.matches(question, shared, fact):
            return True
    return False
