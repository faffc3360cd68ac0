/** What limits a put, judged from what was measured, and said in one sentence. Arithmetic and words only. */
import { STAGES, type Stage, type StageSeconds } from '../parts/stopwatch.ts';
import { formatRate } from '../units.ts';
import { scoresOf } from './choose.ts';
import type { DiskSpeed } from './disk.ts';
import type { Profile, Round } from './round.ts';

/** What can limit. */
export type Bottleneck = 'disk' | 'cpu' | 'network' | 'latency' | 'ledger' | 'kms';

/** What the judgement is made from. */
export interface Evidence {
  put: Profile;
  disk: DiskSpeed;
  /** Puts that differ in their parts in flight. */
  lanesRounds: readonly Round[];
  cores: number;
  isSandbox: boolean;
}

/** What limits, in a word and in a sentence. */
export interface Limitation {
  by: Bottleneck;
  sentence: string;
}

/** A put so near to what the disk reads alone waits for it. */
const NEAR_DISK = 0.8;
/** The rest is idle between two things to do. */
const BUSY = 0.85;
const KMS_SHARE = 0.25;
const LEDGER_SHARE = 0.4;
/** Twice the parts in flight bring this much more: they only wait for answers. */
const LANES_HELP = 1.2;

/** Where the time of parts goes: shares of one, of all stages together. */
export function sharesOf(stages: StageSeconds): Record<Stage, number> {
  const all = STAGES.reduce((sum, stage) => sum + stages[stage], 0) || 1;
  return Object.fromEntries(STAGES.map((stage) => [stage, stages[stage] / all])) as Record<Stage, number>;
}

export function limitOf(evidence: Evidence): Limitation {
  const by = bottleneckOf(evidence);
  return { by, sentence: SENTENCES[by](evidence) };
}

function bottleneckOf({ put, disk, lanesRounds }: Evidence): Bottleneck {
  const shares = sharesOf(put.stages);
  if (put.stages.kms > KMS_SHARE * put.seconds) return 'kms';
  if (put.bytesPerSecond > NEAR_DISK * disk.readBytesPerSecond) return 'disk';
  if (put.busy > BUSY) return 'cpu';
  if (shares.ledger > LEDGER_SHARE) return 'ledger';
  return moreLanesHelp(lanesRounds) ? 'latency' : 'network';
}

/** Whether the most lanes that were tried are still so much better than half of them. */
function moreLanesHelp(rounds: readonly Round[]): boolean {
  const scores = scoresOf(rounds).sort((one, other) => other.lanes - one.lanes);
  const [most] = scores;
  const half = scores.find(({ lanes }) => most && lanes <= most.lanes / 2);
  return most !== undefined && half !== undefined && most.bytesPerSecond > LANES_HELP * half.bytesPerSecond;
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

const SENTENCES: Record<Bottleneck, (evidence: Evidence) => string> = {
  disk: ({ put, disk }) =>
    `The disk limits you: it reads ${formatRate(disk.readBytesPerSecond)}, and ${formatRate(put.bytesPerSecond)} of that go up.`,
  cpu: ({ put, cores, isSandbox }) =>
    `The processor limits you: at ${formatRate(put.bytesPerSecond)} its ${cores === 1 ? 'one core is' : `${cores} cores are`} ${percent(put.busy)} busy${isSandbox ? ', with the sandbox beside Sealift' : ''}.`,
  network: ({ put, isSandbox }) =>
    isSandbox
      ? `The sandbox limits you: it is one process on this machine, and takes ${formatRate(put.bytesPerSecond)}. Name a bucket to learn more.`
      : `The line or the store limits you: parts wait for it ${percent(sharesOf(put.stages).network)} of their time, and more of them at once bring no more than ${formatRate(put.bytesPerSecond)}.`,
  latency: ({ put }) =>
    `Latency limits you: every further part in flight still helps, and ${put.lanes} of them bring ${formatRate(put.bytesPerSecond)}.`,
  ledger: ({ put }) =>
    `The ledger limits you: parts wait ${percent(sharesOf(put.stages).ledger)} of their time until it is on the disk what is about to be sent.`,
  kms: ({ put }) => `KMS limits you: the data key took ${put.stages.kms.toFixed(1)} s of ${put.seconds.toFixed(1)} s.`,
};
