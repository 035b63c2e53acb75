/** Wait for facts, never for time. */

/** Long enough for a busy machine: a session that works never waits so long. */
export const PATIENCE_MS = 120_000;
const POLL_MS = 50;

/** Return the first answer of `look` that is not undefined, null or false; throw when there is none within `timeout_ms`. */
export async function until<T>(
  what: string,
  look: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  timeout_ms = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + timeout_ms;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== null && seen !== false) {
      return seen;
    }
    if (performance.now() > end) {
      throw new Error(`Waited ${String(timeout_ms / 1000)} s in vain: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
