"""The shapes in which the API speaks, and who may speak to it."""

import hashlib
import hmac
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from store.tables import AttemptRow, CaseRow, EntryRow, MessageRow
from web.desk import Desk, desk_of
from web.intake import Became

bearer = HTTPBearer(auto_error=False, description="One of DUNWELL_API_KEYS.")


class Answer(BaseModel):
    """What became of a report or a wish. A closed case is a normal answer, not an error."""

    became: Became = Field(description="In a word.")
    sentence: str = Field(description="In a sentence, for a log or a person.")
    case: str | None = Field(default=None, description="The case's id.")
    workflow: str | None = Field(default=None, description="The workflow's id in Temporal.")
    outcome: str | None = Field(default=None, description="How the case ended, if it has.")
    replayed: bool = Field(default=False, description="True when this idempotency key was answered before.")
    others: list["Answer"] = Field(default=[], description="The same for a customer's further cases.")


class CaseSummary(BaseModel):
    """Where a case stands."""

    id: str
    workflow: str
    processor: str
    account: str
    invoice: str
    customer: str
    status: str
    outcome: str | None
    lever: str | None
    sentence: str
    amount: int = Field(description="Minor units of the currency.")
    currency: str
    campaign: str
    campaign_version: int
    arm: str = Field(description="The variant that the customer is in; empty where there are none.")
    chosen_by: str = Field(description="How it came to its campaign: segment, default or named.")
    shadow: bool = Field(description="Whether everything in it is only imagined, its access too.")
    decline: str | None
    access: str
    next_step_at: datetime | None
    failed_at: datetime | None
    closed_at: datetime | None

    @classmethod
    def of(cls, row: CaseRow) -> "CaseSummary":
        """Take what may be shown from a row."""
        return cls(
            workflow=row.workflow_id,
            **{name: getattr(row, name) for name in cls.model_fields if name != "workflow"},
        )


class CaseDetails(CaseSummary):
    """A case with everything that was done in it."""

    attempts: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    journal: list[dict[str, Any]] = []


def attempt_of(row: AttemptRow) -> dict[str, Any]:
    """Give an attempt as the API shows it."""
    shown = {
        "attempt",
        "trigger",
        "method",
        "amount",
        "currency",
        "state",
        "decline",
        "advice",
        "claimed_at",
        "settled_at",
    }
    return row.model_dump(include=shown, mode="json")


def message_of(row: MessageRow) -> dict[str, Any]:
    """Give a message as the API shows it: no address, since an id is enough to find one."""
    shown = {"id", "action", "template", "state", "detail", "claimed_at", "settled_at"}
    return row.model_dump(include=shown, mode="json")


def entry_of(row: EntryRow) -> dict[str, Any]:
    """Give a line of the journal as the API shows it."""
    return row.model_dump(include={"kind", "text", "by", "why", "at"}, mode="json")


class Access(BaseModel):
    """How much of the product a customer keeps, as far as dunning is concerned."""

    customer: str
    access: str = Field(description="full, limited or blocked: the strictest that any open case asks for.")
    has_access: bool = Field(description="False when blocked.")
    payment_failed: bool = Field(description="Whether any payment of theirs is being recovered.")
    cases: list[str] = Field(default=[], description="The open cases, the strictest first.")
    changes_at: datetime | None = Field(default=None, description="When the next step of these cases is due.")


def caller(
    desk: Annotated[Desk, Depends(desk_of)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> str:
    """Let in who has an API key; gives a short name of the key that keeps callers' requests apart."""
    if not desk.settings.api_keys:
        raise HTTPException(401, "no API key is set up: set DUNWELL_API_KEYS on the web side")
    given = credentials.credentials if credentials else ""
    # Every key is compared, each in constant time, so that the time taken tells nothing.
    matches = [
        hmac.compare_digest(given.encode(), key.get_secret_value().encode()) for key in desk.settings.api_keys
    ]
    if not any(matches):
        raise HTTPException(
            401, "send a valid API key: Authorization: Bearer KEY", headers={"WWW-Authenticate": "Bearer"}
        )
    return hashlib.sha256(given.encode()).hexdigest()[:8]


Caller = Annotated[str, Depends(caller)]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Yours to choose; the same key again gets the same answer and does nothing twice.",
    ),
]
