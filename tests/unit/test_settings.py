"""What an owner may set, what stops start-up, and that secrets are known as such."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from errors import BadSettings
from settings import PREFIX, Settings, load_settings, secrets_of

KEY = "a key of thirty-two characters!!"
# A public key as SendGrid's dashboard shows it.
PUBLIC_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8t1hKCy8RGTcrAVbe+IBAyCJLfjh"
    "YnQ2UGP0rM7jXv6Doc5qhP5XfcSqz59qcI8RbosgJ3nouFS3AmiwCTvkuw=="
)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def refused(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    return str(caught.value)


def test_everything_has_a_default_that_moves_no_money() -> None:
    settings = load_settings()
    assert settings.livemode is False
    assert settings.stripe_api_key is None
    assert settings.database_url == "sqlite:///dunwell.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 8321)
    assert settings.api_keys == ()
    assert settings.default_campaign == "standard"
    assert settings.mail_folder == Path("mails")


def test_every_setting_that_is_promised_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "DATABASE_URL": "postgresql://dunwell:pass@db/dunwell",
        "STRIPE_API_KEY": "sk_test_1",
        "STRIPE_API_BASE": "http://127.0.0.1:9/",
        "STRIPE_WEBHOOK_SECRET": "whsec_1",
        "SENDGRID_API_KEY": "SG.1",
        "SENDGRID_API_BASE": "http://127.0.0.1:8/",
        "SMTP_URL": "smtp://mail:25",
        "MAIL_FROM": "Northwind <billing@northwind.example>",
        "PUBLIC_URL": "https://pay.northwind.example/",
        "API_KEYS": "0123456789abcdef, fedcba9876543210,",
        "SECRET_KEY": KEY,
        "HOST": "::1",
        "PORT": "9000",
    }
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name, value)
    settings = load_settings()
    found = {name: getattr(settings, name.lower()) for name in values}
    assert [key.get_secret_value() for key in found.pop("API_KEYS")] == [
        "0123456789abcdef",
        "fedcba9876543210",
    ]
    shown = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in found.items()
    }
    assert shown == {name: value for name, value in values.items() if name != "API_KEYS"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "99999", "65535"),
        ("PORT", "web", "integer"),
        ("DATABASE_URL", "mysql://db/dunwell", "sqlite:///FILE or postgresql://"),
        ("PUBLIC_URL", "pay.northwind.example", "the web side as customers reach it"),
        ("SECRET_KEY", "short", "32 characters or more"),
        ("API_KEYS", "0123456789abcdef,short", "16 characters or more"),
        ("LINK_DAYS", "0", "1"),
        ("CHARGES_PER_SECOND", "0", "greater than 0"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'auto', 'text' or 'json'"),
        ("LIVEMODE", "perhaps", "boolean"),
        ("SENDGRID_WEBHOOK_KEY", "SG.1", "is no public key of the kind that SendGrid signs with"),
        ("SENDGRID_WEBHOOK_KEY", PUBLIC_KEY[:-8], "the public key of SendGrid's signed Event Webhook"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    text = refused(monkeypatch, **{name: value})
    assert text.startswith(f"DUNWELL_{name}: ")
    assert expected in text


def test_a_public_key_may_come_as_shown_or_as_a_file_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    filed = f"-----BEGIN PUBLIC KEY-----\n{PUBLIC_KEY[:64]}\n{PUBLIC_KEY[64:]}\n-----END PUBLIC KEY-----\n"
    for value, read in [(PUBLIC_KEY, PUBLIC_KEY), (filed, PUBLIC_KEY), ("", None)]:
        monkeypatch.setenv(PREFIX + "SENDGRID_WEBHOOK_KEY", value)
        assert load_settings().sendgrid_webhook_key == read


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = refused(monkeypatch, PORT="web", LOG_LEVEL="LOUD")
    assert [line.partition(":")[0] for line in text.splitlines()] == ["DUNWELL_PORT", "DUNWELL_LOG_LEVEL"]


def test_a_wrong_secret_is_not_repeated_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    text = refused(monkeypatch, SECRET_KEY="hunter2", API_KEYS="swordfish")
    assert "hunter2" not in text
    assert "swordfish" not in text


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_a_live_key_needs_an_installation_that_says_it_is_live(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    text = refused(monkeypatch, STRIPE_API_KEY=key)
    assert "LIVEMODE=true" in text
    assert key not in text
    monkeypatch.setenv("DUNWELL_LIVEMODE", "true")
    assert load_settings().livemode


def test_a_live_installation_takes_no_test_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not a live key" in refused(monkeypatch, STRIPE_API_KEY="sk_test_1", LIVEMODE="true")


def test_settings_cannot_be_changed_while_dunwell_runs() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


def test_no_secret_shows_where_settings_are_printed() -> None:
    settings = load_settings(stripe_api_key="sk_test_1", secret_key=KEY, api_keys="0123456789abcdef")
    for secret in ("sk_test_1", KEY, "0123456789abcdef"):
        assert secret not in repr(settings)


def test_every_secret_is_listed_for_the_log_to_hide() -> None:
    settings = load_settings(
        database_url="postgresql://dunwell:data-password@db/dunwell",
        stripe_api_key="sk_test_1",
        stripe_webhook_secret="whsec_1",
        sandbox_webhook_secret="whsec_2",
        sendgrid_api_key="SG.1",
        smtp_url="smtp://user:mail-password@mail:25",
        secret_key=KEY,
        api_keys="0123456789abcdef,fedcba9876543210",
    )
    assert set(secrets_of(settings)) >= {
        *("data-password", "sk_test_1", "whsec_1", "whsec_2", "SG.1", "mail-password", KEY),
        *("0123456789abcdef", "fedcba9876543210"),
    }


def test_a_password_is_hidden_as_it_is_written_and_as_it_is_sent() -> None:
    settings = load_settings(
        database_url="postgresql://dunwell:p%40ss-word@db/dunwell", smtp_url="smtp://user:m%2Fail@mail:25"
    )
    assert {"p%40ss-word", "p@ss-word", "m%2Fail", "m/ail"} <= set(secrets_of(settings))


def test_every_field_that_names_a_secret_is_one() -> None:
    secret = {"key", "secret", "keys"}
    public = {"sendgrid_webhook_key"}
    for name, field in Settings.model_fields.items():
        if secret & set(name.split("_")) and name not in public:
            assert "SecretStr" in str(field.annotation), name
