# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What came of each client's requests lately: who is mostly refused, or leaves before the answer, is heard later."""

from .lanes import TimeSpent

FREE = 1  # requests without an answer, more than with one, that cost nothing
FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0  # seconds; each request beyond these doubles the delay
NO_FAULT = (401, 429)  # refused before anything was done


class ClientRecords:
    """
    Counts each client's requests that were answered and that were not, those of long ago less.

    A delay is no refusal: of clients who share an address, those who ask properly are still answered, and where they
    are the more at once.
    """

    def __init__(self) -> None:
        self._answered, self._unanswered = TimeSpent(), TimeSpent()

    def count(self, client: str, status: int) -> None:
        """Notes how a request ended; what the server is to blame for counts for nobody."""
        if status < 400:
            self._answered.add(client, 1.0)
        elif status < 500 and status not in NO_FAULT:
            self._unanswered.add(client, 1.0)

    def delay(self, client: str) -> float:
        """Seconds that the client's next request waits, before its body is read, while others wait for answers."""
        beyond = self._unanswered.of(client) - self._answered.of(client) - FREE
        # From 0 to `FIRST_DELAY` with the first one, whatever was forgotten of it, and then twice as much with each.
        doubled = 2.0 ** min(beyond, 16.0) - 1.0
        return min(max(0.0, FIRST_DELAY * doubled), LONGEST_DELAY)

    def is_answered(self, client: str) -> bool:
        """Whether more of the client's requests lately came to an answer than to nothing; False for a newcomer."""
        return self._answered.of(client) > self._unanswered.of(client)
