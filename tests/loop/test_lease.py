"""The election on a clock that only the test moves: what real time a busy machine takes changes nothing."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate.clients.kubernetes import Kubernetes
from tidegate.loop.lease import Leadership, LeaseSettings, boot_clock

DURATION, DEADLINE, RETRY = 3.0, 2.1, 0.02
"""In seconds. The pause between two tries is slept for real; a third of the deadline is the patience for one answer."""


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


Candidate = Callable[..., Leadership]


@pytest.fixture
async def candidate(server: ApiServer, clock: Clock, tmp_path: Path) -> AsyncIterator[Candidate]:
    """Makes candidates of one election and stops their renewals at the end."""
    made = list[Leadership]()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Kubernetes.connect(server.kubeconfig(tmp_path))) for _ in range(5)]

        def make(name: str = "a") -> Leadership:
            settings = LeaseSettings("system", name, duration=DURATION, renew_deadline=DEADLINE, retry=RETRY)
            made.append(Leadership(clients[len(made)], settings, clock=clock))
            return made[-1]

        yield make
        for leadership in made:
            if leadership._renewals is not None:
                leadership._renewals.cancel()


def spec(server: ApiServer) -> dict[str, object]:
    found: dict[str, object] = server.store.objects["leases", "system", "tidegate"]["spec"]
    return found


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def asked_again(server: ApiServer, verb: str, times: int = 1) -> None:
    """Until so many requests were begun after now and answered: the one under way now says nothing, nor does the last one begun."""
    enough = len(server.asked(verb, "leases")) + times + 1
    await until(lambda: len(server.asked(verb, "leases")) >= enough)


async def renewed(server: ApiServer) -> None:
    """Until the leader has renewed at the clock's present time: a renewal was begun after one that was stored after now."""
    for _ in range(2):
        before = spec(server)["renewTime"]
        await until(lambda: spec(server)["renewTime"] != before)  # noqa: B023 - awaited within the turn
    await asked_again(server, "update", 0)


async def looked(server: ApiServer, candidates: int = 1) -> None:
    """Until those who stand by have seen the Lease as it is now."""
    await asked_again(server, "get", 3 * candidates)


async def crash(leadership: Leadership) -> None:
    """The process is gone: no renewal, no release."""
    assert leadership._renewals is not None
    leadership._renewals.cancel()
    await asyncio.wait([leadership._renewals])


