# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Finds secrets in text that is about to be published: tokens by their form, as detect-secrets knows it; passwords."""

import re
from collections.abc import Iterator

from detect_secrets.plugins import (
    aws,
    azure_storage_key,
    basic_auth,
    discord,
    github_token,
    gitlab_token,
    jwt,
    keyword,
    mailchimp,
    npm,
    openai,
    private_key,
    pypi_token,
    sendgrid,
    slack,
    square_oauth,
    stripe,
    telegram_token,
    twilio,
)
from detect_secrets.plugins.base import RegexBasedDetector

# What the library does not know, or knows too narrowly.
PATTERNS = {
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{20,})"),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "a Google OAuth token": re.compile(r"\bya29\.[0-9A-Za-z_-]{20,}"),
    "an npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}"),
    "an API key": re.compile(r"\bsk-[A-Za-z0-9_-]{32,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
DETECTORS: tuple[RegexBasedDetector, ...] = (
    aws.AWSKeyDetector(),
    azure_storage_key.AzureStorageKeyDetector(),
    basic_auth.BasicAuthDetector(),
    discord.DiscordBotTokenDetector(),
    github_token.GitHubTokenDetector(),
    gitlab_token.GitLabTokenDetector(),
    jwt.JwtTokenDetector(),
    mailchimp.MailchimpDetector(),
    npm.NpmDetector(),
    openai.OpenAIDetector(),
    private_key.PrivateKeyDetector(),
    pypi_token.PypiTokenDetector(),
    sendgrid.SendGridDetector(),
    slack.SlackDetector(),
    square_oauth.SquareOAuthDetector(),
    stripe.StripeDetector(),
    telegram_token.TelegramBotTokenDetector(),
    twilio.TwilioKeyDetector(),
)
KEYWORDS = keyword.KeywordDetector()
MAY_BE_PASSWORD = re.compile(r"(?i)(?:pass|pwd|secret|key|token|credential)[\w'\"-]*\s*[:=]")
# The library asks for quotes where it does not know the file for settings; people write them without.
PLAIN_PASSWORD = re.compile(
    r"(?i)\b\w*(?:password|passwd|passphrase|secret|api_?key)\s*[:=]\s*(?P<value>[^\s'\",;]+)\s*$"
)
# What every form of the library begins with or has; vocabularies of a million lines are looked through.
MAY_BE_TOKEN = re.compile(r"[\w./+=-]{16}|PRIVATE KEY|://|gl\w+-|:[\w-]{16}")
SHORTEST_PASSWORD = 6  # characters; what is shorter stands for one, as "none" and "***" do


def secret_in(line: str) -> str | None:
    """What kind of secret a line holds, in words; None if it holds none."""
    for name, pattern in PATTERNS.items():
        if pattern.search(line):
            return name
    for detector in DETECTORS if MAY_BE_TOKEN.search(line) else ():
        if any(pattern.search(line) for pattern in detector.denylist) and any(detector.analyze_string(line)):
            return f"a secret ({detector.secret_type})"
    if MAY_BE_PASSWORD.search(line) and any(map(_is_password, _values(line))):
        return "a password"
    return None


def _values(line: str) -> Iterator[str]:
    yield from KEYWORDS.analyze_string(line)
    plain = PLAIN_PASSWORD.search(line)
    if plain and re.search(r"\d", plain["value"]) and re.search(r"[A-Za-z]", plain["value"]):
        yield plain["value"]


def _is_password(value: str) -> bool:
    stands_for_one = value.startswith(("$", "{", "<", "%")) or "..." in value or "(" in value
    return len(value) >= SHORTEST_PASSWORD and not stands_for_one
