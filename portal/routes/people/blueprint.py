"""The blueprint that the pages hang on, and the roles that they give."""

from flask import Blueprint

from portal import access
from portal.account import OPERATIONAL, Role

bp = Blueprint("people", __name__, url_prefix="/people")
bp.before_request(access.only(Role.ADMINISTRATOR))

ROLES = [role for role in Role if role in OPERATIONAL]
