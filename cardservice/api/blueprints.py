"""The blueprint of every route: JSON bodies read strictly, problems documented, all of it in the OpenAPI.

The one module that imports flask-smorest, which carries no types.
"""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import flask_smorest  # type: ignore[import-untyped]  # it carries no types
from flask import Request, Response, request
from marshmallow import Schema, ValidationError, fields
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from cardservice.api import openapi
from cardservice.errors import Malformed

F = TypeVar("F", bound=Callable[..., Any])


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "urn:citizen-card:problem:<code>"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "stable; what a program should look at"})
    fields_ = fields.Dict(data_key="fields", metadata={"description": "what is wrong, by field"})
    data = fields.Dict(metadata={"description": "what the service's rules add"})
    retry_after_s = fields.Integer(metadata={"description": "of `too_many_requests`; as Retry-After"})
    reason = fields.String(metadata={"description": "of `refund_refused`"})
    left_minor = fields.Integer(metadata={"description": "of `refund_refused`: what could be given back"})


class BodyParser(FlaskParser):
    """Reads a JSON body once, strictly: no duplicate names, no NaN, nothing that is not JSON."""

    DEFAULT_VALIDATION_STATUS = 400
    # None: the schema says what becomes of what it does not know, and ours refuse it.
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = dict.fromkeys(("json", "query"))

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - the signature is webargs'
        """The body as JSON. Raises Malformed and UnsupportedMediaType."""
        if req.mimetype != "application/json":
            raise UnsupportedMediaType
        return strict_json(req.get_data(cache=True))

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: object) -> NoReturn:  # noqa: ARG002 - webargs' signature
        """Raise what marshmallow refused as our own error."""
        messages = error.messages_dict
        raise malformed(messages.get("json", messages.get("query", messages))) from error


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest carries no types
    """flask-smorest's, with our parser and the types of what is used."""

    ARGUMENTS_PARSER = BodyParser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._complete)

    def problems(self, *statuses: int) -> Callable[[F], F]:
        """Document the statuses with which a route answers problem documents of its own."""

        def decorate(view: F) -> F:
            for status in statuses:
                view = self.alt_response(status, openapi.problem_name(status))(view)
            return view

        return decorate

    def tagged(self, view: F) -> F:
        """Let whoever has an answer of this view ask whether it has changed; stands above `response`."""
        documented = self.alt_response(304, description=openapi.UNCHANGED, headers=openapi.TAGGED)(view)

        @wraps(documented)
        def answered(*args: Any, **kwargs: Any) -> Response:
            response: Response = documented(*args, **kwargs)
            response.add_etag()
            # What it is must be asked each time; RFC 9111, 5.2.2.4.
            response.cache_control.no_cache = True
            if getattr(documented, openapi.SIGNED, False):
                response.cache_control.private = True
            response.make_conditional(request)
            return response

        return cast("F", answered)

    @staticmethod
    def _complete(doc: dict[str, Any], doc_info: Mapping[str, Any], **_: object) -> dict[str, Any]:
        return openapi.complete(doc, doc_info)

    if TYPE_CHECKING:

        def route(self, rule: str, *, methods: list[str] | None = None) -> Callable[[F], F]: ...
        def arguments(self, schema: type[Schema], *, location: str = ...) -> Callable[[F], F]: ...
        def response(
            self,
            status_code: int,
            schema: type[Schema] | dict[str, str] | None = None,
            *,
            content_type: str = ...,
            headers: Mapping[str, Any] = ...,
        ) -> Callable[[F], F]: ...
        def alt_response(
            self,
            status_code: int,
            response: str | None = None,
            *,
            description: str = ...,
            headers: Mapping[str, Any] = ...,
        ) -> Callable[[F], F]: ...
        def doc(self, **options: Any) -> Callable[[F], F]: ...


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest carries no types
    """flask-smorest's, without its error handler: errors become documents in `problems` alone."""

    ERROR_SCHEMA = ProblemSchema
    # Every status that a route answers with is documented by itself.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def describe(self) -> None:
        """Put into the document what all routes share."""
        self.ma_plugin.converter.add_attribute_function(openapi.of_field)
        openapi.describe(self.spec, ProblemSchema)

    def _register_error_handlers(self) -> None:
        pass


def strict_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Malformed."""
    try:
        text = body.decode("utf-8")
        value = _strict(text)
        # Only an escape can bring them in.
        if "\\u" in text:
            _require_texts(value)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON, names a member twice, or has a text that is none") from None
    return value


def malformed(messages: object) -> Malformed:
    """What marshmallow refused, as our own error."""
    return Malformed("the body does not have the documented shape", messages)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name occurs twice")
    return names


def _require_texts(value: object) -> None:
    """Refuse half a surrogate pair (RFC 7493, 2.1) and U+0000, which no database of ours keeps."""
    match value:
        case str():
            if "\0" in value:
                raise ValueError("U+0000 in a text")
            value.encode()
        case dict():
            for name, member in value.items():
                _require_texts(name)
                _require_texts(member)
        case list():
            for member in value:
                _require_texts(member)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Made once: `json.loads` makes one for each text that it reads in another way than its own.
_strict = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant).decode
