/** Why the server cannot run on this machine, and what the person can do about it. */

export type SetupProblem =
  'no-python' | 'too-old' | 'no-venv' | 'no-network' | 'no-server' | 'install-failed' | 'cancelled';

export class SetupError extends Error {
  override readonly name = 'SetupError';

  /** `message` ends with the next step; `details` is the output of the program that failed, for the log. */
  constructor(
    readonly problem: SetupProblem,
    message: string,
    readonly details = '',
  ) {
    super(message);
  }
}
