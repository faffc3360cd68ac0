/**
 * Where the time of a part goes, for those who ask (`--profile-stages`). A part is in one stage after the other, so one
 * watch is enough: to enter a stage is to leave the one before. Its clock is asked some thirty times for a part of 8 MiB,
 * 2 microseconds in all. Those who do not ask get a watch that stands, and pay for calls that do nothing.
 */

/** What a part can be at, and `kms`, which its job is at before any part. */
export const STAGES = ['disk', 'cipher', 'checksum', 'ledger', 'network', 'kms'] as const;

/** What a part is at. */
export type Stage = (typeof STAGES)[number];

/**
 * Seconds in each stage. `disk` reads the source, or writes the target or waits for whoever takes it; `cipher` seals or
 * opens; `checksum` is CRC, fingerprint, hash; `ledger` is the wait until it is on disk what is about to happen; `network`
 * waits for the store. A thread that does another part's cipher lets this part wait: that counts for the stage it is in.
 */
export type StageSeconds = Record<Stage, number>;

export interface Stopwatch {
  /** `stage` begins, and what went on before ends. */
  enter(stage: Stage): void;
  /** Ends what goes on. Gives all the stages' times so far, or nothing where the watch stood. */
  stop(): StageSeconds | undefined;
}

export const STANDING: Stopwatch = { enter: () => {}, stop: () => undefined };

/** A watch for one part; one that stands unless somebody wants to know. */
export function stopwatch({ runs }: { runs: boolean }): Stopwatch {
  return runs ? new RunningWatch() : STANDING;
}

export function noSeconds(): StageSeconds {
  return { disk: 0, cipher: 0, checksum: 0, ledger: 0, network: 0, kms: 0 };
}

class RunningWatch implements Stopwatch {
  readonly #seconds = noSeconds();
  #stage: Stage | undefined;
  #sinceMs = 0;

  enter(stage: Stage): void {
    this.#leave();
    this.#stage = stage;
  }

  stop(): StageSeconds {
    this.#leave();
    this.#stage = undefined;
    return this.#seconds;
  }

  #leave(): void {
    const nowMs = performance.now();
    if (this.#stage) this.#seconds[this.#stage] += (nowMs - this.#sinceMs) / 1000;
    this.#sinceMs = nowMs;
  }
}

/** What a job can tell of itself. */
export interface ProfileOptions {
  /** Tell where the time goes, as events and in the result. Takes some 2 microseconds a part. */
  profileStages?: boolean | undefined;
}

/** The watch of a whole job: what its parts tell is summed, over all lanes, with what the job itself waits for. */
export class JobWatch {
  /** Undefined where nobody wants to know. */
  readonly seconds: StageSeconds | undefined;

  constructor({ runs }: { runs: boolean }) {
    this.seconds = runs ? noSeconds() : undefined;
  }

  /** For a part on this thread. */
  ofPart(): Stopwatch {
    return stopwatch({ runs: this.seconds !== undefined });
  }

  add(stages: StageSeconds): void {
    if (!this.seconds) return;
    for (const stage of STAGES) this.seconds[stage] += stages[stage];
  }

  async time<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const watch = this.ofPart();
    watch.enter(stage);
    try {
      return await work();
    } finally {
      this.add(watch.stop() ?? noSeconds());
    }
  }
}
