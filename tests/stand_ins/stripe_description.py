"""Stripe's own OpenAPI description, to check what is sent to Stripe and what a stand-in answers for it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from jsonschema import Draft4Validator, validators

from tests.stand_ins.prepare_stripe_world import description

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import ValidationError

FORM = "application/x-www-form-urlencoded"
# Stripe goes no deeper: https://docs.stripe.com/expand
DEEPEST_EXPANSION = 4


def nest(encoded: str) -> dict[str, Any]:
    """Undo Stripe's form encoding: ``a[b][0]=c`` is ``{"a": {"b": ["c"]}}``; every leaf is a text."""
    root: dict[str, Any] = {}
    for key, value in parse_qsl(encoded, keep_blank_values=True):
        head, *parts = [part.rstrip("]") for part in key.split("[")]
        place = root
        for part in (head, *parts)[:-1]:
            place = place.setdefault(part, {})
        last = (head, *parts)[-1]
        place[last or str(len(place))] = value
    return {key: _lists(value) for key, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(part) for key, part in value.items()}


def typed(value: Any, schema: dict[str, Any]) -> Any:
    """Give texts the types that the schema asks for, where they can have them."""
    if "anyOf" in schema:
        readings = [typed(value, option) for option in schema["anyOf"]]
        return next((reading for reading in readings if reading != value), value)
    kind = schema.get("type")
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {key: typed(part, parts.get(key, {})) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part, schema.get("items", {})) for part in value]
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value


def closed(schema: Any) -> Any:
    """Forbid what a schema does not name at every level: Stripe refuses unknown parameters."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict):
        changed.setdefault("additionalProperties", False)
    return changed


def _nullable(name: str) -> Any:
    plain = Draft4Validator.VALIDATORS[name]

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if instance is None and schema.get("nullable"):
            return
        yield from plain(validator, value, instance, schema) or ()

    return check


# OpenAPI 3.0 says "nullable" where JSON Schema would list the type "null".
Checker = validators.extend(  # type: ignore[no-untyped-call]
    Draft4Validator, {name: _nullable(name) for name in ("type", "enum", "anyOf", "$ref")}
)


@dataclass(frozen=True)
class Operation:
    """One request that Stripe knows: its parameters' schema, and the name of what it answers."""

    method: str
    path: str
    parameters: dict[str, Any]
    answer: dict[str, Any]


class StripeDescription:
    """What Stripe accepts and answers, by its own description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", r"[^/]+", path)), path) for path in sorted(document["paths"])
        ]

    def operation(self, method: str, path: str) -> Operation:
        for pattern, template in self._paths:
            described = self._document["paths"][template].get(method.lower())
            if described and pattern.fullmatch(path):
                return Operation(method, template, self._parameters(described), self._answer(described))
        raise AssertionError(f"Stripe has no {method} {path}")

    def check_request(self, method: str, path: str, encoded: str) -> dict[str, Any]:
        """Check the parameters of a request, as sent, and give them back with their types."""
        operation = self.operation(method, path)
        schema = operation.parameters
        parameters: dict[str, Any] = typed(nest(encoded), schema)
        self._check(parameters, schema, f"{method} {path}")
        for expansion in parameters.get("expand", []):
            self.check_expansion(operation.answer, expansion)
        return parameters

    def check_answer(self, method: str, path: str, body: Any) -> None:
        """Check what a stand-in is to answer."""
        self._check(body, self.operation(method, path).answer, f"the answer to {method} {path}")

    def check_thing(self, name: str, body: Any) -> None:
        """Check one thing by the name of its schema: ``payment_intent``."""
        self._check(body, {"$ref": f"#/components/schemas/{name}"}, name)

    def check_expansion(self, answer: dict[str, Any], expansion: str) -> None:
        """Check one path of ``expand``: every step is expandable, and there are four at most."""
        steps = expansion.split(".")
        assert len(steps) <= DEEPEST_EXPANSION, f"{expansion} goes too deep"
        places = list(self._options(answer))
        for step in steps:
            further = [
                place["properties"][step]
                for place in places
                if step in place.get("properties", {})
                and (step == "data" or step in place.get("x-expandableFields", []))
            ]
            assert further, f"{step} of {expansion} cannot be expanded"
            places = [option for schema in further for option in self._options(schema)]

    def _options(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "$ref" in schema:
            yield from self._options(self._schema(schema["$ref"].rsplit("/", 1)[-1]))
        elif "anyOf" in schema:
            for option in schema["anyOf"]:
                yield from self._options(option)
        elif schema.get("type") == "array":
            yield from self._options(schema["items"])
        else:
            yield schema

    def _schema(self, name: str) -> dict[str, Any]:
        schema: dict[str, Any] = self._document["components"]["schemas"][name]
        return schema

    def _parameters(self, described: dict[str, Any]) -> dict[str, Any]:
        body = described.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
        fields = dict(body.get("properties", {}))
        required = list(body.get("required", []))
        for parameter in described.get("parameters", []):
            if parameter["in"] == "query":
                fields[parameter["name"]] = parameter["schema"]
                if parameter.get("required"):
                    required.append(parameter["name"])
        schema: dict[str, Any] = {"type": "object", "properties": fields}
        if required:
            schema["required"] = required
        checked: dict[str, Any] = closed(schema)
        return checked

    @staticmethod
    def _answer(described: dict[str, Any]) -> dict[str, Any]:
        schema: dict[str, Any] = described["responses"]["200"]["content"]["application/json"]["schema"]
        return schema

    def _check(self, value: Any, schema: dict[str, Any], what: str) -> None:
        # The components ride along, so that references inside of them are found.
        whole = {"allOf": [schema], "components": self._document["components"]}
        found = sorted(Checker(whole).iter_errors(value), key=lambda error: list(error.path))
        faults = [f"{'.'.join(str(part) for part in error.path)}: {error.message[:300]}" for error in found]
        assert not faults, f"{what} is not as Stripe describes it:\n" + "\n".join(faults)


@cache
def stripe_description() -> StripeDescription:
    """Read the description once; raises NotPreparedError where it has not been fetched."""
    return StripeDescription(json.loads(description().read_bytes()))
