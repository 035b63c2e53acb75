/** The words of the status item. */
import type { GoalAt } from './protocol.ts';

export type ServerState = 'preparing' | 'starting' | 'running' | 'stopped' | 'failed';

export interface Status {
  readonly server: ServerState;
  /** The model in use, undefined while it is not known, null where none is set up. */
  readonly model: string | null | undefined;
  readonly goal: GoalAt | undefined;
  /** How many texts are being written. */
  readonly jobs: number;
}

export interface StatusText {
  readonly text: string;
  readonly tooltip: string;
  readonly severity: 'none' | 'warning' | 'error';
}

const ICONS: Readonly<Record<ServerState, string>> = {
  preparing: '$(loading~spin)',
  starting: '$(loading~spin)',
  running: '$(list-tree)',
  stopped: '$(circle-slash)',
  failed: '$(error)',
};
const SENTENCES: Readonly<Record<ServerState, string>> = {
  preparing: 'Preparing the Python environment…',
  starting: 'The language server is starting…',
  running: 'The language server is running.',
  stopped: 'The language server is stopped.',
  failed: 'The language server does not run. The log says why.',
};

/** Return the count as people read it; an estimate is shown as one. */
export function tokensText(tokens: number, estimated: boolean): string {
  return `${estimated ? '≈ ' : ''}${tokens.toLocaleString('en-US')} ${tokens === 1 ? 'token' : 'tokens'}`;
}

export function statusText(status: Status): StatusText {
  const running = status.server === 'running';
  const icon = running && status.jobs > 0 ? '$(loading~spin)' : ICONS[status.server];
  const goal = running ? status.goal : undefined;
  const lines = [SENTENCES[status.server]];
  if (running && status.jobs > 0) {
    lines.push(
      status.jobs === 1 ? 'One component is being written.' : `${String(status.jobs)} components are being written.`,
    );
  }
  if (running && status.model !== undefined) {
    lines.push(
      status.model === null
        ? 'No model is set up: install the local one, or name one in the settings goalmap.model.'
        : `Model: ${status.model}`,
    );
  }
  if (goal !== undefined) {
    lines.push(`Prompt of ${goal.title}: ${tokensText(goal.tokens, goal.estimated)}`);
  }
  lines.push('Click for the commands of Goalmap.');
  return {
    text: `${icon} Goalmap${goal === undefined ? '' : `: ${tokensText(goal.tokens, goal.estimated)}`}`,
    tooltip: lines.join('\n\n'),
    severity: status.server === 'failed' ? 'error' : running && status.model === null ? 'warning' : 'none',
  };
}
