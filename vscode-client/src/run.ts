/** Runs other programs. */
import { spawn } from 'node:child_process';

export interface Finished {
  /** Null where the program could not be started or was ended by a signal. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly timeout_ms?: number;
  readonly signal?: AbortSignal;
}

// A Python that is to be isolated must not be led elsewhere by the environment that the editor was started from,
// and pip must not be told to install anywhere but in its own environment.
const MISLEADING = [
  'PYTHONPATH',
  'PYTHONHOME',
  'PYTHONSTARTUP',
  'VIRTUAL_ENV',
  '__PYVENV_LAUNCHER__',
  'PIP_TARGET',
  'PIP_PREFIX',
  'PIP_ROOT',
  'PIP_USER',
] as const;

/** The variables to lay over the editor's own ones; undefined takes one away. */
export const cleanPython: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(MISLEADING.map((name) => [name, undefined])),
  PYTHONUTF8: '1',
};

/** Run `program` to its end, whatever that is; its exit code and what it printed are the answer. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...cleanPython },
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      ...(options.timeout_ms === undefined ? {} : { timeout: options.timeout_ms }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.on('error', (error) => {
      resolve({ exitCode: null, stdout, stderr: `${stderr}${error.message}` });
    });
    child.on('close', (exitCode) => {
      resolve({ exitCode, stdout, stderr });
    });
  });
}
