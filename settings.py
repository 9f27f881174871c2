"""Everything an owner can set, in one typed object read from the environment once, at start-up."""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AnyHttpUrl,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from errors import BadSettings

PREFIX = "DUNWELL_"
# How every public key on the curve P-256 begins once it is encoded, and how long it is.
P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
P256_LENGTH = 91


class Settings(BaseSettings):
    """Settings of one installation; each is ``DUNWELL_`` and its name in capitals.

    How to reach Temporal is not here: Temporal's own variables say it (``TEMPORAL_ADDRESS`` …).
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: str = Field(
        default="sqlite:///dunwell.db", description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    )
    livemode: bool = Field(default=False, description="true in the one installation that moves real money")

    stripe_api_key: SecretStr | None = None
    stripe_api_base: AnyHttpUrl | None = Field(default=None, description="another address than Stripe's own")
    stripe_webhook_secret: SecretStr | None = None
    sandbox_file: Path | None = Field(
        default=None, description="the sandbox processor's books, a SQLite file"
    )
    sandbox_webhook_secret: SecretStr = SecretStr("whsec_sandbox")

    sendgrid_api_key: SecretStr | None = None
    sendgrid_webhook_key: str | None = Field(
        default=None,
        description="the public key of SendGrid's signed Event Webhook, as its dashboard shows it",
    )
    sendgrid_api_base: AnyHttpUrl | None = Field(default=None, description="another address than SendGrid's")
    smtp_url: SecretStr | None = Field(
        default=None, description="smtp://USER:PASSWORD@HOST:PORT, or smtps:// for TLS from the start"
    )
    mail_folder: Path = Field(default=Path("mails"), description="where mails go while no sender is set")
    mail_from: str = "Billing <billing@example.com>"
    alert_to: str | None = Field(default=None, description="address that alerts to people are mailed to")

    public_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:8321"), description="the web side as customers reach it"
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(), description="keys of billing services, separated by commas, each of 16 characters or more"
    )
    secret_key: SecretStr | None = Field(
        default=None, description="signs customers' links: 32 characters or more, the same for every process"
    )
    link_days: int = Field(default=60, ge=1, le=365, description="how long a customer's link works")

    facts_folder: Path | None = Field(
        default=None,
        description="a folder with your own decline_codes.csv, network_retry_limits.csv or network_fees.csv,"
        " laid over those that ship",
    )

    network_margin: int = Field(
        default=1,
        ge=0,
        le=10,
        description="attempts under a card network's limit that are left unused, for those nobody told us of",
    )
    merchant_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="your country's two letters, for the estimate of network fees"
    )

    customers_may_cancel: bool = Field(
        default=False,
        description="true lets customers whose bank stopped the payments cancel at once on the page of their mail",
    )

    processor_retries: Literal["take_over", "stand_aside"] = Field(
        default="take_over",
        description="where the processor would retry an invoice by itself: take_over switches that off,"
        " stand_aside charges nothing as long as it goes on",
    )

    default_campaign: str = "standard"
    charges_per_second: float = Field(
        default=20.0, gt=0, description="most charges a second, all workers together"
    )
    breaker: bool = Field(
        default=True, description="false charges on where a processor or an issuer range does not answer"
    )
    breaker_answers: int = Field(
        default=10, ge=2, description="charges within ten minutes that it takes to judge by"
    )
    breaker_rest: float = Field(
        default=10.0, gt=0, le=120, description="minutes without scheduled charges before the first trial"
    )
    breaker_spread: float = Field(
        default=30.0, ge=0, le=720, description="minutes over which held charges come back"
    )
    moves_batch: int = Field(
        default=50, ge=1, le=500, description="Cases that a move to another version asks between two pauses."
    )
    moves_at_once: int = Field(default=10, ge=1, le=100, description="Of these, how many at a time.")
    moves_pause: float = Field(
        default=1.0,
        ge=0,
        description="Seconds that a move rests after each batch, so that other work gets on.",
    )
    temporal_ui_url: AnyHttpUrl | None = Field(default=None, description="the Temporal UI as ops reach it")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "text", "json"] = "auto"

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("api_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 16 for key in keys):  # noqa: PLR2004
            message = "each key needs 16 characters or more"
            raise ValueError(message)
        return keys

    @field_validator("secret_key")
    @classmethod
    def _unguessable(cls, key: SecretStr | None) -> SecretStr | None:
        if key and len(key.get_secret_value()) < 32:  # noqa: PLR2004
            message = "needs 32 characters or more"
            raise ValueError(message)
        return key

    @field_validator("sendgrid_webhook_key")
    @classmethod
    def _public_key(cls, key: str | None) -> str | None:
        # Whether or not it came with the lines that a file of a key has around it.
        bare = re.sub(r"-----[A-Z ]+-----|\s", "", key or "")
        try:
            encoded = base64.b64decode(bare, validate=True)
        except ValueError:
            encoded = b"?"
        if encoded and not (len(encoded) == P256_LENGTH and encoded.startswith(P256_HEAD)):
            message = "is no public key of the kind that SendGrid signs with"
            raise ValueError(message)
        return bare or None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            message = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _live_means_live(self) -> Self:
        key = self.stripe_api_key.get_secret_value() if self.stripe_api_key else ""
        live_key = key.startswith(("sk_live_", "rk_live_"))
        if live_key and not self.livemode:
            message = (
                "STRIPE_API_KEY is a live key: set LIVEMODE=true in the one installation that may use it"
            )
            raise ValueError(message)
        if key and self.livemode and not live_key:
            message = "LIVEMODE is true, but STRIPE_API_KEY is not a live key (sk_live_… or rk_live_…)"
            raise ValueError(message)
        return self


def load_settings(**overrides: object) -> Settings:
    """Read the environment; raises BadSettings naming each wrong variable and what was expected."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for item in error.errors(include_input=False, include_url=False):
            name = (
                PREFIX + "_".join(str(part) for part in item["loc"][:1]).upper()
                if item["loc"]
                else PREFIX + "*"
            )
            field = Settings.model_fields.get(str(item["loc"][0])) if item["loc"] else None
            expected = f" (expected: {field.description})" if field and field.description else ""
            lines.append(f"{name}: {item['msg'].removeprefix('Value error, ')}{expected}")
        raise BadSettings("\n".join(lines)) from None


