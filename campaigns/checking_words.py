"""Checks of words that have to be known elsewhere: templates, declines, countries, currencies, intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaigns.document import Messages
from campaigns.suggestions import CURRENCIES, countries, country_meant, currency_meant, nearest
from errors import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from campaigns.document import Campaign
    from campaigns.forms import Form, Known
    from campaigns.source import Place, Source
    from errors import Fault

INTERVALS = ("day", "week", "month", "year")


def faults_in_words(source: Source, campaign: Campaign, known: Known) -> Iterator[Fault]:
    """Find words of the segment and the calendar that nothing is called by."""
    takes = campaign.takes
    listed: tuple[tuple[str, tuple[str, ...], Collection[str]], ...] = (
        ("decline", takes.decline, known.declines.codes()),
        ("currency", takes.currency, CURRENCIES),
        ("interval", takes.interval, INTERVALS),
        ("processor", takes.processor, known.processors),
    )
    for name, words, there_are in listed:
        for number, word in enumerate(words):
            yield from _unknown(source, ("takes", name, number), word, name, there_are)
    for number, word in enumerate(takes.country):
        if word not in countries():
            what = f"takes.country: '{word}' is no country"
            yield source.fault(("takes", "country", number), what, country_meant(word))
    for part, amounts in (("takes", takes.amount), ("minimum", campaign.minimum)):
        for word in amounts:
            place: Place = (part, "amount", word) if part == "takes" else (part, word)
            yield from _unknown(source, place, word, "currency", CURRENCIES)
    for number, word in enumerate(campaign.calendar.paydays.after if campaign.calendar.paydays else ()):
        place = ("calendar", "paydays", "after", number)
        yield from _unknown(source, place, word, "decline", known.declines.codes())


def faults_in_words_of_steps(form: Form, known: Known) -> Iterator[Fault]:
    """Find words in the conditions of steps that nothing is called by."""
    for number, step in enumerate(form.steps):
        asked = step.only_if
        listed: tuple[tuple[str, Collection[str], Collection[str]], ...] = (
            ("decline", asked.decline, known.declines.codes()),
            ("currency", asked.currency, CURRENCIES),
            ("amount", asked.amount, CURRENCIES),
        )
        for name, words, there_are in listed:
            for place, word in enumerate(words):
                inner = form.at("steps", number, "only_if", name, word if name == "amount" else place)
                yield from _unknown(form, inner, word, name, there_are)


def faults_in_templates(form: Form, known: Known) -> Iterator[Fault]:
    """Find mails that do not exist or cannot be sent; a template's own faults are told at its first place."""
    told: set[str] = set()
    for place, name in _templates_of(form):
        if name not in known.templates:
            yield form.fault(place, f"there is no template '{name}'", nearest(name, known.templates))
        elif name not in told:
            told.add(name)
            for fault in known.template_faults(name):
                yield form.fault(place, f"template '{name}' cannot be sent: {fault}")


def _templates_of(form: Form) -> Iterator[tuple[Place, str]]:
    for number, step in enumerate(form.steps):
        if step.message:
            yield form.at("steps", number, "message"), step.message
    if form.campaign.end.message:
        yield form.at("end", "message"), form.campaign.end.message
    for field in Messages.model_fields:
        name = getattr(form.campaign.messages, field)
        if name:
            yield form.at("messages", field), name


def _unknown(
    holder: Source | Form, place: Place, word: str, name: str, there_are: Collection[str]
) -> Iterator[Fault]:
    """Tell a word that is not known: an error where another is near, else it may be a new one."""
    if word in there_are:
        return
    meant = currency_meant(word) if there_are is CURRENCIES else nearest(word, there_are)
    severity = Severity.ERROR if meant else Severity.WARNING
    where = ".".join(str(part) for part in place if not isinstance(part, int))
    yield holder.fault(place, f"{where}: no {name} '{word}' is known", meant, severity)
