"""The campaign language as JSON Schema, made from its models, so that editors complete and check the files."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from campaigns.document import Campaign
from campaigns.durations import SHORT, UNITS, parse_duration, spell_duration

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNIT = "|".join(sorted([*(f"{unit}s?" for unit in UNITS), *SHORT], key=len, reverse=True))
DURATION: JsonSchemaValue = {
    "type": "string",
    "pattern": rf"^\s*(\d+(\.\d+)?\s*({UNIT})\s*)+$",
    "examples": ["3 days", "36h", "1 day 12 hours"],
}
HOURS = {
    "type": "string",
    "pattern": r"^\s*\d{1,2}:\d{2}\s*(to|-)\s*\d{1,2}:\d{2}\s*$",
    "examples": ["09:00 to 20:00"],
}
AMOUNT = {"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?$", "minimum": 0, "examples": ["100.00"]}
EXAMPLES = {
    ("Takes", "plan"): ["premium-monthly"],
    ("Takes", "interval"): ["month", "year"],
    ("Takes", "currency"): ["EUR"],
    ("Takes", "country"): ["DE"],
    ("Takes", "processor"): ["stripe"],
    ("Takes", "decline"): ["insufficient_funds"],
    ("Takes", "tags"): ["vip"],
    ("Conditions", "decline"): ["insufficient_funds"],
    ("Conditions", "currency"): ["EUR"],
    ("Calendar", "timezone"): ["Europe/Berlin", "UTC"],
    ("Step", "message"): ["payment_failed", "last_notice"],
    ("End", "message"): ["subscription_ended"],
}
# Where a name alone says enough to whoever reads the models, but not to whoever writes a campaign.
DESCRIPTIONS = {
    ("Campaign", "name"): "What cases and the command line call it; it never changes.",
    ("Campaign", "description"): "What it is for, in a sentence.",
    ("Campaign", "takes"): "Which failures it takes by itself; left out, only those it is named for.",
    ("Campaign", "calendar"): "When mails may be sent and cards charged; left out, at any time.",
    ("Campaign", "messages"): "Templates of the mails that belong to no step.",
    ("Campaign", "steps"): "What is done, in order of time.",
    ("Campaign", "end"): "What happens when nothing worked.",
    ("Takes", "currency"): "Currencies of the invoice.",
    ("Takes", "processor"): "Where the payment failed: stripe, sandbox.",
    ("Takes", "decline_class"): "Classes of the decline.",
    ("Takes", "decline"): "Codes of the decline.",
    ("Arm", "name"): "Under this name a customer's arm is recorded.",
    ("Arm", "steps"): "Steps in place of the campaign's.",
    ("Arm", "end"): "An end in place of the campaign's.",
    ("Arm", "messages"): "Mails in place of the campaign's.",
    ("End", "late_payment"): "What a payment does that comes after the end.",
    ("Messages", "failed"): "The ordinary notice of a failed charge.",
    ("Messages", "new_card"): "In place of 'failed' where only a new card helps.",
    ("Messages", "confirm"): "In place of 'failed' where the bank asks for a confirmation.",
    ("Messages", "revoked"): "In place of those three where the customer told the bank to stop the payments.",
    ("Messages", "card_declined"): "When a new card was declined, too.",
    ("Messages", "last_notice"): "When the end has come before the customer was told.",
    ("Messages", "receipt"): "When the payment has come; left out, none is sent.",
}


def campaign_schema() -> dict[str, Any]:
    """Give the schema of a campaign's document; what it lets pass, the check may still find wanting."""
    found = Campaign.model_json_schema(mode="validation", schema_generator=_Generator)
    parts = found["$defs"]
    for (part, name), text in DESCRIPTIONS.items():
        (found if part == "Campaign" else parts[part])["properties"][name]["description"] = text
    for (part, name), examples in EXAMPLES.items():
        parts[part]["properties"][name]["examples"] = examples
    for part in parts.values():
        # Written for whoever reads the models.
        part["description"] = " ".join(part["description"].replace("``", "'").split())
    for name in ("hours", "quiet"):
        told = parts["Window"]["properties"][name]
        told["anyOf"] = [HOURS, {"type": "array", "items": HOURS}]
    # What only the whole of a step can tell.
    parts["Step"]["oneOf"] = [{"required": ["after"]}, {"required": ["before_end"]}]
    parts["Step"]["anyOf"] = [{"required": [name]} for name in ("retry", "access", "message", "alert")]
    return {
        "$schema": DIALECT,
        "title": "Dunwell campaign",
        "description": "Which failed payments a campaign takes, what it does about them and when, and its end.",
        **{key: value for key, value in found.items() if key not in {"title", "description"}},
    }


class _Generator(GenerateJsonSchema):
    """Tells what an author may write, where pydantic would tell what the models keep."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Say of a length of time how it is written, and of a list that one entry may stand alone."""
        if schema["function"]["function"] is parse_duration:
            return dict(DURATION)
        written = schema.get("json_schema_input_schema") or {}
        choices = [choice.get("type") for choice in written.get("choices", ()) if isinstance(choice, dict)]
        if choices == ["any", "list"]:
            several = self.generate_inner(schema["schema"])
            return {"anyOf": [several["items"], several]}
        if choices == ["str", "float", "int"]:
            return dict(AMOUNT)
        return super().function_before_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Let a key be only what its pattern says."""
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Let nobody write nothing: what is not wanted is left out."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Tell a default as an author would write it; of a whole part its own defaults say enough."""
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if isinstance(default, timedelta):
            return {**inner, "default": spell_duration(default)}
        if isinstance(default, str | bool | int):
            return {**inner, "default": str(default) if isinstance(default, str) else default}
        return inner
