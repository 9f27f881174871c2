"""A Stripe that answers what it was told to, for what the stateful stand-in lacks.

Requests and answers alike are checked against Stripe's own description, so that neither can be made up.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from tests.stand_ins.loopback import Answer, LoopbackServer, Request

if TYPE_CHECKING:
    from tests.stand_ins.stripe_description import StripeDescription


class ScriptedStripe(LoopbackServer):
    """Answers each request by what was put down for its path; the last answer is given again."""

    def __init__(self, description: StripeDescription) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self._description = description
        self._answers: dict[tuple[str, str], deque[Answer]] = defaultdict(deque)

    def will_answer(self, method: str, path: str, *bodies: Any) -> None:
        """Put down answers of success, each of which has to be as Stripe describes it."""
        for body in bodies:
            self._description.check_answer(method, path, body)
            self._answers[method, path].append(Answer.of(body, request_id="req_scripted"))

    def will_fail(self, method: str, path: str, status: int, **error: Any) -> None:
        """Put down one failure, whose ``error`` has to be as Stripe describes it."""
        self._description.operation(method, path)
        self._description.check_thing("api_errors", error)
        self._answers[method, path].append(Answer.of({"error": error}, status, request_id="req_scripted"))

    async def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        try:
            self._description.check_request(request.method, request.path, request.parameters)
        except AssertionError as error:
            self.faults.append(str(error))
        answers = self._answers[request.method, request.path]
        if not answers:
            missing = {
                "type": "invalid_request_error",
                "code": "resource_missing",
                "message": "No such thing.",
            }
            return Answer.of({"error": missing}, 404, request_id="req_scripted")
        return answers.popleft() if len(answers) > 1 else answers[0]
