"""GOV.UK Pay's public API, with a time limit, asked again only where that can do nothing twice."""

import hmac
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from cardservice.payments.provider import (
    DisputeState,
    ProviderAway,
    ProviderRefused,
    RefundState,
    State,
    Told,
    ToldDispute,
    ToldRefund,
    Wish,
)

NAME = "govuk-pay"
# To connect, and between two pieces of the answer.
TIMEOUT_S = (5.0, 20.0)
TRIES = 3
# The most that it lists at once.
PAGE_SIZE = 500
MOST_PAGES = 1000
# From an answer's head to its end: a worker has other things to do.
ANSWER_S = 60.0
# An answer of a page is far below.
MAX_ANSWER_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_AGAIN = frozenset({429, 500, 502, 503, 504})


class GovUkPay:
    """A service's account with GOV.UK Pay."""

    name = NAME

    def __init__(self, url: str, key: str, timeout_s: tuple[float, float] = TIMEOUT_S) -> None:
        self.url, self._timeout_s = url.rstrip("/"), timeout_s
        self._headers = {"Authorization": f"Bearer {key}"}

    def create(self, wish: Wish) -> Told:
        """See PaymentProvider: the key makes it the same payment when it is asked again."""
        body = {
            "amount": wish.amount_minor,
            "reference": wish.reference,
            "description": wish.description,
            "return_url": wish.return_url,
        }
        return _payment(
            self._ask("POST", "/v1/payments", body=body, headers={"Idempotency-Key": wish.reference})
        )

    def find(self, reference: str) -> Sequence[Told]:
        """See PaymentProvider."""
        page = self._ask("GET", "/v1/payments", query={"reference": reference})
        return [_payment(each) for each in _list(page, "results") if each.get("reference") == reference]

    def payments(self, since: datetime) -> Sequence[Told]:
        """See PaymentProvider; page by page."""
        return [_payment(each) for each in self._pages("/v1/payments", since)]

    def payment(self, payment: str) -> Told:
        """See PaymentProvider."""
        return _payment(self._ask("GET", f"/v1/payments/{quote(payment, safe='')}"))

    def cancel(self, payment: str) -> None:
        """See PaymentProvider."""
        self._ask("POST", f"/v1/payments/{quote(payment, safe='')}/cancel")

    def refund(self, payment: str, amount_minor: int, refundable_minor: int) -> ToldRefund:
        """See PaymentProvider. It knows no key for refunds: asked once, and what came of it is looked up."""
        body = {"amount": amount_minor, "refund_amount_available": refundable_minor}
        path = f"/v1/payments/{quote(payment, safe='')}/refunds"
        return _refund(self._ask("POST", path, body=body, tries=1))

    def refunds(self, payment: str) -> Sequence[ToldRefund]:
        """See PaymentProvider."""
        found = self._ask("GET", f"/v1/payments/{quote(payment, safe='')}/refunds")
        return [_refund(each) for each in _list(_object_of(found, "_embedded"), "refunds")]

    def disputes(self, since: datetime) -> Sequence[ToldDispute]:
        """See PaymentProvider; page by page."""
        return [_dispute(each) for each in self._pages("/v1/disputes", since)]

    def _pages(self, path: str, since: datetime) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = {"from_date": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        for number in range(1, MOST_PAGES):
            page = self._ask(
                "GET", path, query={**query, "page": str(number), "display_size": str(PAGE_SIZE)}
            )
            results = _list(page, "results")
            found += results
            if len(results) < PAGE_SIZE:
                break
        return found

    def _ask(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        tries: int = TRIES,
    ) -> dict[str, Any]:
        status = 0
        answer: dict[str, Any] = {}
        for _ in range(tries):
            try:
                status, answer = self._once(method, path, body, query, {**self._headers, **(headers or {})})
            except (requests.RequestException, ValueError):
                status = 0
            if status and status not in _AGAIN:
                break
        if not status or status in _AGAIN:
            raise ProviderAway("the payment provider does not answer; it is asked again by itself")
        if status >= 300:
            raise ProviderRefused(str(answer.get("code") or status)[:64])
        return answer

    def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> tuple[int, dict[str, Any]]:
        with requests.request(
            *(method, self.url + path),
            json=body,
            params=query,
            headers=headers,
            timeout=self._timeout_s,
            allow_redirects=False,
            stream=True,
        ) as response:
            content = _content(response, time.monotonic() + ANSWER_S)
            if response.status_code >= 300 or not content:
                is_json = response.headers.get("Content-Type", "").startswith("application/json")
                answer = _object(content) if content and is_json else {}
            else:
                answer = _object(content)
            return response.status_code, answer


def _content(response: requests.Response, deadline: float) -> bytes:
    """The whole body. Raises ValueError for one that breaks off, is too long or does not end in time."""
    content = bytearray()
    try:
        # As it comes, not by full pieces: of those each byte may be waited for as long as for an answer.
        while piece := response.raw.read1(_PIECE_BYTES, decode_content=True):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise ValueError("too long an answer")
            if time.monotonic() > deadline:
                raise ValueError("the answer does not end")
    except HTTPError as error:
        raise ValueError("the answer breaks off") from error
    return bytes(content)


def is_signed(body: bytes, signature: str, secret: bytes) -> bool:
    """Whether a webhook's message comes from it: `Pay-Signature` is the HMAC-SHA-256 of the body, in hex."""
    expected = hmac.digest(secret, body, "sha256").hex()
    return hmac.compare_digest(expected.encode(), signature.strip().lower().encode("utf-8", "replace"))


def _object(content: bytes | bytearray) -> dict[str, Any]:
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise ValueError("no object")  # noqa: TRY004 - as what cannot be read
    return answer


def _list(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = answer.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ProviderAway("the payment provider's answer has not the published shape")
    return found


def _payment(answer: Mapping[str, Any]) -> Told:
    links, left = _object_of(answer, "_links"), _object_of(answer, "refund_summary").get("amount_available")
    next_url = _object_of(links, "next_url")
    return Told(
        payment=_text(answer, "payment_id"),
        reference=_text(answer, "reference"),
        state=cast("State", _one_of(_object_of(answer, "state").get("status"), get_args(State))),
        amount_minor=_amount(answer.get("amount")),
        refundable_minor=None if left is None else _amount(left),
        next_url=_text(next_url, "href") if next_url else None,
    )


def _refund(answer: Mapping[str, Any]) -> ToldRefund:
    state = cast("RefundState", _one_of(answer.get("status"), get_args(RefundState)))
    return ToldRefund(_text(answer, "refund_id"), state, _amount(answer.get("amount")))


def _dispute(answer: Mapping[str, Any]) -> ToldDispute:
    state = cast("DisputeState", _one_of(answer.get("status"), get_args(DisputeState)))
    return ToldDispute(
        _text(answer, "dispute_id"), _text(answer, "payment_id"), state, _amount(answer.get("amount"))
    )


def _object_of(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object in it; empty where there is none."""
    found = answer.get(name) or {}
    if not isinstance(found, dict):
        raise ProviderAway("the payment provider's answer has not the published shape")
    return found


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise ProviderAway("the payment provider's answer has not the published shape")
    return found


def _amount(found: object) -> int:
    if not isinstance(found, int) or isinstance(found, bool):
        raise ProviderAway("the payment provider's answer has not the published shape")
    return found


def _one_of(found: object, known: Sequence[str]) -> str:
    if found not in known:
        raise ProviderAway("the payment provider tells of a state that is not published")
    return str(found)