def local_settings(folder: Path, **more: object) -> Settings:
    """Give the settings of an installation in a folder: what the environment sets stands, the rest is made.

    The key that signs customers' links and the API key are made once and kept in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    defaults: dict[str, object] = {
        "database_url": f"sqlite:///{folder.resolve()}/dunwell.db",
        "sandbox_file": folder / "sandbox.db",
        "mail_folder": folder / "mails",
        "secret_key": _kept(folder / "secret.key", 48),
        "api_keys": _kept(folder / "api.key", 24),
        **more,
    }
    given = load_settings().model_fields_set
    chosen = {name: value for name, value in defaults.items() if name not in given}
    settings = load_settings(**chosen)
    if "public_url" in given:
        return settings
    return load_settings(**chosen, public_url=f"http://{settings.host}:{settings.port}")


def _kept(path: Path, length: int) -> str:
    """Make a secret once, readable by its owner only, and give the same ever after.

    Written aside and linked into place, so that a process that starts at the same moment finds either
    nothing or all of it.
    """
    if not path.exists():
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(length), encoding="utf-8")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    return path.read_text(encoding="utf-8").strip()


def secrets_of(settings: Settings) -> list[str]:
    """List every secret among the settings, for the log to hide, passwords inside addresses included."""
    found = [value for value in dict(settings).values() if isinstance(value, SecretStr)]
    texts = [secret.get_secret_value() for secret in (*found, *settings.api_keys)]
    for url in (settings.database_url, settings.smtp_url.get_secret_value() if settings.smtp_url else ""):
        password = urlsplit(url).password
        # Drivers and servers tell it as it is, an address as it is written.
        texts += [password, unquote(password)] if password else []
    return texts
