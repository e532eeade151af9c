/** The hook for applications in JavaScript, with the real OpenFeature SDK and flagd's provider, on flags as Tidegate writes them. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';

import { FlagdProvider } from '@openfeature/flagd-provider';
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import { Registry } from 'prom-client';

import { FlagMetrics, NONE, OTHER } from './flag_metrics.mjs';

const KEY = 'new-search';
const USERS = Array.from({ length: 200 }, (_, number) => ({ targetingKey: `user-${number}` }));
const DOCUMENTS = readdirSync('flags').map((name) => `flags/${name}`);

let domains = 0;

after(() => OpenFeature.close());

async function connected(provider, metrics) {
  const domain = `domain-${(domains += 1)}`;
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain).addHooks(metrics);
}

function fromFile(path, metrics) {
  return connected(new FlagdProvider({ resolverType: 'in-process', offlineFlagSourcePath: path }), metrics);
}

function inMemory(flags, metrics) {
  return connected(new InMemoryProvider(flags), metrics);
}

function flag(variant, variants) {
  return { disabled: false, defaultVariant: variant, variants };
}

function fail() {
  throw new Error('broken');
}

function make(features = [KEY]) {
  const registry = new Registry();
  return { registry, metrics: new FlagMetrics(features, registry) };
}

/** Every series with its value, as "feature variant reason". */
async function series(registry) {
  const [counter] = await registry.getMetricsAsJSON();
  assert.equal(counter.name, 'feature_flag_evaluations_total');
  assert.equal(counter.type, 'counter');
  return new Map(counter.values.map(({ labels, value }) => [`${labels.feature} ${labels.variant} ${labels.reason}`, value]));
}

async function counted(registry) {
  return Object.fromEntries([...(await series(registry))].filter(([, value]) => value > 0));
}

test('the documents are there', () => {
  assert.equal(DOCUMENTS.length, 6);
});

for (const path of DOCUMENTS) {
  test(`every evaluation is counted under the variant and the reason that it had: ${path}`, async () => {
    const { registry, metrics } = make();
    const client = await fromFile(path, metrics);
    const expected = {};
    for (const user of USERS) {
      const { variant, reason } = await client.getBooleanDetails(KEY, false, user);
      const name = `${KEY} ${variant} ${reason.toLowerCase()}`;
      expected[name] = (expected[name] ?? 0) + 1;
    }
    assert.deepEqual(await counted(registry), expected);
  });
}

test('whatever a rollout can give begins at zero', async () => {
  const { registry, metrics } = make();
  const before = await series(registry);
  assert.deepEqual(await counted(registry), {});
  for (const path of DOCUMENTS) {
    const client = await fromFile(path, metrics);
    for (const user of [...USERS, {}]) await client.getBooleanValue(KEY, false, user);
    await client.getBooleanValue('another', false);
  }
  await (await inMemory({}, metrics)).getBooleanValue(KEY, false);
  assert.deepEqual([...(await series(registry)).keys()].sort(), [...before.keys()].sort());
  assert.ok(before.has(`${KEY} on static`));
});

for (const value of [true, false]) {
  test(`a failed evaluation gives the code default (${value}) and counts as an error without a variant`, async () => {
    const { registry, metrics } = make();
    const missing = await inMemory({}, metrics);
    const mistyped = await inMemory({ [KEY]: flag('on', { on: 'yes' }) }, metrics);
    for (const client of [missing, mistyped]) {
      await metrics.request(async () => {
        assert.equal(await client.getBooleanValue(KEY, value), value);
        assert.equal(metrics.variantOf(KEY), NONE);
      });
    }
    assert.deepEqual(await counted(registry), { [`${KEY} none error`]: 2 });
  });
}

test('a provider that is not ready counts as an error', async () => {
  const { registry, metrics } = make();
  const provider = new FlagdProvider({ resolverType: 'in-process', host: '127.0.0.1', port: 9, deadlineMs: 50 });
  await assert.rejects(OpenFeature.setProviderAndWait('down', provider));
  const client = OpenFeature.getClient('down').addHooks(metrics);
  assert.equal(await client.getBooleanValue(KEY, true), true);
  assert.deepEqual(await counted(registry), { [`${KEY} none error`]: 1 });
});

