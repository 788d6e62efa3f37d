"""Recovery: a lost second factor being replaced, one case at a time.

    opened ─a specialist takes the computer's number→ asking ─the answers are enough→ waiting
    routed ─the organisation's administrator agrees→ waiting
    waiting ─a new device is there→ completed
    any of these ─a specialist or administrator→ refused
    any of these ─the owner→ cancelled

Time is not a move: a case that waits is granted once its time has come, and every case expires.
The answers and the computer never open an account, they can only stop a case: what opens it is the
password and a code by letter, after a wait in which the owner is told on every address. Owner,
specialist and second specialist are three people.
"""

from portal.recovery.answers import is_understood
from portal.recovery.assisted import (
    APPROVALS,
    CLAIMS,
    PLACES,
    VERDICTS,
    Approval,
    Claim,
    Evidence,
    Place,
    Verdict,
    approve,
    claim_number,
    decide,
    evidence,
    is_new_look,
    keep_answers,
    note_look,
)
from portal.recovery.case import (
    CHOSEN_REASONS,
    REASONS,
    Case,
    Listed,
    NotOpenError,
    Reason,
    Standing,
    State,
    Which,
    find,
    last_case_of,
    list_cases,
    longest,
    open_case_of,
    routed_in,
)
from portal.recovery.course import (
    CANCEL,
    MOVES,
    cancel_by_change,
    cancel_by_link,
    cancel_by_sign_in,
    cancel_by_suspension,
    cancel_by_wrong_factors,
    case_to_stop,
    may_refuse,
    needs_two,
    refuse,
    refuse_work_of,
)
from portal.recovery.grant import (
    Answer,
    Judgement,
    complete,
    enter_code,
    grant_by_administrator,
)
from portal.recovery.opening import (
    SENTENCES,
    Refusal,
    administrators_of,
    open_by_owner,
    open_by_specialist,
)

__all__ = [
    "APPROVALS",
    "CANCEL",
    "CHOSEN_REASONS",
    "CLAIMS",
    "MOVES",
    "PLACES",
    "REASONS",
    "SENTENCES",
    "VERDICTS",
    "Answer",
    "Approval",
    "Case",
    "Claim",
    "Evidence",
    "Judgement",
    "Listed",
    "NotOpenError",
    "Place",
    "Reason",
    "Refusal",
    "Standing",
    "State",
    "Verdict",
    "Which",
    "administrators_of",
    "approve",
    "cancel_by_change",
    "cancel_by_link",
    "cancel_by_sign_in",
    "cancel_by_suspension",
    "cancel_by_wrong_factors",
    "case_to_stop",
    "claim_number",
    "complete",
    "decide",
    "enter_code",
    "evidence",
    "find",
    "grant_by_administrator",
    "is_new_look",
    "is_understood",
    "keep_answers",
    "last_case_of",
    "list_cases",
    "longest",
    "may_refuse",
    "needs_two",
    "note_look",
    "open_by_owner",
    "open_by_specialist",
    "open_case_of",
    "refuse",
    "refuse_work_of",
    "routed_in",
]
