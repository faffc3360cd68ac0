/** A process that asks KMS for data keys as fast as its limiter lets it: `kms-caller.ts REDIS_URL RATE`. */
import { EngineKeys, kmsKeyring } from '../../src/engine/keys.ts';

const CALLER_COUNT = 16;

const [limiter, rate] = process.argv.slice(2);
const keyring = kmsKeyring({ keyIds: ['alias/sandbox'], ratePerSecond: Number(rate) });
const onNotice = (message: string) => console.log(message);
const keys = new EngineKeys({ keyring, keyReuse: 'off', limiter }, { onRetry: () => {}, onNotice });

async function callAgainAndAgain(): Promise<never> {
  for (;;) {
    using _materials = await keys.makeDataKey({ encryptionContext: {} });
  }
}

await Promise.all(Array.from({ length: CALLER_COUNT }, callAgainAndAgain));
