/** Another process with a ledger, driven by the tests: `node child.ts MODE STATE_DIR [COUNT]`. */
import { writeSync } from 'node:fs';
import { Ledger } from '../../src/ledger/ledger.ts';
import { ATTEMPT, intentOf, JOB, KEY, receiptOf } from './fixture.ts';

const [mode, stateDir, count] = process.argv.slice(2) as [string, string, string | undefined];
const say = (line: string) => writeSync(1, `${line}\n`);

if (mode === 'hold') {
  // Holds the job until it is killed.
  const ledger = Ledger.create(stateDir, JOB);
  say('held');
  process.stdin.on('end', () => ledger.close()).resume();
} else if (mode === 'race') {
  // Tries once, tells how it went, and keeps what it got.
  say('trying');
  try {
    const ledger = Ledger.create(stateDir, JOB);
    say('held');
    process.stdin.on('end', () => ledger.close()).resume();
  } catch (thrown) {
    say((thrown as { code: string }).code);
  }
} else if (mode === 'die-after-record') {
  // A group of intents, then a lone receipt, and death in the turn in which the promises resolve.
  const ledger = Ledger.create(stateDir, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  await Promise.all(Array.from({ length: Number(count) }, (_, index) => ledger.recordIntent(intentOf(index + 1))));
  await ledger.recordReceipt(receiptOf(1));
  process.kill(process.pid, 'SIGKILL');
} else if (mode === 'history') {
  // One commit after the other, each told, all of them still in the log when the process dies.
  const ledger = Ledger.create(stateDir, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  ledger.setUploadId('upload');
  for (let number = 1; number <= Number(count); number++) {
    await ledger.recordIntent(intentOf(number));
    say(`intent ${number}`);
    await ledger.recordReceipt(receiptOf(number));
    say(`receipt ${number}`);
  }
  process.kill(process.pid, 'SIGKILL');
} else if (mode === 'fill') {
  // Records until the disk is full, and once more.
  const ledger = Ledger.create(stateDir, JOB);
  ledger.startAttempt(ATTEMPT, KEY);
  for (let number = 1; number < 5000; number++) {
    const failed = await ledger.recordIntent(intentOf(number)).catch((error: { code: string }) => error);
    if (!failed) continue;
    say(`recorded ${number - 1}\n${failed.code}`);
    await ledger.recordReceipt(receiptOf(1)).catch((error: { code: string }) => say(error.code));
    process.kill(process.pid, 'SIGKILL');
  }
} else if (mode === 'read') {
  // Reads through `Ledger.list` for as long as its parent lets it.
  say('reading');
  const timer = setInterval(() => say(JSON.stringify(Ledger.list(stateDir))), 5);
  process.stdin.on('end', () => clearInterval(timer)).resume();
} else {
  throw new Error(`unknown mode ${mode}`);
}
