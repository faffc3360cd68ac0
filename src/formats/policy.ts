/**
 * Commitment policies, by AWS's names: whether messages may be read that do not commit to their key. Such a message can
 * be crafted so that two keys open it to different plain bytes.
 */
import { SealiftError } from '../errors.ts';
import type { Suite } from './esdk/suites.ts';

/** From strict to lenient; the first is the default. */
export const COMMITMENT_POLICIES = [
  'require-encrypt-require-decrypt',
  'require-encrypt-allow-decrypt',
  'forbid-encrypt-allow-decrypt',
] as const;

/** One of COMMITMENT_POLICIES. */
export type CommitmentPolicy = (typeof COMMITMENT_POLICIES)[number];

export const DEFAULT_COMMITMENT_POLICY: CommitmentPolicy = 'require-encrypt-require-decrypt';

/** The flag that lets such messages be read. */
export const ALLOW_FLAG = '--commitment-policy require-encrypt-allow-decrypt';

/** Throws `commitment-policy` where messages of this suite may not be read. */
export function checkMayRead({ name, commitmentSize }: Suite, policy: CommitmentPolicy): void {
  if (commitmentSize > 0 || policy !== 'require-encrypt-require-decrypt') return;
  throw new SealiftError('commitment-policy', `The message is of suite ${name}, which does not commit to its key`, {
    hint: `Older AWS Encryption SDKs wrote such messages. If you expect one: ${ALLOW_FLAG}.`,
  });
}
