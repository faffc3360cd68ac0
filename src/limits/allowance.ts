/**
 * How many lanes may be at work: a number that follows what the line and the server can take.
 *
 * It is judged in rounds. A round first waits until the parts have ended that were begun under another number, and those
 * beside them. Then it measures: whole turns of all lanes, for half a second at least.
 *
 * - Up to the number it began with it climbs by a quarter each round, and it halves when the server asks to slow down:
 *   additive increase, multiplicative decrease, as TCP has it (Chiu and Jain, 1989). Like TCP it halves once for all
 *   that was in flight.
 * - Beyond that number every lane must earn its keep. A quarter more is tried for a round, and stays if the rate has
 *   grown by 5 %; then a quarter more again. After a failure it waits, and tries a quarter less, which stays if the rate
 *   has not fallen by as much. So it finds the knee of the curve whatever the latency is, and noise drives it down as
 *   often as up: hill climbing, as thread pools do (Hellerstein, Morrison and Eilebrecht, "Optimizing Concurrency Levels
 *   in the .NET ThreadPool", 2008).
 * - Where parts take twice the time under the same number, for three rounds running, there is a queue somewhere: it
 *   halves too. A single slow round is the noise of a busy machine.
 *
 * It knows no store and no lanes, and no clock but the one it is given: it is told what happened.
 */

export interface LaneRange {
  least: number;
  /** What it begins with: it tries fewer only where it is told to. */
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
  nowMs?: () => number;
}

type Direction = 'more' | 'fewer';

/** What the lanes did in a round. */
interface Round {
  bytesPerMs: number;
  /** A lane's own time: what the rate is not, where more lanes only wait longer. */
  laneMsPerByte: number;
}

/** Parts begun before a change, and those that share the line with them. */
const UNSETTLED_ERAS = 2;
const LEAST_ROUND_MS = 500;
const STEP = 1 / 4;
/** Less is noise. */
const GAIN = 1.05;
const LATENCY_RISE = 2;
const SLOW_ROUNDS = 3;
/** Rounds between one trial and the next: a trial downwards costs some of the rate while it lasts. */
const HELD_ROUNDS = 12;

export class Allowance {
  readonly #range: LaneRange;
  readonly #options: Required<AllowanceOptions>;
  #count: number;

  #flying = 0;
  /** A part belongs to the era it was begun in. */
  #era = 0;
  /** Parts in flight of earlier eras. */
  #settling = 0;
  /** Eras that must end before the round is measured. */
  #unsettledEras = 0;
  /** Whatever is in flight since it was halved may be turned away once more: that is no news. */
  #isHalved = false;
  #heardSlowDowns = 0;
  #startMs = 0;
  #parts = 0;
  #bytes = 0;
  #laneMs = 0;

  /** The last round under the present number, or under the one that a trial is compared with. */
  #held: Round | undefined;
  /** Rounds since then that were slow. */
  #slowRounds = 0;
  /** The first round has the start of the threads in it: nothing is compared with that. */
  #heldRounds = HELD_ROUNDS - 2;
  /** The number that a trial goes back to. */
  #trialFrom: number | undefined;
  #direction: Direction = 'more';

  constructor(range: LaneRange, options: AllowanceOptions) {
    this.#range = range;
    this.#options = { nowMs: () => performance.now(), ...options };
    this.#count = range.start;
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
    if (this.#settling > 0) return;
    this.#unsettledEras--;
    if (this.#unsettledEras > 0) this.#beginEra();
    else this.#beginRound();
  }

  #beginEra(): void {
    this.#era++;
    this.#settling = this.#flying;
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
    this.#beginRound();
    if (this.#count < this.#range.start) {
      this.#change(Math.min(this.#range.start, this.#next('more')), 'recovery');
    } else if (this.#trialFrom !== undefined) {
      this.#judgeTrial(round, this.#trialFrom);
    } else if (this.#held && round.laneMsPerByte > LATENCY_RISE * this.#held.laneMsPerByte) {
      this.#slowRounds++;
      if (this.#slowRounds === SLOW_ROUNDS) this.#halve('latency');
    } else {
      this.#slowRounds = 0;
      this.#held = round;
      this.#heldRounds++;
      if (this.#heldRounds >= HELD_ROUNDS) this.#try();
    }
  }

  #judgeTrial(round: Round, from: number): void {
    const factor = this.#direction === 'more' ? GAIN : 1 / GAIN;
    this.#trialFrom = undefined;
    if (round.bytesPerMs >= factor * this.#held!.bytesPerMs) {
      this.#held = round;
      this.#options.onChange({ from, to: this.#count, reason: 'throughput' });
      this.#try();
    } else {
      this.#direction = opposite(this.#direction);
      this.#heldRounds = 0;
      this.#move(from);
    }
  }

  /** Tries another number, the other way where this one has come to its end. */
  #try(): void {
    if (this.#next(this.#direction) === this.#count) this.#direction = opposite(this.#direction);
    const to = this.#next(this.#direction);
    if (to === this.#count) return;
    this.#trialFrom = this.#count;
    this.#move(to);
  }

  #halve(reason: LaneChange['reason']): void {
    this.#held = this.#trialFrom = undefined;
    this.#slowRounds = 0;
    this.#heldRounds = HELD_ROUNDS;
    this.#direction = 'more';
    this.#isHalved = true;
    this.#change(Math.max(this.#range.least, Math.floor(this.#count / 2)), reason);
  }

  #next(direction: Direction): number {
    const step = Math.max(1, Math.round(this.#count * STEP));
    const { start, most } = this.#range;
    return direction === 'more' ? Math.min(most, this.#count + step) : Math.max(start, this.#count - step);
  }

  #change(to: number, reason: LaneChange['reason']): void {
    const from = this.#count;
    this.#move(to);
    if (to !== from) this.#options.onChange({ from, to, reason });
  }

  #move(to: number): void {
    this.#count = to;
    this.#unsettledEras = UNSETTLED_ERAS;
    this.#beginEra();
  }
}

function opposite(direction: Direction): Direction {
  return direction === 'more' ? 'fewer' : 'more';
}
