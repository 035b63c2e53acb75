/** What a command of Goalmap that failed has said. */
import type { Finished } from './run.ts';

/** Return its sentences for a message: what happened, and the next step. */
export function saidBy(command: string, { exitCode, stderr }: Finished): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const error = lines.findIndex((line) => line.startsWith('goalmap: error: '));
  if (error === -1) {
    return `goalmap ${command} ended with exit code ${String(exitCode)}. The log has its words.`;
  }
  return lines
    .slice(error)
    .map((line) => line.replace(/^(goalmap: error|help): /, ''))
    .join(' ')
    .trim();
}
