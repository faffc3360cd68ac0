/**
 * What people and machines hear of a job while it runs. Machines get a line for every event, and one of progress on
 * every beat of a timer; people one line on a terminal that changes in place, and nothing elsewhere. Of a job of many objects,
 * which may take days, they get three lines on a terminal, and elsewhere one now and then.
 */
import type { JobEvent, ObjectsProgress } from '../index.ts';
import { formatDuration, formatRate, formatSize } from '../units.ts';
import { movingLineWithin, type ObjectsStanding, objectsLine, objectsLineWithin } from './objects-progress.ts';
import type { Output } from './output.ts';
import { Rate } from './rate.ts';

/** `--json` promises progress at least every 250 ms, also from a busy machine. */
const BEAT_MS = 200;
/** The rate shown is that of the last seconds. */
const RATE_WINDOW_MS = 5000;
/** The line says so for as long as this after a request was turned away. */
const THROTTLED_SHOWN_MS = 2000;
/** How often a log hears of a job of many objects. */
const LOG_MS = 30_000;
const BAR_WIDTH = 24;

type PartEvent = Extract<JobEvent, { type: 'part' }>;
type ObjectEvent = Extract<JobEvent, { type: 'object' }>;
type LanesEvent = Extract<JobEvent, { type: 'lanes' }>;

export interface ProgressOptions {
  /** Tell for each part whether it is kept, and why. */
  explain?: boolean | undefined;
  /** Tell each object that fails. */
  tellsFailed?: boolean | undefined;
}

export class ProgressReport implements Disposable {
  readonly #output: Output;
  readonly #explain: boolean;
  readonly #tellsFailed: boolean;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  /** Of what moved in this run. */
  readonly #rate = new Rate(RATE_WINDOW_MS);
  #ackedBytes = 0;
  #totalBytes = 0;
  /** Opened to prove the object, before anything is handed on. */
  #openedBytes = 0;
  reusedBytes = 0;
  #objects: ObjectsProgress | undefined;
  #kmsCalls = 0;
  readonly #kmsRate = new Rate(RATE_WINDOW_MS);
  readonly #failures = new Map<string, number>();
  #throttles = 0;
  #throttledMs = Number.NEGATIVE_INFINITY;
  #loggedMs = this.#startedMs;
  /** Consecutive parts with one outcome, to be told in one line. */
  #alike: PartEvent[] = [];

