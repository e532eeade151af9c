import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tidegate.clients.kubernetes import Kubernetes
from tidegate.loop.lease import Leadership, LeaseSettings, boot_clock

DURATION, DEADLINE, RETRY = 1.0, 0.7, 0.1


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer.running() as running:
        yield running


Candidate = Callable[..., Leadership]


@pytest.fixture
async def candidate(server: ApiServer, tmp_path: Path) -> AsyncIterator[Candidate]:
    """Makes candidates of one election and stops their renewals at the end."""
    made = list[Leadership]()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Kubernetes.connect(server.kubeconfig(tmp_path))) for _ in range(5)]

        def make(name: str = "a", clock: Callable[[], float] = boot_clock) -> Leadership:
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


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    """The seconds until `condition` held."""
    before = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return time.monotonic() - before


async def crash(leadership: Leadership) -> None:
    """The process is gone: no renewal, no release."""
    assert leadership._renewals is not None
    leadership._renewals.cancel()
    await asyncio.wait([leadership._renewals])


async def test_the_first_candidate_leads_and_goes_on_renewing(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate("pod-1")
    assert not leadership.held()
    assert not leadership.participating()
    await leadership.acquire()
    assert leadership.held()
    assert leadership.participating()
    first = dict(spec(server))
    assert first["holderIdentity"] == leadership.identity
    assert str(first["holderIdentity"]).startswith("pod-1_")
    assert (first["leaseDurationSeconds"], first["leaseTransitions"]) == (1, 0)
    await until(lambda: len(server.asked("update", "leases")) >= 9)
    assert leadership.held(), "renewed for longer than its deadline"
    assert spec(server)["acquireTime"] == first["acquireTime"]
    assert spec(server)["renewTime"] != first["renewTime"]


async def test_of_five_candidates_one_leads(candidate: Candidate) -> None:
    candidates = [candidate(name) for name in "abcde"]
    waiting = [asyncio.create_task(each.acquire()) for each in candidates]
    await until(lambda: any(each.held() for each in candidates))
    await until(lambda: all(each.participating() for each in candidates))
    end = time.monotonic() + 1.2 * DURATION
    while time.monotonic() < end:
        assert sum(each.held() for each in candidates) == 1
        await asyncio.sleep(0.01)
    for task in waiting:
        task.cancel()


async def test_a_dead_leader_is_followed_after_its_lease_and_not_before(server: ApiServer, candidate: Candidate) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await until(second.participating)
    await crash(first)
    took = await until(lambda: second.held() or first.held() is second.held())
    assert not second.held(), "the old leader must have ended before the new one starts"
    took += await until(second.held)
    assert DEADLINE < took < DURATION + DEADLINE
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
    assert await until(second.held) < DEADLINE
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


async def test_time_that_passes_unseen_ends_leadership_at_once_and_for_good(server: ApiServer, candidate: Candidate) -> None:
    ahead = 0.0
    leadership = candidate(clock=lambda: boot_clock() + ahead)
    await leadership.acquire()
    assert leadership.held()
    ahead = DEADLINE
    assert not leadership.held(), "without any task having run"
    async with asyncio.timeout(2):
        await leadership.lost.wait()
    ahead = 0.0
    assert not leadership.held(), "what is lost stays lost"


async def test_a_silent_api_server_ends_leadership_at_the_deadline(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()
    await leadership.acquire()
    server.faults.append(Fault("*", "leases", how="hang", times=1000))
    took = await until(leadership.lost.is_set)
    assert DEADLINE - 2 * RETRY < took < DEADLINE + 2 * RETRY
    assert not leadership.held()


async def renewed_after(server: ApiServer, fault: Fault) -> None:
    server.faults[:] = [fault]
    await until(lambda: fault.times == 0)
    asked = len(server.asked("update", "leases"))
    await until(lambda: len(server.asked("update", "leases")) > asked)


async def test_short_troubles_are_survived(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()
    await leadership.acquire()
    for fault in (
        Fault("update", status=500),
        Fault("update", how="drop", times=2),
        Fault("update", how="hang"),
        Fault("update", status=429),
    ):
        await renewed_after(server, fault)
        assert leadership.held()


@pytest.mark.parametrize("verb", ["create", "update"])
async def test_a_write_whose_answer_is_lost_is_recognised_as_our_own(server: ApiServer, candidate: Candidate, verb: str) -> None:
    server.faults.append(Fault(verb, "leases", how="lose_reply"))
    leadership = candidate()
    async with asyncio.timeout(3):
        await leadership.acquire()
    await until(lambda: len(server.asked("update", "leases")) >= 4)
    assert leadership.held()
    assert spec(server)["leaseTransitions"] == 0


async def test_anothers_name_in_the_lease_ends_leadership_at_once(
    server: ApiServer, candidate: Candidate, caplog: pytest.LogCaptureFixture
) -> None:
    leadership = candidate()
    await leadership.acquire()
    await server.put("leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "usurper"}})
    assert await until(leadership.lost.is_set) < DEADLINE - RETRY
    assert not leadership.held()
    assert "lost the lease: usurper holds it" in caplog.text
    assert spec(server)["holderIdentity"] == "usurper"


async def test_a_deleted_lease_ends_leadership(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()
    await leadership.acquire()
    await server.remove("leases", "system", "tidegate")
    assert await until(leadership.lost.is_set) < DEADLINE - RETRY
    assert not leadership.held()


async def test_wall_clocks_are_not_compared(server: ApiServer, candidate: Candidate) -> None:
    """A holder whose clock is 20 years behind, but who renews, is not overthrown."""
    lease = {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "other", "leaseDurationSeconds": 1}}
    await server.put("leases", "system", lease)
    leadership = candidate()
    waiting = asyncio.create_task(leadership.acquire())
    for number in range(13):
        await server.put(
            "leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"renewTime": f"2006-01-01T00:00:{number:02}.000000Z"}}
        )
        await asyncio.sleep(0.1)
    assert not waiting.done()
    assert DURATION - 0.2 < await until(leadership.held) < DURATION + DEADLINE


async def test_a_label_on_the_lease_is_no_renewal(server: ApiServer, candidate: Candidate) -> None:
    lease = {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 1}}
    await server.put("leases", "system", lease)
    leadership = candidate()
    waiting = asyncio.create_task(leadership.acquire())
    async with asyncio.timeout(3 * DURATION):
        while not waiting.done():
            stamp = str(time.monotonic())
            await server.put("leases", "system", {"metadata": {"name": "tidegate", "labels": {"stamp": stamp}}})
            await asyncio.sleep(0.02)


async def test_standing_by_survives_whatever_the_api_server_does(server: ApiServer, candidate: Candidate) -> None:
    server.faults += [Fault("get", status=500), Fault("get", status=403), Fault("get", how="drop", times=2), Fault("create", status=422)]
    leadership = candidate()
    async with asyncio.timeout(5):
        await leadership.acquire()
    assert leadership.held()


CHILD = """
import asyncio, sys
from tidegate.clients.kubernetes import Kubernetes
from tidegate.loop.lease import Leadership, LeaseSettings

async def main():
    async with Kubernetes.connect(sys.argv[1]) as kubernetes:
        leadership = Leadership(kubernetes, LeaseSettings("system", "child", duration=1.0, renew_deadline=0.7, retry=0.1))
        await leadership.acquire()
        while not leadership.lost.is_set():
            print("held" if leadership.held() else "not held", flush=True)
            await asyncio.sleep(0.02)
        print("lost", flush=True)

asyncio.run(main())
"""


async def test_a_stopped_process_knows_that_it_no_longer_leads(server: ApiServer, candidate: Candidate, tmp_path: Path) -> None:
    command = (sys.executable, "-c", CHILD, server.kubeconfig(tmp_path))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": "operator"})
    assert child.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await child.stdout.readline() == b"held\n"
            successor = candidate("successor")
            waiting = asyncio.create_task(successor.acquire())
            await until(successor.participating)
            child.send_signal(signal.SIGSTOP)
            await waiting
            await asyncio.sleep(0)
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
