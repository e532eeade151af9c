/**
 * Counts evaluations of feature flags by variant, and knows the variants of a request, so that other metrics can carry them.
 *
 * Copy this file into your application. It needs @openfeature/server-sdk and prom-client.
 *
 *     const flagMetrics = new FlagMetrics(['new-search']);
 *     OpenFeature.addHooks(flagMetrics);
 *
 *     app.use((request, response, next) => flagMetrics.request(next));
 *     ...
 *     const on = await client.getBooleanValue('new-search', false, { targetingKey: user });
 *     requests.inc({ variant: flagMetrics.variantOf('new-search') });
 */

import { AsyncLocalStorage } from 'node:async_hooks';

import { Counter, register } from 'prom-client';

/** The variant of a flag that this request didn't evaluate, or of an evaluation that failed: the default in the code counts. */
export const NONE = 'none';
/** Stands for every flag, variant or reason that isn't known beforehand, so that nobody can add series without end. */
export const OTHER = 'other';
const MOST_FEATURES = 50;
const MOST_VARIANTS = 20;
const USUAL_REASONS = ['static', 'targeting_match', 'default'];
const REASONS = new Set([...USUAL_REASONS, 'cached', 'disabled', 'error', 'split', 'stale', 'unknown']);

/**
 * An OpenFeature hook with the counter feature_flag_evaluations_total{feature, variant, reason}.
 *
 * @implements {import('@openfeature/server-sdk').Hook}
 */
export class FlagMetrics {
  #variants;
  #evaluations;
  #seen = new AsyncLocalStorage();

  /**
   * @param {string[] | Record<string, string[]>} features the keys of the flags to tell apart, with their variants where these aren't `on`
   *   and `off`: { button: ['red', 'blue'] }
   * @param {import('prom-client').Registry} [registry]
   * @throws {RangeError} more features or variants than a metric should have
   */
  constructor(features, registry = register) {
    const named = Array.isArray(features) ? features.map((feature) => [feature, ['on', 'off']]) : Object.entries(features);
    this.#variants = new Map(named.map(([feature, variants]) => [feature, [...variants, NONE]]));
    if (this.#variants.size > MOST_FEATURES || [...this.#variants.values()].some((variants) => variants.length > MOST_VARIANTS)) {
      const atMost = `at most ${MOST_FEATURES} features, with fewer than ${MOST_VARIANTS} variants each`;
      throw new RangeError(`${atMost}: list those that are being rolled out`);
    }
    this.#evaluations = new Counter({
      name: 'feature_flag_evaluations_total',
      help: 'Evaluations of feature flags, by what they gave.',
      labelNames: ['feature', 'variant', 'reason'],
      registers: [registry],
    });
    this.#beginAtZero();
  }

  /** To Prometheus a series that appears with the value 1 hasn't risen: increase() and rate() never see its first evaluation. */
  #beginAtZero() {
    this.#evaluations.inc({ feature: OTHER, variant: OTHER, reason: OTHER }, 0);
    for (const [feature, variants] of this.#variants) {
      for (const variant of variants) {
        for (const reason of variant === NONE ? ['error'] : USUAL_REASONS) {
          this.#evaluations.inc({ feature, variant, reason }, 0);
        }
      }
    }
  }

  /**
   * Runs `work`, and returns what it returns. What it evaluates, also in all that it awaits or starts, belongs to one request.
   *
   * @template T
   * @param {() => T} work
   * @returns {T}
   */
  request(work) {
    return this.#seen.run(new Map(), work);
  }

  /**
   * The variant that this request last got; "none" without one, "other" for a feature that isn't listed.
   *
   * @param {string} feature
   * @returns {string}
   */
  variantOf(feature) {
    return this.#variants.has(feature) ? (this.#seen.getStore()?.get(feature) ?? NONE) : OTHER;
  }

  /**
   * All that `variantOf` can give for a listed feature: make a series of your metric for each, before the first request.
   *
   * @param {string} feature
   * @returns {string[]}
   */
  variants(feature) {
    return [...this.#variants.get(feature), OTHER];
  }

  /**
   * Called by the SDK after every evaluation, failed ones too.
   *
   * @param {import('@openfeature/server-sdk').HookContext} context
   * @param {import('@openfeature/server-sdk').EvaluationDetails<import('@openfeature/server-sdk').FlagValue>} details
   */
  finally({ flagKey: feature }, details) {
    const known = this.#variants.get(feature);
    if (known === undefined) {
      this.#evaluations.inc({ feature: OTHER, variant: OTHER, reason: OTHER });
      return;
    }
    const given = details.variant ?? NONE;
    const variant = known.includes(given) ? given : OTHER;
    const reason = (details.reason ?? 'unknown').toLowerCase();
    this.#seen.getStore()?.set(feature, variant);
    this.#evaluations.inc({ feature, variant, reason: REASONS.has(reason) ? reason : OTHER });
  }
}
