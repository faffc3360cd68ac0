/** What limits a put, judged from what was measured, and said in one sentence. Arithmetic and words only. */
import { STAGES, type Stage, type StageSeconds } from '../parts/stopwatch.ts';
import { formatRate } from '../units.ts';
import { scoresOf } from './choose.ts';
import type { DiskSpeed } from './disk.ts';
import { ownShareOf, type Profile, type Round } from './round.ts';

/** What can limit. */
export type Bottleneck = 'bwlimit' | 'disk' | 'cpu' | 'network' | 'latency' | 'ledger' | 'kms';

/** What the judgement is made from. */
export interface Evidence {
  put: Profile;
  disk: DiskSpeed;
  /** Puts that differ in their parts in flight. */
  lanesRounds: readonly Round[];
  cores: number;
  isSandbox: boolean;
  /** Bytes a second that the user allows. */
  bwlimit: number | undefined;
}

/** What limits, in a word and in a sentence. */
export interface Limitation {
  by: Bottleneck;
  sentence: string;
}

/** A put so near to what the disk reads alone, or to what the user allows, waits for it. */
const NEAR = 0.8;
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

function bottleneckOf({ put, disk, lanesRounds, bwlimit }: Evidence): Bottleneck {
  const shares = sharesOf(put.stages);
  if (bwlimit !== undefined && put.bytesPerSecond > NEAR * bwlimit) return 'bwlimit';
  if (put.stages.kms > KMS_SHARE * put.seconds) return 'kms';
  if (put.bytesPerSecond > NEAR * disk.readBytesPerSecond) return 'disk';
  if (put.busy > BUSY) return 'cpu';
  if (shares.ledger > LEDGER_SHARE) return 'ledger';
  return moreLanesHelp(lanesRounds) ? 'latency' : 'network';
}

/** Whether the most lanes that were tried are still so much better than half of them. Undefined where none were compared. */
function moreLanesHelp(rounds: readonly Round[]): boolean | undefined {
  const scores = scoresOf(rounds).sort((one, other) => other.lanes - one.lanes);
  const [most] = scores;
  const half = scores.find(({ lanes }) => most && lanes <= most.lanes / 2);
  return most && half && most.bytesPerSecond > LANES_HELP * half.bytesPerSecond;
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

const SENTENCES: Record<Bottleneck, (evidence: Evidence) => string> = {
  bwlimit: ({ put, bwlimit }) =>
    `Your --bwlimit limits your puts: it allows ${formatRate(bwlimit!)}, and they come to ${formatRate(put.bytesPerSecond)}.`,
  disk: ({ put, disk }) =>
    put.bytesPerSecond > disk.readBytesPerSecond
      ? `The disk limits your puts: it reads ${formatRate(disk.readBytesPerSecond)}. This one came to ${formatRate(put.bytesPerSecond)} because its file was in memory, as large ones are not.`
      : `The disk limits your puts: it reads ${formatRate(disk.readBytesPerSecond)}, and ${formatRate(put.bytesPerSecond)} of that go up.`,
  cpu: ({ put, cores, isSandbox }) =>
    `The processor limits your puts: at ${formatRate(put.bytesPerSecond)} its ${cores === 1 ? 'one core is' : `${cores} cores are`} ${percent(put.busy)} busy, ${percent(ownShareOf(put, cores))} with Sealift itself${isSandbox ? ', which has the sandbox beside it' : ''}.`,
  network: ({ put, lanesRounds, isSandbox }) => {
    if (isSandbox) {
      return `The sandbox limits your puts: it is one process on this machine, and takes ${formatRate(put.bytesPerSecond)}. Name a bucket to learn more.`;
    }
    const waiting = `parts wait for it ${percent(sharesOf(put.stages).network)} of their time`;
    const more =
      moreLanesHelp(lanesRounds) === undefined
        ? ''
        : `, and more of them at once bring no more than ${formatRate(put.bytesPerSecond)}`;
    return `The line or the store limits your puts: ${waiting}${more}.`;
  },
  latency: ({ put }) =>
    `Latency limits your puts: every further part in flight still helps, and ${put.lanes} of them bring ${formatRate(put.bytesPerSecond)}.`,
  ledger: ({ put }) =>
    `The ledger limits your puts: parts wait ${percent(sharesOf(put.stages).ledger)} of their time until it is on the disk what is about to be sent.`,
  kms: ({ put }) =>
    `KMS limits your puts: the data key took ${put.stages.kms.toFixed(1)} s of ${put.seconds.toFixed(1)} s.`,
};
