"""The election on a clock that only the test moves: what real time a busy machine takes changes nothing."""

import asyncio
import logging

import pytest

from tests.fakes.apiserver import ApiServer, Fault
from tests.loop.election import DEADLINE, DURATION, Candidate, Clock, crash, looked, renewed, spec, until
from tidegate.loop.lease import LeaseSettings


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


@pytest.mark.thorough
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


async def test_time_that_passes_unseen_ends_the_right_to_write_at_once(
    server: ApiServer, candidate: Candidate, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And as nobody has followed, it goes on: with the next renewal, without a new election."""
    leadership = candidate()
    await leadership.acquire()
    server.faults.append(Fault("get", "leases", status=503, times=1000))
    clock.advance(DEADLINE)
    assert not leadership.held(), "without any task having run"
    await until(lambda: "nothing is written until it is" in caplog.text)
    assert not leadership.held()
    assert server.asked("update", "leases") == [], "who is late asks first whose name stands there"
    server.faults.clear()
    with caplog.at_level(logging.INFO, logger="tidegate.loop.election"):
        await until(leadership.held)
    assert not leadership.lost.is_set()
    assert spec(server)["leaseTransitions"] == 0
    assert "the lease is renewed: nobody else has led meanwhile" in caplog.text


async def test_a_silent_api_server_ends_the_right_to_write_at_the_deadline(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    leadership = candidate()
    await leadership.acquire()
    silence = Fault("*", "leases", how="hang", times=1000)
    server.faults.append(silence)
    clock.advance(DEADLINE - 0.001)
    await until(lambda: silence.times <= 998)
    assert leadership.held(), "an answer that doesn't come ends nothing by itself"
    clock.advance(0.001)
    assert not leadership.held()
    await until(lambda: silence.times <= 996)
    assert not leadership.lost.is_set(), "it only asks, and extends nothing that it can't hold"


async def test_a_leader_whose_renewals_are_never_answered_gives_the_lease_up(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    leadership = candidate()
    await leadership.acquire()
    unanswered = Fault("update", "leases", how="lose_reply", times=1000)
    server.faults.append(unanswered)
    await until(lambda: unanswered.times < 998)
    clock.advance(DEADLINE)
    await until(leadership.lost.is_set)
    server.faults.clear()
    await leadership.release()
    assert spec(server)["holderIdentity"] == ""


async def renewed_after(server: ApiServer, fault: Fault) -> None:
    server.faults[:] = [fault]
    await until(lambda: fault.times == 0)
    await renewed(server)


@pytest.mark.thorough
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


@pytest.mark.parametrize("usurper", ["usurper", None])
async def test_anothers_name_in_the_lease_or_none_ends_leadership_at_once(
    server: ApiServer, candidate: Candidate, caplog: pytest.LogCaptureFixture, usurper: str | None
) -> None:
    leadership = candidate()
    await leadership.acquire()
    if usurper is None:
        await server.remove("leases", "system", "tidegate")
    else:
        await server.put("leases", "system", {"metadata": {"name": "tidegate"}, "spec": {"holderIdentity": usurper}})
    await until(leadership.lost.is_set)
    assert not leadership.held()
    if usurper is not None:
        assert "lost the lease: usurper holds it" in caplog.text
        assert spec(server)["holderIdentity"] == usurper


async def test_a_deleted_lease_is_not_taken_before_its_leader_has_ended(server: ApiServer, candidate: Candidate, clock: Clock) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await looked(server)
    await crash(first)
    await server.remove("leases", "system", "tidegate")
    await looked(server)
    assert first.held()
    assert not second.held()
    clock.advance(DURATION)
    await until(second.held)
    await waiting


async def test_a_process_in_its_predecessors_place_leads_at_once(server: ApiServer, candidate: Candidate) -> None:
    dead, successor = candidate("pod", place="uid:8080"), candidate("pod", place="uid:8080")
    await dead.acquire()
    await crash(dead)
    await successor.acquire()
    assert spec(server)["holderIdentity"] == successor.identity
    assert successor.identity.startswith("pod_uid:8080_")
    assert spec(server)["leaseTransitions"] == 1


@pytest.mark.parametrize(("name", "place"), [("pod", ""), ("pod", "uid:8081"), ("other", "uid:8080"), ("po", "uid:8080")])
async def test_no_other_process_does(server: ApiServer, candidate: Candidate, clock: Clock, name: str, place: str) -> None:
    """Another of the same name by hand, on another port of the pod, or of another pod."""
    leader, other = candidate("pod", place="uid:8080" if place else ""), candidate(name, place=place)
    await leader.acquire()
    waiting = asyncio.create_task(other.acquire())
    await looked(server)
    assert not waiting.done()
    await crash(leader)
    await looked(server)
    clock.advance(DURATION)
    await waiting


async def test_a_renewal_that_is_stored_late_does_not_keep_the_lease_from_being_given_up(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()
    await leadership.acquire()
    read = len(server.asked("get", "leases"))
    hang = Fault("update", "leases", status=409, reason="Conflict")
    giving_up = asyncio.create_task(leadership.release())
    server.faults.append(hang)
    await giving_up
    assert hang.times == 0
    assert len(server.asked("get", "leases")) == read + 2
    assert spec(server)["holderIdentity"] == ""


async def test_what_was_taken_without_knowing_it_is_given_up(server: ApiServer, candidate: Candidate) -> None:
    leadership = candidate()
    lost = Fault("create", "leases", how="lose_reply")
    server.faults += [lost, Fault("get", "leases", status=404, reason="NotFound"), Fault("get", "leases", how="hang")]
    acquiring = asyncio.create_task(leadership.acquire())
    await until(lambda: lost.times == 0)
    acquiring.cancel()
    await asyncio.wait([acquiring])
    server.faults.clear()
    await leadership.release()
    assert spec(server)["holderIdentity"] == ""


async def test_once_the_api_server_answers_again_it_is_said_with_each_renewal_for_a_while(
    server: ApiServer, candidate: Candidate, clock: Clock
) -> None:
    leadership, said = candidate(), list[float]()
    await leadership.acquire(lambda: said.append(clock()))
    await renewed(server)
    assert said == []
    refusal = Fault("update", "leases", status=503)
    server.faults.append(refusal)
    await until(lambda: len(said) >= 3)
    assert refusal.times == 0
    clock.advance(DURATION / 2)
    before = len(said)
    await until(lambda: len(said) > before)
    clock.advance(DURATION / 2)
    await renewed(server)
    before = len(said)
    await renewed(server)
    assert len(said) == before


@pytest.mark.parametrize(("duration", "patience"), [(10.0, 7 / 3), (2.0, 1.0), (300.0, 5.0)])
def test_each_request_gets_between_one_second_and_five(duration: float, patience: float) -> None:
    assert LeaseSettings.lasting(duration, "system", "a").patience == pytest.approx(patience)


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


@pytest.mark.parametrize("times", [(5.0, 7.0, 1.0), (10.0, 7.0, 4.0), (10.0, 7.0, 0.0)])
async def test_times_that_make_no_sense_are_refused(times: tuple[float, float, float]) -> None:
    duration, deadline, retry = times
    with pytest.raises(ValueError, match="renewDeadline"):
        LeaseSettings("system", "a", "tidegate", duration=duration, renew_deadline=deadline, retry=retry)


async def test_whoever_stands_by_says_so_once_for_each_leader_and_a_leader_that_it_leads(
    server: ApiServer, candidate: Candidate, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="tidegate.loop.election"):
        first, second = candidate("first"), candidate("second")
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        await looked(server, 2)
        await first.release()
        await waiting
    said = [one.getMessage() for one in caplog.records]
    assert said == [
        f"leading as {first.identity}",
        f"standing by: {first.identity} leads",
        "released the lease",
        f"leading as {second.identity}",
    ]
