"""The list: who works for an organisation, and how their second factors stand."""

from typing import Any

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, organisation, recovery
from portal.account import Account
from portal.organisation import Organisation
from portal.pages import respond
from portal.routes.people.blueprint import bp
from portal.routes.people.person import Person, own_organisation, person_of
from portal.routes.people.words import DONE

MOST = 50  # people on a page
FEW = 10  # organisations that are shown without a search
LONGEST_TYPED = 300


@bp.get("")
def page() -> ResponseReturnValue:
    return _page(own_organisation(request.args.get("organisation", "")))


def _page(employer: Organisation, notice: str = "", status: int = 200) -> Response:
    """The people of an organisation: who asks for help comes first, the others as they came."""
    after = request.args.get("after", "")
    email = request.args.get("email", "")[:LONGEST_TYPED].strip()
    shown, following = _found(employer, email) if email else _listed(employer, after)
    return respond(
        "people/page.html",
        status=status,
        employer=employer,
        **_choices(request.args.get("find", "")[:LONGEST_TYPED].strip()),
        people=[person_of(each) for each in shown],
        email=email,
        after=after,
        following=following,
        notice=notice,
        done="" if notice else _done(),
        me=access.me(),
    )


def _listed(employer: Organisation, after: str) -> tuple[list[Account], str]:
    """A page of people, and what begins the next one. Who asks for help is on the first alone."""
    listed = account.people_of(employer.id, after=after, most=MOST + 1)
    asking = [each.owner for each in recovery.routed_in(employer.id, MOST)]
    known = {each.id for each in asking}
    others = [each for each in listed[:MOST] if each.id not in known]
    following = listed[MOST - 1].id if len(listed) > MOST else ""
    return others if after else asking + others, following


def _found(employer: Organisation, email: str) -> tuple[list[Account], str]:
    """Who has that email, among the people of the organisation."""
    found = account.find_by_email(email)
    return ([found] if found and account.is_of(found, employer.id) else []), ""


def _choices(find: str) -> dict[str, object]:
    """Which organisations there are to choose from: the few there are, or what a search finds."""
    mine = organisation.search(of=access.me().id, most=FEW + 1)
    if len(mine) <= FEW:
        return {"choices": mine if len(mine) > 1 else [], "searches": False, "find": ""}
    found = organisation.search(find, of=access.me().id, most=FEW + 1) if find else []
    return {"choices": found[:FEW], "has_more": len(found) > FEW, "searches": True, "find": find}


def _done() -> str:
    """What was just done, if it is still so: the address says with whom."""
    for verb, say in DONE.items():
        id = request.args.get(verb)
        found = account.find(id) if id else None
        if found and account.administers(access.me(), found):
            return say(person_of(found))
    return ""


def list_of(person: Person, notice: str, status: int) -> Response:
    """The list as it is now, in answer to what cannot be done."""
    return _page(own_organisation(person.organisation_id), notice, status)


def back_to_list(person: Person, done: str) -> ResponseReturnValue:
    """To the list, which says what was done with whom."""
    where: dict[str, Any] = {"organisation": person.organisation_id, done: person.account.id}
    return redirect(url_for(".page", **where), 303)
