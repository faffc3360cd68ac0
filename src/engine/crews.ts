/** The engine's threads, and the memory they share: started when a job first needs them, as many as fit. */
import { SealiftError } from '../errors.ts';
import type { Crew, CrewPlan, LaneNeeds } from '../job.ts';
import { Allowance, type LaneChange } from '../limits/allowance.ts';
import type { SharedBandwidth } from '../limits/bandwidth.ts';
import { idleMeter } from '../limits/idle.ts';
import type { Retry } from '../network.ts';
import { defaultMaxMemory, laneSizeOf, MemoryBudget, pipeLaneSizeOf, planMemory } from '../parts/memory.ts';
import { HashThread } from '../parts/signing.ts';
import { Threads } from '../parts/threads.ts';
import type { EngineOptions } from './api.ts';

interface Surroundings {
  /** What the bytes of all threads keep to. */
  limit: SharedBandwidth | undefined;
  onRetry: (retry: Retry) => void;
  /** Times a store has asked for fewer requests. */
  slowDowns: () => number;
}

export class Crews {
  readonly budget: MemoryBudget;
  readonly #options: EngineOptions;
  readonly #surroundings: Surroundings;
  #threads: Threads | undefined;
  #hashThread: HashThread | undefined;
  #isCarrying = false;

  constructor(options: EngineOptions, surroundings: Surroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.budget = new MemoryBudget({ maxMemory: options.maxMemory ?? defaultMaxMemory() });
  }

  /** As `Tools.plan`. */
  plan({ partSize, plainSize, streamedSize, signed, carried }: LaneNeeds): CrewPlan {
    const { maxMemory, threads, lanes } = this.#options;
    const signs = signed || this.#hashThread !== undefined;
    const carries = carried || this.#isCarrying;
    const request = { maxMemory, signs, carries, threadCount: this.#threads?.count ?? threads, laneCount: lanes };
    const wholeSize = plainSize === undefined ? laneSizeOf(partSize) : pipeLaneSizeOf(plainSize);
    const held = streamedSize === undefined || fits(() => planMemory(request, wholeSize));
    const laneSize = held ? wholeSize : streamedSize;
    return { plan: planMemory(request, laneSize), held, laneSize };
  }

  /** As `Tools.crew`. */
  crew(needs: LaneNeeds, onChange: (change: LaneChange) => void): Crew {
    const { budget } = this;
    const { limit, onRetry, slowDowns } = this.#surroundings;
    const planned = this.plan(needs);
    const { threadCount, lanes } = planned.plan;
    if (!this.#threads) {
      budget.startThreads(threadCount);
      this.#threads = new Threads({ count: threadCount, laneCount: lanes.most, onRetry, limit });
    }
    if (needs.carried && !this.#isCarrying) {
      budget.startCarrying();
      this.#isCarrying = true;
    }
    if (needs.signed && !this.#hashThread) {
      budget.startHashThread();
      this.#hashThread = new HashThread();
    }
    const allowance = new Allowance(lanes, { slowDowns, idleShare: idleMeter(), onChange });
    return { ...planned, threads: this.#threads, budget, lanes: allowance, hashThread: this.#hashThread };
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#threads?.close(), this.#hashThread?.close()]);
  }
}

function fits(plan: () => unknown): boolean {
  try {
    plan();
    return true;
  } catch (error) {
    if (SealiftError.from(error).code === 'memory-too-small') return false;
    throw error;
  }
}