async def test_the_first_candidate_leads_and_goes_on_renewing(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    leadership = candidate("pod-1")
    assert not leadership.held()
    assert not leadership.participating()
    await leadership.acquire()
    assert leadership.held()
    assert leadership.participating()
    first = dict(spec(server))
    assert first["holderIdentity"] == leadership.identity
    assert str(first["holderIdentity"]).startswith("pod-1_")
    assert (first["leaseDurationSeconds"], first["leaseTransitions"]) == (DURATION, 0)
    for _ in range(4):
        clock.advance(0.6 * DEADLINE)
        assert leadership.held(), "renewed within its deadline, for longer than its deadline in all"
        await renewed(server)
    assert spec(server)["acquireTime"] == first["acquireTime"]
    assert spec(server)["renewTime"] != first["renewTime"]


async def test_of_five_candidates_one_leads(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    candidates = [candidate(name) for name in "abcde"]
    waiting = [asyncio.create_task(each.acquire()) for each in candidates]
    await until(lambda: any(each.held() for each in candidates))
    for _ in range(6):
        clock.advance(DURATION / 3)
        assert sum(each.held() for each in candidates) == 1
        await renewed(server)
        await looked(server, 4)
        assert sum(each.held() for each in candidates) == 1
    assert all(each.participating() for each in candidates)
    for task in waiting:
        task.cancel()


async def test_a_dead_leader_is_followed_after_its_lease_and_not_before(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await until(second.participating)
    await crash(first)
    await looked(server)
    clock.advance(DEADLINE)
    assert not first.held(), "the old leader must have ended before the new one starts"
    await looked(server)
    clock.advance(DURATION - DEADLINE - 0.001)
    await looked(server)
    assert not second.held()
    clock.advance(0.001)
    await until(second.held)
    assert spec(server)["leaseTransitions"] == 1
    await waiting


async def test_a_released_lease_is_taken_at_once(server: ApiServer, candidate: Candidate) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await until(second.participating)
    await first.release()
    assert not first.held()
    assert not first.lost.is_set()
    await until(second.held)
    assert spec(server)["holderIdentity"] == second.identity
    await waiting


async def test_release_leaves_anothers_lease_alone(server: ApiServer, candidate: Candidate) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    await server.put("leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": second.identity}})
    await first.release()
    assert spec(server)["holderIdentity"] == second.identity
    await second.release()
    assert spec(server)["holderIdentity"] == second.identity, "a standby has nothing to release"


async def test_time_that_passes_unseen_ends_leadership_at_once_and_for_good(candidate: Candidate, clock: Clock) -> None:
    leadership = candidate()
    await leadership.acquire()
    assert leadership.held()
    clock.advance(DEADLINE)
    assert not leadership.held(), "without any task having run"
    await until(leadership.lost.is_set)
    clock.advance(-DEADLINE)
    assert not leadership.held(), "what is lost stays lost"


async def test_a_silent_api_server_ends_leadership_at_the_deadline(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    leadership = candidate()
    await leadership.acquire()
    silence = Fault("*", "leases", how="hang", times=1000)
    server.faults.append(silence)
    clock.advance(DEADLINE - 0.001)
    await until(lambda: silence.times <= 998)
    assert leadership.held(), "an answer that doesn't come ends nothing by itself"
    assert not leadership.lost.is_set()
    clock.advance(0.001)
    assert not leadership.held()
    await until(leadership.lost.is_set)


async def renewed_after(server: ApiServer, fault: Fault) -> None:
    server.faults[:] = [fault]
    await until(lambda: fault.times == 0)
    await renewed(server)


async def test_short_troubles_are_survived(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    leadership = candidate()
    await leadership.acquire()
    for fault in (
        Fault("update", status=500),
        Fault("update", how="drop", times=2),
        Fault("update", how="hang"),
        Fault("update", status=429),
    ):
        clock.advance(0.6 * DEADLINE)
        await renewed_after(server, fault)
        assert leadership.held()


@pytest.mark.parametrize("verb", ["create", "update"])
async def test_a_write_whose_answer_is_lost_is_recognised_as_our_own(
    server: ApiServer, candidate: Candidate, clock: Clock, verb: str
) -> None:
    lost = Fault(verb, "leases", how="lose_reply")
    server.faults.append(lost)
    leadership = candidate()
    await leadership.acquire()
    await until(lambda: lost.times == 0)
    for _ in range(2):
        clock.advance(0.6 * DEADLINE)
        await renewed(server)
    assert leadership.held()
    assert spec(server)["leaseTransitions"] == 0


async def test_anothers_name_in_the_lease_ends_leadership_at_once(
    server: ApiServer, candidate: Candidate, caplog: pytest.LogCaptureFixture
) -> None:
    leadership = candidate()
    await leadership.acquire()
    await server.put("leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "usurper"}})
    await until(leadership.lost.is_set)
    assert not leadership.held()
    assert "lost the lease: usurper holds it" in caplog.text
    assert spec(server)["holderIdentity"] == "usurper"


async def test_a_deleted_lease_ends_leadership(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()
    await leadership.acquire()
    await server.remove("leases", "system", "tidegate")
    await until(leadership.lost.is_set)
    assert not leadership.held()


async def test_wall_clocks_are_not_compared(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    """A holder whose clock is 20 years behind, but who renews, is not overthrown."""
    lease = {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "other", "leaseDurationSeconds": 3}}
    await server.put("leases", "system", lease)
    leadership = candidate()
    waiting = asyncio.create_task(leadership.acquire())
    for number in range(3):
        await looked(server)
        clock.advance(DURATION - 0.1)
        await looked(server)
        assert not waiting.done()
        await server.put(
            "leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"renewTime": f"2006-01-01T00:00:{number:02}.000000Z"}}
        )
    await looked(server)
    clock.advance(DURATION)
    await until(leadership.held)
    await waiting


async def test_a_label_on_the_lease_is_no_renewal(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    lease = {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 3}}
    await server.put("leases", "system", lease)
    leadership = candidate()
    waiting = asyncio.create_task(leadership.acquire())
    for stamp in ("a", "b"):
        await looked(server)
        clock.advance(DURATION / 2)
        await server.put("leases", "system", {"metadata": {"name": "tidegate", "labels": {"stamp": stamp}}})
    await until(leadership.held)
    await waiting


async def test_standing_by_survives_whatever_the_api_server_does(server: ApiServer, candidate: Candidate) -> None:
    server.faults += [Fault("get", status=500), Fault("get", status=403), Fault("get", how="drop", times=2), Fault("create", status=422)]
    leadership = candidate()
    async with asyncio.timeout(30):
        await leadership.acquire()
    assert leadership.held()


CHILD = """
import asyncio, sys
from tidegate.clients.kubernetes import Kubernetes
from tidegate.loop.lease import Leadership, LeaseSettings

async def main():
    async with Kubernetes.connect(sys.argv[1]) as kubernetes:
        leadership = Leadership(kubernetes, LeaseSettings("system", "child", duration=3.0, renew_deadline=2.1, retry=0.3))
        await leadership.acquire()
        while not leadership.lost.is_set():
            print("held" if leadership.held() else "not held", flush=True)
            await asyncio.sleep(0.02)
        print("lost", flush=True)

asyncio.run(main())
"""


async def test_a_stopped_process_knows_that_it_no_longer_leads(
    server: ApiServer, candidate: Candidate, clock: Clock, tmp_path: Path
) -> None:
    command = (sys.executable, "-c", CHILD, server.kubeconfig(tmp_path))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": "operator"})
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await child.stdout.readline() == b"held\n"
            successor = candidate("successor")
            waiting = asyncio.create_task(successor.acquire())
            await until(successor.participating)
            child.send_signal(signal.SIGSTOP)
            stopped = boot_clock()
            await looked(server)
            clock.advance(DURATION)
            await waiting
            await until(lambda: boot_clock() > stopped + DEADLINE)
            child.send_signal(signal.SIGCONT)
            said = (await child.stdout.read()).split(b"\n")
            assert await child.wait() == 0
    finally:
        if child.returncode is None:
            child.kill()
    after_waking = said[said.index(b"not held") :] if b"not held" in said else [b"lost", b""]
    assert b"held" not in after_waking
    assert said[-2:] == [b"lost", b""]
    assert successor.held()


@pytest.mark.parametrize("times", [(5.0, 7.0, 1.0), (10.0, 7.0, 4.0), (10.0, 7.0, 0.0)])
async def test_times_that_make_no_sense_are_refused(times: tuple[float, float, float]) -> None:
    duration, deadline, retry = times
    with pytest.raises(ValueError, match="renewDeadline"):
        LeaseSettings("system", "a", duration=duration, renew_deadline=deadline, retry=retry)