  constructor(output: Output, { explain = false, tellsFailed = false }: ProgressOptions = {}) {
    this.#output = output;
    this.#explain = explain;
    this.#tellsFailed = tellsFailed;
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Takes what the engine tells. */
  readonly hear = (event: JobEvent): void => {
    switch (event.type) {
      case 'progress':
        this.#ackedBytes = event.ackedBytes;
        this.#totalBytes = event.totalBytes;
        this.reusedBytes = event.reusedBytes;
        this.#objects = event.objects;
        this.#kmsCalls = event.kmsCalls;
        return;
      case 'proof':
        this.#openedBytes = event.openedBytes;
        return;
      case 'part':
        if (this.#explain) this.#explainPart(event);
        return;
      case 'start':
        this.#totalBytes = event.totalBytes;
        this.#tellAlike();
        if (event.reachBytes !== undefined) {
          this.#output.say(`The pipe may have up to ${formatSize(event.reachBytes)}.`);
        }
        if (event.resumed) this.#output.say(`Going on with job ${event.job} (--fresh starts over).`);
        break;
      case 'object':
        if (event.outcome === 'failed') this.#hearFailure(event);
        break;
      case 'retry':
        if (event.throttled) this.#hearThrottle();
        this.#output.detail(`${event.call} is tried again: ${event.reason}.`);
        break;
      case 'limiter':
        this.#output.say(`${event.message}.`);
        break;
      case 'lanes':
        this.#output.detail(lanesText(event));
        break;
      case 'restart':
        this.#ackedBytes = this.reusedBytes = this.#openedBytes = 0;
        this.#rate.clear();
        this.#tellAlike();
        this.#output.say(`${event.reason}: starting over.`);
        break;
      case 'warning':
        this.#output.warn(event.message);
    }
    this.#output.json({ ...event });
  };

  /** Stops the timer, and tells what is left to tell. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#beat();
    this.#tellAlike();
    this.#output.clearStatus();
  }

  #beat(): void {
    const ms = performance.now();
    const [ackedBytes, totalBytes, reusedBytes] = [this.#ackedBytes, this.#totalBytes, this.reusedBytes];
    const openedBytes = this.#openedBytes;
    const seconds = (ms - this.#startedMs) / 1000;
    const objects = this.#objects;
    this.#output.json({ type: 'progress', ackedBytes, totalBytes, reusedBytes, seconds, ...(objects && { objects }) });

    this.#rate.add(openedBytes + ackedBytes - reusedBytes, ms);
    const throttled = ms - this.#throttledMs < THROTTLED_SHOWN_MS;
    const rate = this.#rate.perSecond;
    const now = { ackedBytes, totalBytes, reusedBytes, openedBytes, rate, throttled };
    this.#kmsRate.add(this.#kmsCalls, ms);
    const seen = { failures: this.#failures, throttles: this.#throttles };
    const kms = { calls: this.#kmsCalls, perSecond: this.#kmsRate.perSecond };
    this.#show(now, objects && { ...objects, ...seen, kms });
  }

  #show(now: Standing, objects: ObjectsStanding | undefined): void {
    const ms = performance.now();
    if (this.#output.hasStatusLine) {
      const width = this.#output.statusWidth;
      const lines = now.totalBytes > 0 || now.ackedBytes > 0 ? [progressLine(now, width)] : [];
      if (objects) lines.push(objectsLineWithin(objects, width), movingLineWithin(objects, width));
      if (lines.length > 0) this.#output.status(lines.filter((line) => line !== '').join('\n'));
    } else if (objects && ms - this.#loggedMs >= LOG_MS) {
      this.#loggedMs = ms;
      this.#output.say(`${progressText(now)}; ${objectsLine(objects)}`);
    }
  }

  #hearFailure({ code = 'internal', message }: ObjectEvent): void {
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
    if (this.#tellsFailed) this.#output.say(`${message} (${code})`);
  }

  #hearThrottle(): void {
    this.#throttles++;
    this.#throttledMs = performance.now();
  }

  #explainPart(event: PartEvent): void {
    this.#output.json({ ...event });
    const last = this.#alike.at(-1);
    const follows = last?.number === event.number - 1 && last.kept === event.kept && last.reason === event.reason;
    if (!follows) this.#tellAlike();
    this.#alike.push(event);
  }

  #tellAlike(): void {
    const [first, last] = [this.#alike[0], this.#alike.at(-1)];
    if (!first || !last) return;
    const size = formatSize(this.#alike.reduce((sum, part) => sum + part.size, 0));
    const names = first === last ? `Part ${first.number}` : `Parts ${first.number} to ${last.number}`;
    this.#output.say(`${names} (${size}): ${first.kept ? 'kept' : 'to do'}, ${first.reason}.`);
    this.#alike = [];
  }
}

/** `The server asks to slow down: 16 → 8 parts at once.` */
function lanesText({ from, to, reason }: LanesEvent): string {
  const why = {
    'slow-down': 'The server asks to slow down',
    latency: 'Parts take twice the time',
    recovery: 'The server keeps up again',
    throughput: to > from ? 'More goes through so' : 'Fewer do as well',
  };
  return `${why[reason]}: ${from} → ${to} parts at once.`;
}

/** What there is to tell of a job at a moment. */
export interface Standing {
  ackedBytes: number;
  /** 0 of a pipe: nobody knows. */
  totalBytes: number;
  reusedBytes: number;
  /** Opened to prove the object, before anything is handed on. */
  openedBytes: number;
  rate: number;
  /** S3 or KMS wants fewer requests just now. */
  throttled: boolean;
}

/**
 * `━━━━━━━━────────  52 %  133 MiB of 256 MiB, 64 MiB kept, 45 MiB/s, 3 s left`; of a pipe `133 MiB, 45 MiB/s`. What has
 * no room in `width` columns is left away, the bar first and then the last facts. An object that is opened twice is said to
 * be proven while nothing of it is handed on.
 */
export function progressLine(now: Standing, width: number): string {
  const { totalBytes } = now;
  const facts = factsOf(now);
  const fewer = facts.map((_, index) => facts.slice(0, facts.length - index).join(', '));
  let lines = fewer;
  if (totalBytes > 0) {
    // A source that changed is read anew: for a moment there may be more done than there is to do.
    const done = Math.min(1, doneBytes(now) / totalBytes);
    const percent = `${String(Math.floor(done * 100)).padStart(3)} %`;
    lines = [`${barOf(done)} ${percent}  ${fewer[0]}`, ...fewer.map((line) => `${percent}  ${line}`), percent];
  }
  return lines.find((line) => line.length <= width) ?? '';
}

/** As `progressLine`, for a log: no bar, and nothing left away. */
export function progressText(now: Standing): string {
  return factsOf(now).join(', ');
}

function isProving({ ackedBytes, openedBytes }: Standing): boolean {
  return openedBytes > 0 && ackedBytes === 0;
}

/** Of the first time through an object that is opened twice, or of the only time. */
function doneBytes(now: Standing): number {
  return isProving(now) ? now.openedBytes : now.ackedBytes;
}

function factsOf(now: Standing): string[] {
  const { totalBytes, reusedBytes, rate, throttled } = now;
  const done = doneBytes(now);
  const facts: string[] = [];
  if (totalBytes === 0) {
    facts.push(formatSize(done), formatRate(rate));
  } else {
    facts.push(`${formatSize(done)} of ${formatSize(totalBytes)}`);
    if (isProving(now)) facts.push('proving it first');
    if (reusedBytes > 0) facts.push(`${formatSize(reusedBytes)} kept`);
    const leftBytes = totalBytes - done + (isProving(now) ? totalBytes : 0);
    if (rate > 0 && leftBytes > 0) facts.push(formatRate(rate), `${formatDuration(leftBytes / rate)} left`);
  }
  if (throttled) facts.push('throttled');
  return facts;
}

function barOf(done: number): string {
  const filled = Math.round(done * BAR_WIDTH);
  return '━'.repeat(filled) + '─'.repeat(BAR_WIDTH - filled);
}
