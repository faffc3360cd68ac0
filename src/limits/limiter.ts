/** Paces calls to something with a quota. One instance a process and quota. */
export interface Limiter {
  /** Permits a second now; falls when `throttled` is called and climbs back on `succeeded`. */
  readonly ratePerSecond: number;
  /** Resolves when `count` permits (default 1) are taken. Rejects with the signal's reason once it aborts. */
  take(options?: { count?: number; signal?: AbortSignal | undefined }): Promise<void>;
  /** The other side said "too fast". */
  throttled(): void;
  /** The other side answered. */
  succeeded(): void;
  /** Lets the process end. Pending takes reject. */
  close(): Promise<void>;
}
