"""Bugs to be found: each is a change of a line or two of the election, and the family of scenes in which it shows."""

from search.bugs import Bug

_ELECTION, _LEADING, _LEASE = "loop/election.py", "loop/leading.py", "loop/lease.py"
_ASKS_FIRST = "            # Another may have been faster, and a renewal that can't be held should not keep it waiting: ask first.\n"
_TOO_LATE = '            return self._ended("it was not renewed in time")\n'

ELECTION_BUGS = (
    Bug(
        "the Lease is held from when a renewal was answered, not from when it was asked for",
        _ELECTION,
        "self._in_contact_at = asked_at + self._settings.renew_deadline, asked_at",
        "self._in_contact_at = self._clock() + self._settings.renew_deadline, asked_at",
        "leader_stopped",
    ),
    Bug(
        "a renewal gets what is left until the deadline, and who is late ends",
        _ELECTION,
        "self._kubernetes.replace(LEASES, body, time_limit=self._settings.patience)",
        "self._kubernetes.replace(\n"
        "            LEASES, body, time_limit=min(self._settings.patience, self._held_until - self._clock() if self.held() else 9.0)\n"
        "        )",
        "leader_stopped",
        also=((_ELECTION, _ASKS_FIRST, _TOO_LATE),),
    ),
    Bug(
        "a leader that is late ends, and keeps its name in the Lease",
        _ELECTION,
        _ASKS_FIRST,
        _TOO_LATE,
        "leader_stopped",
    ),
    Bug(
        "the Lease is given up before the work has ended",
        _LEADING,
        "    await drain(0.0 if leadership.lost.is_set() else grace)\n    await leadership.release()\n",
        "    await leadership.release()\n    await drain(0.0 if leadership.lost.is_set() else grace)\n",
        "asked_to_stop",
    ),
    Bug(
        "whoever has our name is our predecessor, in whichever pod",
        _ELECTION,
        "if self._settings.place and holder != self.identity and holder.startswith(self._settings.prefix):",
        "if holder != self.identity and holder.startswith(self._settings.prefix):",
        "twins",
    ),
    Bug(
        "a predecessor in our pod is waited for",
        _ELECTION,
        "holder.startswith(self._settings.prefix)",
        'holder.startswith("nobody")',
        "leader_killed",
    ),
    Bug(
        "a write takes the place of any version",
        _LEASE,
        "    return lease | {\n",
        '    return {key: value for key, value in lease.items() if key != "metadata"} | {\n',
        "standby_cut",
    ),
    Bug(
        "a renewal of the leader goes unnoticed",
        _ELECTION,
        "if spec_of(lease) != self._observed:",
        "if not self._observed:",
        "leader_stopped",
    ),
    Bug(
        "a look that fails makes the standby wait from the beginning",
        _ELECTION,
        "            self._trouble_at = self._clock()\n            return False",
        "            self._trouble_at, self._observed = self._clock(), {}\n            return False",
        "away",
    ),
    Bug(
        "a leader takes the Lease back from whoever followed it",
        _ELECTION,
        "            if holder != self.identity:\n                return self._ended",
        "            if not holder:\n                return self._ended",
        "leader_stopped",
    ),
    Bug(
        "a Lease that was deleted is anybody's",
        _ELECTION,
        "return self._clock() >= self._anothers_until() and await self._create()",
        "return await self._create()",
        "deleted",
    ),
    Bug(
        "a renewal that is stored late keeps the Lease from being given up",
        _ELECTION,
        "for _ in range(_TRIES):",
        "for _ in range(1):",
        "asked_to_stop",
    ),
    Bug(
        "who is asked to stop while it takes the Lease keeps it",
        _LEADING,
        "    await asyncio.wait([acquiring])\n    await leadership.release()\n",
        "    await asyncio.wait([acquiring])\n",
        "standby_cut",
    ),
    Bug(
        "a leader that can't hold the Lease goes on extending it",
        _ELECTION,
        "_MOST_UNHELD = 3",
        "_MOST_UNHELD = 1000",
        "gray",
    ),
)
