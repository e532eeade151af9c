"""What must hold in every reconcile: a claim is a function that gives a sentence where it does not, and says by its name what it is about.

A claim looks at what was read, decided and written, and at the observer's memory. Where `decide` has an opinion of its own (a verdict, a
clock), the claim forms it anew: from the kind of the reading, and from the times of the samples.
"""

from search.claims import falling, keeping, raising
from search.claims.common import Claim

WRITE_CLAIMS: tuple[Claim, ...] = (
    raising.a_raise_follows_a_durable_intent,
    raising.a_raise_waits_for_the_finalizer_and_a_proven_way_back,
    raising.every_gate_lets_a_raise_go,
    raising.a_raise_rests_on_samples_from_after_the_step,
    raising.pause_never_raises,
    raising.nothing_rises_that_is_disabled_or_without_policy,
    raising.no_step_is_skipped,
    raising.no_dwell_is_cut_short,
    raising.exposure_has_only_known_values,
    raising.a_manual_override_is_never_undone,
    falling.a_rejected_revision_is_never_exposed_again,
    keeping.every_write_carries_a_larger_epoch,
)
"""Checked wherever a flag was written, at every end of the reconcile."""
STORE_CLAIMS: tuple[Claim, ...] = (
    falling.a_rollback_that_is_refused_is_kept,
    keeping.records_are_appended_once_and_without_gap,
    keeping.no_record_is_lost,
    keeping.records_that_are_refused_are_told,
)
"""Checked at every end of the reconcile."""
DECISION_CLAIMS: tuple[Claim, ...] = (
    falling.a_lowering_waits_for_nothing,
    falling.a_breach_that_counts_rolls_back_at_once,
    falling.nothing_rolls_back_without_a_cause,
    falling.a_revision_is_rejected_only_where_it_fell,
    falling.a_rollback_is_absorbing,
    falling.no_exposure_beyond_the_step_outlasts_a_reconcile,
    keeping.nothing_is_told_of_records_that_are_written,
    keeping.a_correction_has_something_to_correct,
    keeping.seq_never_goes_back_or_repeats,
    keeping.attempts_keep_their_pace,
    keeping.whoever_is_not_terminal_is_woken,
    keeping.nothing_waits_without_a_reason,
    keeping.what_others_put_back_is_what_its_own_reconcile_does,
    keeping.deletion_leaves_nobody_exposed_before_the_end,
)
"""Checked once for each decision. `a_converged_reconcile_writes_nothing` (explore.py) and the claims of ends.py need the graph."""
