"""Stripe behind the processor protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import httpx
import stripe

from errors import BadInput, BadSettings, BadSignature, NotKnown, ProcessorError, ProcessorRefused
from keys import OWN_ACCOUNT
from processors.protocol import (
    ChangeResult,
    ChargeAnswer,
    ChargeResult,
    Invoice,
    ReinstateResult,
    SubscriptionChange,
)
from processors.stripe_charge import CLOSED, PAY_EXPANSIONS, judge_answer, judge_decline, judge_refusal
from processors.stripe_connection import StripeConnection
from processors.stripe_errors import translate
from processors.stripe_events import read_reports
from processors.stripe_invoice import EXPANSIONS, needs_request, paid_at, read_invoice_body
from processors.stripe_methods import CUSTOMER_EXPANSIONS, default_of, read_method, usable
from processors.stripe_shapes import NOTHING, Body, charge_of, expanded, identifier, rows, text
from processors.stripe_subscription import is_so, judge_undoing, update_for, update_to_undo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from stripe import RequestOptions
    from stripe.params import InvoicePayParams
    from stripe.params.billing_portal import SessionCreateParams

    from processors.protocol import Card, ChargeRequest, Report

# Ours, because Stripe's client waits 80 seconds: an activity must be able to answer within a minute.
# A charge waits for a bank; a reading can simply be made again, and three of them may follow each other.
CHARGE_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
READ_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
# How old a webhook may be, in seconds; Stripe's own default (https://docs.stripe.com/webhooks#replay-attacks).
TOLERANCE = 300
# Around the moment of payment, in seconds, in which Stripe writes the event that announces it.
EVENT_BEFORE, EVENT_AFTER = 5, 300
# Sources are charged by another parameter than payment methods.
SOURCE_PREFIXES = ("card_", "src_", "ba_")
# Stripe's own limit of a page.
MOST_METHODS = 100


class StripeProcessor:
    """Stripe, with one key for one account or, by ``account``, for those connected to it.

    ``api_base`` is another address than Stripe's own, for tests. Without ``webhook_secret`` no webhook
    is believed.
    """

    name = "stripe"

    def __init__(
        self, *, api_key: str, webhook_secret: str | None = None, api_base: str | None = None
    ) -> None:
        """Make a client that never retries by itself and never reports timings to Stripe.

        Retries are Temporal's, where they can be seen; two layers of them would multiply. Raises
        BadSettings where the key is none, such as one with the end of its line still on it.
        """
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
            raise BadSettings("DUNWELL_STRIPE_API_KEY is empty, or has a space or a line's end in it")
        # The client has no option for it: the module's switch is the only one.
        stripe.enable_telemetry = False
        self._webhook_secret = webhook_secret
        self._connection = StripeConnection(reads=READ_TIMEOUT, changes=CHARGE_TIMEOUT)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
            max_network_retries=0,
            http_client=self._connection,
        )

    async def read_invoice(self, account: str, invoice: str) -> Invoice:
        """Read an invoice with its subscription, customer and card as they are now.

        Two requests, and a third where it is paid: the last charge lies deeper than Stripe expands, and
        who paid is told only by the event (kept for 30 days, and only where the key may read events).
        """
        body = await self._fetch(account, invoice)
        charge = await self._charge_of(account, body)
        request = await self._paying_request(account, body) if needs_request(body) else None
        return read_invoice_body(body, charge, request)

    async def read_card(self, account: str, customer: str, method: str | None) -> Card | None:
        """Read a stored method of the customer's, or with None the customer's own default.

        None where the customer has no such method, or none at all.
        """
        if method is None:
            return read_method(default_of(found := await self._customer(account, customer)), found)
        doing = f"reading card {method} of customer {customer}"
        service, options = self._client.v1.customers, _options(account)
        call: Awaitable[stripe.StripeObject] = (
            service.payment_sources.retrieve_async(customer, method, {}, options)
            if method.startswith(SOURCE_PREFIXES)
            else service.payment_methods.retrieve_async(customer, method, {}, options)
        )
        try:
            body = await _ask(call, doing, changes=False)
        except NotKnown:
            return None
        return read_method(body, await self._customer(account, customer))

    async def read_methods(self, account: str, customer: str) -> Sequence[Card]:
        """Read every stored method of the customer's that can be charged without them, the default first.

        Stripe lists cards kept as sources among the payment methods; a hundred are read, and no more.
        Consent is the metadata entry ``dunwell_backup: yes`` of the method or of the customer.
        """
        found = await self._customer(account, customer)
        if found.get("deleted"):
            return ()
        call = self._client.v1.customers.payment_methods.list_async(
            customer, {"limit": MOST_METHODS}, _options(account)
        )
        page = await _ask(call, f"reading the cards of customer {customer}", changes=False)
        return usable(found, rows(page))

    async def charge(self, request: ChargeRequest) -> ChargeAnswer:
        """Charge an invoice once for its key; a decline is an answer, not an error.

        A debit that the bank settles in days is ``PENDING``. Where another payment of the invoice is under
        way, AnswerLost is raised: what came of it is to be read from the invoice. A customer without any
        card is a decline of the code ``no_payment_method``, which is ours.
        """
        doing = f"charging invoice {request.invoice}"
        parameters: InvoicePayParams = {"off_session": True, "expand": list(PAY_EXPANSIONS)}
        if request.method:
            field: Literal["source", "payment_method"] = (
                "source" if request.method.startswith(SOURCE_PREFIXES) else "payment_method"
            )
            parameters[field] = request.method
        options = _options(request.account, request.key)
        try:
            answer = await self._client.v1.invoices.pay_async(request.invoice, parameters, options)
        except stripe.CardError as error:
            return await self._with_page(judge_decline(error, request), request)
        except stripe.InvalidRequestError as error:
            refusal = translate(error, doing, changes=True)
            if not isinstance(refusal, ProcessorRefused):
                raise refusal from None
            # A refusal of an invoice that is closed, or of a customer without a card, is an answer.
            # Stripe's words for it have changed over the years; the invoice tells it for certain.
            found = await self.read_invoice(request.account, request.invoice)
            judged = judge_refusal(error, found, request)
            if judged is None:
                raise refusal from None
            return judged
        except stripe.StripeError as error:
            raise translate(error, doing, changes=True) from None
        return judge_answer(_body(answer), request)

    async def take_over_retries(self, account: str, invoice: str, key: str) -> None:
        """Stop Stripe's own retries of this invoice, and with them its reminders of it.

        An invoice that has been closed meanwhile has none. The account's schedule of retries and its mails for other invoices can be changed only in
        Stripe's dashboard.
        """
        call = self._client.v1.invoices.update_async(invoice, {"auto_advance": False}, _options(account, key))
        try:
            await _ask(call, f"taking over the retries of invoice {invoice}", changes=True)
        except ProcessorRefused:
            if (await self._fetch(account, invoice)).get("status") not in CLOSED:
                raise

    async def change_subscription(
        self, account: str, subscription: str, invoice: str, change: SubscriptionChange, key: str
    ) -> ChangeResult:
        """Carry out a final action; a subscription that is already so, or gone, is no error.

        ``MARK_UNPAID``: Stripe has no request that makes a subscription ``unpaid``, only the end of its
        own retries does. What ``unpaid`` means is brought about instead: this invoice stays open and is
        not charged, and the next ones are made but stay drafts (``pause_collection: keep_as_draft``).
        The status stays ``past_due``. Marking the invoice uncollectible is not done, for Stripe then
        takes the debt for settled and makes the subscription ``active`` again.

        ``PAUSE``: invoices of the time to come are voided, since a customer without the service owes
        nothing for it. Either pause lasts until it is lifted: by ``reinstate``, or by somebody.
        """
        doing = f"changing subscription {subscription} ({change.value})"
        try:
            found = await self._subscription(account, subscription, doing)
            if is_so(found, change):
                return ChangeResult.ALREADY_SO
            if change is SubscriptionChange.MARK_UNPAID:
                await self.take_over_retries(account, invoice, f"{key}/invoice")
            await _ask(self._change(subscription, change, _options(account, key)), doing, changes=True)
        except NotKnown:
            # Stripe answers 404 to the second cancellation of a subscription, too.
            return ChangeResult.ALREADY_SO
        return ChangeResult.DONE

    async def reinstate(
        self,
        account: str,
        subscription: str,
        invoice: str,  # noqa: ARG002 -- the protocol's, for processors that need it
        final_action: SubscriptionChange,
        key: str,
    ) -> ReinstateResult:
        """Undo a final action as far as Stripe can; what has been cancelled can never be taken up again.

        Either pause is lifted, and a cancellation at the period's end is taken back while that lies ahead. Invoices
        that were made while the subscription was marked unpaid stay drafts: whether to ask for that
        money is for a person to say.
        """
        doing = f"reinstating subscription {subscription} ({final_action.value})"
        try:
            found = await self._subscription(account, subscription, doing)
            judged = judge_undoing(found, final_action)
            if judged is not None:
                return judged
            call = self._client.v1.subscriptions.update_async(
                subscription, update_to_undo(final_action), _options(account, key)
            )
            await _ask(call, doing, changes=True)
        except NotKnown:
            # Whatever once was there can no longer be found, and so not be taken up again.
            return ReinstateResult.IMPOSSIBLE
        return ReinstateResult.DONE

    async def card_page(self, account: str, customer: str, return_url: str) -> str:
        """Make a fresh page of Stripe's customer portal that changes the card and leads back.

        It lives for minutes: make one for each click, and never mail its address.
        """
        parameters: SessionCreateParams = {
            "customer": customer,
            "return_url": return_url,
            "flow_data": {
                "type": "payment_method_update",
                "after_completion": {"type": "redirect", "redirect": {"return_url": return_url}},
            },
        }
        call = self._client.v1.billing_portal.sessions.create_async(parameters, _options(account))
        # Two pages are no worse than one, so a lost answer is as good as none.
        page = await _ask(call, f"making a card page for customer {customer}", changes=False)
        return str(page["url"])

    def verify(self, body: bytes, signature: str | None) -> None:
        """Check a webhook's signature over its raw body, and its age; raises BadSignature."""
        if not self._webhook_secret:
            raise BadSignature(
                "no webhook of Stripe can be checked: set DUNWELL_STRIPE_WEBHOOK_SECRET to the signing"
                " secret of the endpoint (whsec_…)"
            )
        try:
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, TOLERANCE)
        except stripe.SignatureVerificationError as error:
            raise BadSignature(
                f"a webhook of Stripe is not believed: {error.user_message}; check that"
                " DUNWELL_STRIPE_WEBHOOK_SECRET is the secret of this endpoint, and this machine's clock"
            ) from None
        except (TypeError, ValueError):
            # Neither a body that is not UTF-8 nor a signature that is not ASCII can be compared.
            raise BadSignature("a webhook of Stripe is not believed: it cannot be read as text") from None

    def reports(self, body: bytes) -> Sequence[Report]:
        """Turn an event into what it means; raises BadInput where it is no event at all."""
        return read_reports(body)

    async def close(self) -> None:
        """Give back connections."""
        await self._connection.close_async()

    async def _fetch(self, account: str, invoice: str) -> Body:
        call = self._client.v1.invoices.retrieve_async(
            invoice, {"expand": list(EXPANSIONS)}, _options(account)
        )
        return await _ask(call, f"reading invoice {invoice}", changes=False)

    async def _customer(self, account: str, customer: str) -> Body:
        call = self._client.v1.customers.retrieve_async(
            customer, {"expand": list(CUSTOMER_EXPANSIONS)}, _options(account)
        )
        return await _ask(call, f"reading customer {customer}", changes=False)

    async def _subscription(self, account: str, subscription: str, doing: str) -> Body:
        call = self._client.v1.subscriptions.retrieve_async(subscription, {}, _options(account))
        return await _ask(call, doing, changes=False)

    async def _charge_of(self, account: str, invoice: Body) -> Body:
        reference = charge_of(invoice)
        charge = identifier(reference)
        if charge is None or expanded(reference):
            return expanded(reference)
        call = self._client.v1.charges.retrieve_async(charge, {}, _options(account))
        try:
            return await _ask(call, f"reading charge {charge} of invoice {invoice['id']}", changes=False)
        except NotKnown:
            return NOTHING

    async def _paying_request(self, account: str, invoice: Body) -> Body | None:
        moment = paid_at(invoice)
        if moment is None:
            return None
        call = self._client.v1.events.list_async(
            {
                "type": "invoice.paid",
                "created": {"gte": moment - EVENT_BEFORE, "lte": moment + EVENT_AFTER},
                "limit": 100,
            },
            _options(account),
        )
        try:
            page = await _ask(call, f"reading who paid invoice {invoice['id']}", changes=False)
        except (ProcessorError, BadInput):
            # Only a statistic hangs on it; a key that may not read events must not stop a case.
            return None
        for event in rows(page):
            if identifier(expanded(event.get("data")).get("object")) == invoice["id"]:
                return expanded(event.get("request"))
        return None

    async def _with_page(self, answer: ChargeAnswer, request: ChargeRequest) -> ChargeAnswer:
        if answer.result is not ChargeResult.NEEDS_CUSTOMER:
            return answer
        try:
            found = await self._fetch(request.account, request.invoice)
        except (ProcessorError, BadInput):
            # The answer stands without the page's address, which can be read again.
            return answer
        return replace(answer, confirm_url=text(found.get("hosted_invoice_url")))

    def _change(
        self, subscription: str, change: SubscriptionChange, options: RequestOptions
    ) -> Awaitable[stripe.Subscription]:
        service = self._client.v1.subscriptions
        update = update_for(change)
        if update is None:
            return service.cancel_async(subscription, {}, options)
        return service.update_async(subscription, update, options)


async def _ask(call: Awaitable[stripe.StripeObject], doing: str, *, changes: bool) -> Body:
    try:
        answer = await call
    except stripe.StripeError as error:
        # Nothing of the original is chained: it would be stored in history with all it quotes.
        raise translate(error, doing, changes=changes) from None
    return _body(answer)


def _body(answer: stripe.StripeObject) -> Body:
    # The answer as it was sent: Stripe's objects are no mappings, and turn fractions into Decimals.
    response = answer.last_response
    return expanded(response.data) if isinstance(response, stripe.StripeResponse) else NOTHING


def _options(account: str, key: str | None = None) -> RequestOptions:
    options: RequestOptions = {}
    if account != OWN_ACCOUNT:
        options["stripe_account"] = account
    if key is not None:
        options["idempotency_key"] = key
    return options
