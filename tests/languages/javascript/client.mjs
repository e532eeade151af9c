/** An application in JavaScript that evaluates flags on demand. What it reads and says: client.py. */

import { createInterface } from 'node:readline';

import { FlagdProvider } from '@openfeature/flagd-provider';
import { OpenFeature } from '@openfeature/server-sdk';

const PATIENCE_MS = 120_000;
const CODE_DEFAULT = true;
const client = OpenFeature.getClient();

async function evaluate(flag, context) {
  const { value, errorCode } = await client.getBooleanDetails(flag, CODE_DEFAULT, context);
  return errorCode ? 'e' : value ? '1' : '0';
}

async function waitFor(flag, epoch) {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const { flagMetadata } = await client.getBooleanDetails(flag, CODE_DEFAULT);
    if (flagMetadata.epoch === epoch) return;
    if (Date.now() > deadline) throw new Error(`${flag} is still of epoch ${flagMetadata.epoch}, not ${epoch}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function answer(asked) {
  if (asked.do === 'status') return { status: client.providerStatus };
  const { flag, attributes } = asked;
  await waitFor(flag, asked.epoch);
  let on = '';
  for (let number = 0; number < asked.clients; number += 1) {
    on += await evaluate(flag, { ...attributes[number % attributes.length], targetingKey: `user-${number}` });
  }
  return { on, anonymous: (await evaluate(flag, attributes[0])) === '1' };
}

await OpenFeature.setProviderAndWait(new FlagdProvider());
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
await OpenFeature.close();
process.exit(0);
