/**
 * What the ledger takes for a part: its intent, then its receipt, each on disk before the next. Lanes that wait at the
 * same time share a sync. The disk is that of the system's temporary folder.
 */
import { createSecretKey } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_PART_SIZE } from '../../src/formats/esdk/layout.ts';
import { planLayout } from '../../src/formats/esdk/plan.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { runLanes } from '../../src/parts/lanes.ts';
import { KiB } from '../../src/units.ts';
import { ATTEMPT, intentOf, JOB, receiptOf } from '../../test/ledger/fixture.ts';
import type { Case, Setting } from '../harness/case.ts';
import { sampleFrom } from './timed.ts';

const PART_COUNT = 256;

export function ledgerCases({ folder }: Setting): Case[] {
  return [1, 8].map((laneCount) => ({
    name: `ledger, ${laneCount} lane${laneCount === 1 ? '' : 's'}`,
    async run(round) {
      const stateDir = join(folder, `ledger-${laneCount}-${round}`);
      mkdirSync(stateDir, { mode: 0o700 });
      using ledger = newLedger(stateDir);
      const start = performance.now();
      const before = process.cpuUsage();
      await recordParts(ledger, laneCount);
      const { user, system } = process.cpuUsage(before);
      const seconds = { cpu: (user + system) / 1e6, wall: (performance.now() - start) / 1000 };
      return sampleFrom(seconds, { count: PART_COUNT });
    },
  }));
}

function newLedger(stateDir: string): Ledger {
  const ledger = Ledger.create(stateDir, JOB);
  const layout = planLayout({ plainSize: PART_COUNT * DEFAULT_PART_SIZE, frameSize: 256 * KiB, headerSize: 400 });
  ledger.startAttempt({ ...ATTEMPT, format: 'esdk', layout }, createSecretKey(Buffer.alloc(32, 7)));
  ledger.setUploadId('upload');
  return ledger;
}

async function recordParts(ledger: Ledger, laneCount: number): Promise<void> {
  await runLanes({
    items: Array(PART_COUNT).keys(),
    lanes: { count: laneCount },
    async work(index) {
      // As most parts of a put: no frame of theirs is shared.
      await ledger.recordIntent({ ...intentOf(index + 1), sharedTags: {} });
      await ledger.recordReceipt(receiptOf(index + 1));
    },
  });
}
