/**
 * How many lanes may be at work: a number that follows what the line and the server can take.
 *
 * It is judged in rounds. A round first waits until the parts have ended that were begun under another number. Then it
 * measures: whole turns of all lanes, for half a second at least.
 *
 * - Up to the number it began with it climbs by one each round, and it halves when the server asks to slow down:
 *   additive increase, multiplicative decrease, as TCP has it (Chiu and Jain, 1989). Like TCP it halves once for all
 *   that was in flight.
 * - Beyond that number it climbs only where lanes earn the memory that their parts take. Whether those there are do so is
 *   asked by doing without a third of them every second round: they do if even the slowest round with them was faster
 *   than the fastest without, by half of what they are more. Then half as many again are begun, and asked the same. New
 *   lanes never gain more than those before them did, so a line that is full is not even tried with more; and noise must
 *   strike every second round, and no other, to be taken for a gain. It is asked seldom, and more seldom each time, and
 *   not at all where the machine's processors are at work all the time: no number of lanes makes those faster. So what a
 *   long job holds is what a short one does, unless there is something to be gained.
 * - Where parts take twice the time under the same number, for three rounds running, there is a queue somewhere: it
 *   halves too. A single slow round is the noise of a busy machine.
 *
 * It knows no store and no lanes, and no clock but the one it is given: it is told what happened.
 */

export interface LaneRange {
  least: number;
  /** What it begins with, and keeps unless it is told to slow down. Where it is not all, it is two at least. */
  start: number;
  most: number;
}

/** Parts at once, before and after. */
export interface LaneChange {
  from: number;
  to: number;
  reason: 'slow-down' | 'latency' | 'recovery' | 'throughput';
}

export interface AllowanceOptions {
  /** Times a server has asked for fewer requests, up to now. */
  slowDowns: () => number;
  /** Hears of each change that stays. */
  onChange: (change: LaneChange) => void;
  /** The share of the machine's processor time that nobody used since it was last asked. Where nobody can tell, all. */
  idleShare?: () => number;
  nowMs?: () => number;
}

/** What the lanes did in a round. */
interface Round {
  bytesPerMs: number;
  /** A lane's own time: what the rate is not, where more lanes only wait longer. */
  laneMsPerByte: number;
}

const LEAST_ROUND_MS = 500;
/** Half as many again at once: what a smaller step gains is hard to tell from noise. */
const STEP = 3 / 2;
/** Of what lanes would add if those before them did nothing but wait for answers. */
const WORTH = 1 / 2;
/** Rounds with them. */
const TURNS = 3;
/** Of the processors' time, what has to be left over in a round for more lanes to make something of it. */
const IDLE_SHARE = 0.1;
const LATENCY_RISE = 2;
const SLOW_ROUNDS = 3;
/** The first round has the start of the threads in it: nothing is compared with that. */
const FIRST_HELD_ROUNDS = 2;
/** So many times as many it takes each time, until it is asked again. */
const PATIENCE = 4;
/** Some minutes: what a line can take changes with the hour. */
const MOST_HELD_ROUNDS = 512;

/** Do the lanes earn their keep that there are beyond `fewer`? Rates in bytes a millisecond. */
interface Trial {
  fewer: number;
  slowestWith: number;
  fastestWithout: number;
  /** Rounds with them to come. */
  turns: number;
}

export class Allowance {
  readonly #range: LaneRange;
  readonly #options: Required<AllowanceOptions>;
  #count: number;

  #flying = 0;
  /** A part belongs to the era it was begun in. */
  #era = 0;
  /** Parts in flight of earlier eras. */
  #settling = 0;
  /** Whatever is in flight since it was halved may be turned away once more: that is no news. */
  #isHalved = false;
  #heardSlowDowns = 0;
  #startMs = 0;
  #parts = 0;
  #bytes = 0;
  #laneMs = 0;

  /** The number there is when nothing is on trial. */
  #kept: number;
  #trial: Trial | undefined;
  /** The last round under that number that was not slow. */
  #held: Round | undefined;
  /** Rounds since then that were. */
  #slowRounds = 0;
  #heldRounds = 0;
  /** Rounds until the next trial. */
  #roundsToHold = FIRST_HELD_ROUNDS;

  constructor(range: LaneRange, options: AllowanceOptions) {
    this.#range = range;
    this.#options = { idleShare: () => 1, nowMs: () => performance.now(), ...options };
    this.#count = this.#kept = range.start;
    this.#beginRound();
  }

  /** Lanes that may be at work now. */
  get count(): number {
    return this.#count;
  }

  /** Runs a lane's work, which moves `size` bytes, and takes note of what it took. Where it fails the job is over. */
  async measure<T>(size: number, work: () => Promise<T>): Promise<T> {
    const acknowledge = this.begin(size);
    const value = await work();
    acknowledge();
    return value;
  }

