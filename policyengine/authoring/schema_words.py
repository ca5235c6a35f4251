"""What the words of a policy file mean where a model names them only: shown by editors beside each choice."""

from __future__ import annotations

from collections.abc import Mapping

# model and key → word → what it says
CHOICES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("Policy", "basis"): {
        "statutory": "the law gives it: a floor, which goodwill adds to and never replaces",
        "contractual": "the contract or the terms give it",
        "goodwill": "the company gives it of its own accord",
    },
    ("Policy", "rounding"): {
        "half_up": "to the nearest smallest unit, halves away from zero: 16.665 becomes 16.67",
        "half_even": "to the nearest smallest unit, halves to the even digit: 16.665 becomes 16.66",
        "down": "towards zero: 16.669 becomes 16.66",
        "up": "away from zero: 16.661 becomes 16.67",
    },
    ("Policy", "trial"): {
        "shadow": "decided and recorded beside the other versions, never published",
        "canary": "governs its `customers` before the other versions do",
    },
    ("Enforced", "otherwise"): {
        "grant": "outside of the window it is granted all the same, marked `enforced: false`",
        "withhold": "outside of the window nothing is granted",
    },
    ("CrisisScope", "phases"): {
        "onset": "the shock",
        "ongoing": "the long middle",
        "recovery": "the way out",
        "ended": "after it",
    },
    ("Exclusive", "choose"): {
        "first": "the first by priority grants",
        "best": "what is worth most to the customer grants (money and vouchers)",
        "all": "all of them grant",
    },
    ("Cap", "per"): {
        "customer": "what one customer is granted counts",
        "entity": "what is granted for one booking, membership … counts",
        "event": "what all customers whom one event of the world reaches are granted counts",
    },
    ("Table", "hit"): {
        "unique": "one row may fit at most; two are an error in the decision",
        "first": "the first row that fits counts",
        "collect": "all rows that fit count: the remedies are granted once for each",
    },
    ("Column", "type"): {
        "integer": "a whole number, such as 1500",
        "money": "an amount with its currency, such as 250 EUR",
        "text": "text, such as gold",
        "flag": "true or false",
        "date": "a day, such as 2020-03-15",
    },
    ("Table", "otherwise"): {"nothing": "where no row fits the rule is meant not to apply"},
    ("refund", "method"): {
        "original": "the way by which it was paid",
        "bank": "by bank transfer",
        "cash": "in cash",
    },
}

KIND_OF_VALUE: Mapping[str, str] = {
    "money": 'an amount in CEL, such as `booking.paid` or `money("100 ILS")`',
    "date": "a date such as 2020-12-31, or CEL that gives one",
    "integer": "a whole number, or CEL that gives one",
    "text": "CEL that gives text; words need quotes of their own: `'\"gold\"'`",
}

LANGUAGES: Mapping[str, str] = {
    "en": "in English",
    "he": "in Hebrew",
    "ar": "in Arabic",
    "ru": "in Russian",
    "de": "in German",
    "fr": "in French",
    "it": "in Italian",
    "es": "in Spanish",
}

FILE: Mapping[str, str] = {
    "policy": "name of the policy whose cases these are; by default the policies in the files beside it",
    "with": "other policies that are in force too: a list of names, or `all`",
    "world": "facts of the world, such as `{crisis.kind: pandemic}`",
    "cases": "the cases, one after the other",
    "accepted_mutants": "changes of a policy that no case can tell from it, and why",
}
ACCEPTED: Mapping[str, str] = {
    "change": "the change, as `policyengine test --mutate` shows it",
    "reason": "why no case can tell the difference",
    "version": "of this version alone",
    "rule": "of this rule alone",
}
CASE: Mapping[str, str] = {
    "name": "what the case shows; unique in the file; `${column}` is filled in from `examples`",
    "description": "more words",
    "with": "other policies that are in force too: a list of names, or `all`",
    "world": "facts of the world, such as `{crisis.kind: pandemic}`",
    "given": "what happens, event by event: `- membership.ended: {at: 2020-04-01T00:00:00Z, …}`",
    "events": "whole CloudEvents instead of `given`",
    "examples": "rows that fill `${column}`; each is a case of its own: a list of `{column: value}`, or text "
    "with a heading line and cells between `|`",
    "expect": "what is decided on the last event: `none`, the keys below, or a list of such",
    "later": "all that happens by itself after the last event, until the last day named: follow-ups, offers "
    "without an answer, vouchers and freezes that end, held messages; `none`, alone or last: nothing more",
}
LATER: Mapping[str, str] = {
    "on": "the day in the policy's time zone, or a moment: 2020-04-05T08:00:00Z",
    "happens": "the event that happens, such as offer.expired; anything where nothing is written",
    "rule": "the rule that let it happen",
    "customer": "to whom it happens; to anybody where nothing is written",
    "expect": "what is decided then: `none`, the keys of `expect`, or a list of such",
}
ENVELOPE: Mapping[str, str] = {
    "at": "when it happens, with its offset: 2020-03-15T08:00:00Z",
    "customer": "whose event it is; c1 where nothing is written",
    "source": "the system that sends it; /cases where nothing is written",
    "id": "its id; e1, e2 … where nothing is written",
    "data": "its properties, where one of them is called at, customer, source or id",
}
EXPECT: Mapping[str, str] = {
    "outcome": "what comes out",
    "remedies": "exactly these remedies are granted; of each only the fields that are written are compared",
    "offers": "exactly these offers are made",
    "denials": "exactly these denials: ids of rules, or `{rule, reason}`",
    "rules": "exactly these rules apply",
    "lost": "`{rule: verdict}`: it lost so",
    "unknown": "`{rule: attribute}`: one of its conditions lacked that attribute",
    "errors": "`{rule: text}`: it ended in an error that contains the text",
    "messages": "`{en: text}`: the message is exactly that; `{}`: nothing is said",
    "not": "no remedy or alternative of these kinds",
    "shadow": "exactly these remedies in shadow",
    "rejected": "the event is rejected with this code, such as EV023",
    "entity": "look only at the decision on this: `{type: booking, id: b1}`",
    "customer": "look only at the decisions for this customer",
    "after": "look at the decision on that event, counted from 1, instead of the last",
}
OUTCOMES: Mapping[str, str] = {
    "granted": "something is granted",
    "offered": "the customer is asked to choose",
    "denied": "the request is refused",
    "none": "no policy applies",
}
ORIGIN: Mapping[str, str] = {
    "policy": "name of the policy that it comes from",
    "version": "the version that it comes from",
    "rule": "the rule that it comes from",
    "basis": "why it is owed",
    "enforced": "whether it is inside of the window of enforcement",
}
OFFER: Mapping[str, str] = {
    "alternatives": "exactly these alternatives: ids, or `{id, remedies}`",
    "default": "the alternative that holds without an answer",
    "deadline": "the last day to answer",
    "consent": "whether the choice is recorded as consent",
}
CHOICE: Mapping[str, str] = {
    "id": "its name",
    "title": "what the customer reads, by language",
    "remedies": "exactly these remedies",
}
