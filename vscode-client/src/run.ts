/** Runs other programs. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

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
  /** What an abort or the timeout sends; SIGTERM without it. */
  readonly killSignal?: NodeJS.Signals;
  /** Called with each line that the program prints on stderr. */
  readonly onErrorLine?: (line: string) => void;
}

// A Python that is to be isolated must not be led elsewhere by the environment that the editor was started from,
// and pip must not be told to install anywhere but in its own environment.
const MISLEADING: ReadonlySet<string> = new Set([
  'PYTHONPATH',
  'PYTHONHOME',
  'PYTHONSTARTUP',
  'VIRTUAL_ENV',
  '__PYVENV_LAUNCHER__',
  'PIP_TARGET',
  'PIP_PREFIX',
  'PIP_ROOT',
  'PIP_USER',
]);

/**
 * Return the environment for a Python program: all of the editor's own (keys, proxies, HOME, PATH, …), without what
 * would mislead Python. It is whole: whoever starts a program with it replaces the environment, and lays nothing over.
 */
export function pythonEnvironment(
  editors: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): NodeJS.ProcessEnv {
  // Windows does not tell names apart by case.
  const misleads = (name: string): boolean => MISLEADING.has(platform === 'win32' ? name.toUpperCase() : name);
  return { ...Object.fromEntries(Object.entries(editors).filter(([name]) => !misleads(name))), PYTHONUTF8: '1' };
}

/** Run `program` to its end, whatever that is; its exit code and what it printed are the answer. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: pythonEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      ...(options.timeout_ms === undefined ? {} : { timeout: options.timeout_ms }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.killSignal === undefined ? {} : { killSignal: options.killSignal }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    if (options.onErrorLine !== undefined) {
      createInterface(child.stderr).on('line', options.onErrorLine);
    }
    child.on('error', (error) => {
      resolve({ exitCode: null, stdout, stderr: `${stderr}${error.message}` });
    });
    child.on('close', (exitCode) => {
      resolve({ exitCode, stdout, stderr });
    });
  });
}