  /** A lane takes up a part of `size` bytes. What this returns is to be called when the part is acknowledged. */
  begin(size: number): () => void {
    const era = this.#era;
    const startMs = this.#options.nowMs();
    this.#flying++;
    return () => {
      this.#flying--;
      if (!this.#isHalved && this.#options.slowDowns() > this.#heardSlowDowns) this.#halve('slow-down');
      else if (era !== this.#era) this.#settle();
      else if (this.#settling === 0) this.#note(size, startMs);
    };
  }

  #settle(): void {
    this.#settling--;
    if (this.#settling === 0) this.#beginRound();
  }

  #note(size: number, startMs: number): void {
    const nowMs = this.#options.nowMs();
    this.#parts++;
    this.#bytes += size;
    this.#laneMs += nowMs - startMs;
    const roundMs = nowMs - this.#startMs;
    if (this.#parts % this.#count === 0 && roundMs >= LEAST_ROUND_MS) this.#endRound(roundMs);
  }

  #beginRound(): void {
    this.#isHalved = false;
    this.#heardSlowDowns = this.#options.slowDowns();
    this.#startMs = this.#options.nowMs();
    this.#parts = this.#bytes = this.#laneMs = 0;
  }

  #endRound(roundMs: number): void {
    const round = { bytesPerMs: this.#bytes / roundMs, laneMsPerByte: this.#laneMs / this.#bytes };
    const isIdle = this.#options.idleShare() >= IDLE_SHARE;
    this.#beginRound();
    if (this.#kept < this.#range.start) this.#keep(this.#kept + 1, 'recovery');
    else if (this.#trial) this.#judge(this.#trial, round);
    else this.#hold(round, isIdle);
  }

  #hold(round: Round, isIdle: boolean): void {
    if (this.#held && round.laneMsPerByte > LATENCY_RISE * this.#held.laneMsPerByte) {
      this.#slowRounds++;
      if (this.#slowRounds === SLOW_ROUNDS) this.#halve('latency');
      return;
    }
    this.#held = round;
    this.#slowRounds = 0;
    this.#heldRounds++;
    if (!isIdle || this.#heldRounds < this.#roundsToHold || this.#kept === this.#range.most) return;
    const fewer = Math.min(this.#kept - 1, Math.ceil(this.#kept / STEP));
    this.#trial = { fewer, slowestWith: round.bytesPerMs, fastestWithout: 0, turns: TURNS };
    this.#move(fewer);
  }

  #judge(trial: Trial, { bytesPerMs }: Round): void {
    const isWith = this.#count === this.#kept;
    if (isWith) {
      trial.slowestWith = Math.min(trial.slowestWith, bytesPerMs);
      trial.turns--;
    } else {
      trial.fastestWithout = Math.max(trial.fastestWithout, bytesPerMs);
    }
    const enough = 1 + WORTH * (this.#kept / trial.fewer - 1);
    if (trial.slowestWith < enough * trial.fastestWithout) this.#endTrial();
    else if (trial.turns === 0) this.#climb(bytesPerMs);
    else this.#move(isWith ? trial.fewer : this.#kept);
  }

  /** Those there are earn their keep, and do so many bytes a millisecond: do more? */
  #climb(fastestWithout: number): void {
    const fewer = this.#kept;
    const more = Math.min(this.#range.most, Math.max(fewer + 1, Math.floor(fewer * STEP)));
    if (more === fewer) {
      this.#endTrial();
    } else {
      this.#keep(more, 'throughput');
      this.#trial = { fewer, slowestWith: Number.POSITIVE_INFINITY, fastestWithout, turns: TURNS };
    }
  }

  #endTrial(): void {
    this.#roundsToHold = Math.min(PATIENCE * this.#roundsToHold, MOST_HELD_ROUNDS);
    this.#keep(this.#kept, 'throughput');
  }

  #halve(reason: LaneChange['reason']): void {
    this.#roundsToHold = FIRST_HELD_ROUNDS;
    this.#isHalved = true;
    this.#keep(Math.max(this.#range.least, Math.floor(this.#kept / 2)), reason);
  }

  /** Nothing is on trial any more. */
  #keep(count: number, reason: LaneChange['reason']): void {
    this.#trial = this.#held = undefined;
    this.#heldRounds = this.#slowRounds = 0;
    const from = this.#kept;
    this.#kept = count;
    if (count !== this.#count) this.#move(count);
    if (count !== from) this.#options.onChange({ from, to: count, reason });
  }

  #move(to: number): void {
    this.#count = to;
    this.#era++;
    this.#settling = this.#flying;
    if (this.#settling === 0) this.#beginRound();
  }
}