test('flags, variants and reasons that are not listed share one value', async () => {
  const { registry, metrics } = make();
  const before = (await series(registry)).size;
  const names = Array.from({ length: 100 }, (_, number) => `v${number}`);
  const variants = Object.fromEntries(names.map((name) => [name, true]));
  for (const name of names) {
    const client = await inMemory({ [KEY]: flag(name, variants), [`flag-${name}`]: flag('on', { on: true }) }, metrics);
    await metrics.request(async () => {
      assert.equal(await client.getBooleanValue(KEY, false), true);
      assert.equal(metrics.variantOf(KEY), OTHER);
      await client.getBooleanValue(`flag-${name}`, false);
      assert.equal(metrics.variantOf(`flag-${name}`), OTHER);
    });
  }
  const resolveBooleanEvaluation = async () => ({ value: true, variant: 'on', reason: 'BECAUSE' });
  const strange = await connected({ metadata: { name: 'strange' }, runsOn: 'server', resolveBooleanEvaluation }, metrics);
  await strange.getBooleanValue(KEY, false);
  assert.deepEqual(await counted(registry), { [`${KEY} other static`]: 100, 'other other other': 100, [`${KEY} on other`]: 1 });
  assert.equal((await series(registry)).size, before + 2);
});

test('variants may have any name', async () => {
  const { registry, metrics } = make({ button: ['red', 'blue'], [KEY]: ['on', 'off'] });
  const client = await inMemory({ button: flag('red', { red: '#f00', blue: '#00f' }) }, metrics);
  assert.equal(await client.getStringValue('button', ''), '#f00');
  assert.deepEqual(await counted(registry), { 'button red static': 1 });
  assert.deepEqual(metrics.variants('button'), ['red', 'blue', NONE, OTHER]);
});

test('requests are apart, and see what is evaluated in all that they start', async () => {
  const { metrics } = make();
  const contextEvaluator = ({ targetingKey }) => (targetingKey.endsWith('7') ? 'on' : 'off');
  const client = await inMemory({ [KEY]: { ...flag('off', { on: true, off: false }), contextEvaluator } }, metrics);
  const got = await Promise.all(
    USERS.map((user) =>
      metrics.request(async () => {
        assert.equal(metrics.variantOf(KEY), NONE);
        const [on] = await Promise.all([client.getBooleanValue(KEY, false, user), new Promise(setImmediate)]);
        await new Promise(setImmediate);
        assert.equal(metrics.variantOf(KEY), on ? 'on' : 'off');
        return on;
      }),
    ),
  );
  assert.equal(got.filter(Boolean).length, 20);
  await client.getBooleanValue(KEY, false, USERS[7]);
  assert.equal(metrics.variantOf(KEY), NONE, 'outside of a request nothing is kept');
});

test('a request gives what its work gives, and throws what it throws', () => {
  const { metrics } = make();
  assert.equal(metrics.request(() => 7), 7);
  assert.throws(() => metrics.request(fail), /broken/);
});

test('a hook that fails costs the application nothing', async () => {
  const { registry, metrics } = make();
  const client = await fromFile(DOCUMENTS.find((path) => path.includes('100')), metrics);
  registry.getSingleMetric('feature_flag_evaluations_total').inc = fail;
  client.setLogger({ error() {}, warn() {}, info() {}, debug() {} });
  assert.equal(await client.getBooleanValue(KEY, false, USERS[0]), true);
});

test('more than a metric should have is refused', () => {
  const names = (count) => Array.from({ length: count }, (_, number) => `n${number}`);
  for (const features of [names(51), { button: names(20) }]) {
    const registry = new Registry();
    assert.throws(() => new FlagMetrics(features, registry), /at most 50 features, with fewer than 20 variants each/);
    assert.equal(registry.getMetricsAsArray().length, 0);
  }
});
