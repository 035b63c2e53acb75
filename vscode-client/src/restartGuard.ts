/** Decides whether a server that died is started again. */

const MAX_CRASHES = 4;
const WINDOW_MS = 180_000;

export class RestartGuard {
  private crashTimes_ms: number[] = [];

  /** `now_ms` is a clock in milliseconds that never goes back. */
  constructor(private readonly now_ms: () => number) {}

  /** Count one crash; true while there are fewer than five in three minutes. */
  mayRestart(): boolean {
    const now = this.now_ms();
    this.crashTimes_ms = [...this.crashTimes_ms.filter((time) => now - time < WINDOW_MS), now];
    return this.crashTimes_ms.length <= MAX_CRASHES;
  }

  /** Forget the crashes: the person asked for a new start. */
  reset(): void {
    this.crashTimes_ms = [];
  }
}
