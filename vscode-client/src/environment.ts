/**
 * The server's own Python environment, in the extension's global storage.
 *
 *     <root>/<key>/            a virtual environment; the key is a hash of the wheel and the extras
 *     <root>/<key>.ready       written last: the environment is whole. Its time is that of the last use
 *     <root>/<key>.lock        holds the process id of the editor window that is building
 *
 * Several windows may start at once: one builds, the others wait. A window that dies while it builds leaves a lock
 * whose process is gone and an environment without `.ready`; the next one starts over.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run, type Finished } from './run.ts';
import { SetupError } from './setupError.ts';

const UNUSED_AFTER_MS = 30 * 24 * 3600 * 1000;
const LOCK_POLL_MS = 200;

export interface EnvironmentRequest {
  readonly root: string;
  readonly wheel: string;
  readonly extras: readonly string[];
  /** Called only when there is something to build; returns the base interpreter's path. */
  readonly findPython: () => Promise<string>;
  readonly report: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Return the path of the `goalmap` program in the environment, which is built first where it does not exist. */
export async function ensureEnvironment(request: EnvironmentRequest): Promise<string> {
  const key = await keyOf(request);
  const place = path.join(request.root, key);
  const ready = `${place}.ready`;
  await fs.mkdir(request.root, { recursive: true });
  if (!(await isUsable(place, ready))) {
    const lock = `${place}.lock`;
    const release = await acquire(lock, request);
    try {
      if (!(await isUsable(place, ready))) {
        await build(place, ready, request);
      }
    } finally {
      await release();
    }
  }
  const now = new Date();
  await fs.utimes(ready, now, now);
  await removeUnused(request.root, key);
  return programIn(place);
}

export function programIn(environment: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32'
    ? path.join(environment, 'Scripts', 'goalmap.exe')
    : path.join(environment, 'bin', 'goalmap');
}

export function pythonIn(environment: string, platform: NodeJS.Platform = process.platform): string {
  return platform === 'win32'
    ? path.join(environment, 'Scripts', 'python.exe')
    : path.join(environment, 'bin', 'python');
}

async function keyOf(request: EnvironmentRequest): Promise<string> {
  let wheel: Buffer;
  try {
    wheel = await fs.readFile(request.wheel);
  } catch (error) {
    throw new SetupError(
      'no-server',
      'This build of the extension carries no server. Install Goalmap with pip and name it in goalmap.server.command.',
      String(error),
    );
  }
  const hash = createHash('sha256').update(wheel);
  hash.update(JSON.stringify([...request.extras].sort()));
  return hash.digest('hex').slice(0, 16);
}

async function isUsable(place: string, ready: string): Promise<boolean> {
  try {
    // The interpreter is a link to the base Python, which may have been removed since.
    await Promise.all([fs.access(ready), fs.access(programIn(place)), fs.access(pythonIn(place))]);
    return true;
  } catch {
    return false;
  }
}

async function build(place: string, ready: string, request: EnvironmentRequest): Promise<void> {
  const base = await request.findPython();
  await fs.rm(ready, { force: true });
  await fs.rm(place, { recursive: true, force: true });
  request.report('creating the environment');
  const options = { cwd: request.root, signal: request.signal };
  const made = await run(base, ['-I', '-m', 'venv', place], options);
  throwIfCancelled(request.signal);
  if (made.exitCode !== 0) {
    throw new SetupError(
      'no-venv',
      `${base} cannot create a virtual environment. On Debian and Ubuntu install it with: sudo apt install python3-venv. ` +
        'Elsewhere name another Python in goalmap.server.python; then restart the language server.',
      printed(made),
    );
  }
  request.report('installing the server');
  const wheel = request.extras.length > 0 ? `${request.wheel}[${request.extras.join(',')}]` : request.wheel;
  const installed = await run(
    pythonIn(place),
    [
      '-I',
      '-m',
      'pip',
      'install',
      '--disable-pip-version-check',
      '--no-input',
      '--retries',
      '2',
      '--prefer-binary',
      '--no-compile', // thousands of files, of which a session imports a few

      wheel,
    ],
    options,
  );
  throwIfCancelled(request.signal);
  if (installed.exitCode !== 0) {
    throw installError(installed);
  }
  await fs.writeFile(ready, `${JSON.stringify({ python: base, wheel: path.basename(request.wheel) })}\n`);
}

/** Return what to tell the person about a failed `pip install`. */
export function installError(finished: Finished): SetupError {
  const output = printed(finished);
  if (/NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|ProxyError|SSLError|ConnectionError/.test(output)) {
    return new SetupError(
      'no-network',
      "The server's Python packages could not be fetched: the package index cannot be reached. " +
        'Check the network, the proxy or the pip configuration, then restart the language server; ' +
        'or install Goalmap by other means and name it in goalmap.server.command.',
      output,
    );
  }
  return new SetupError(
    'install-failed',
    "The server's Python packages could not be installed. The log holds pip's words; " +
      'when that is settled, restart the language server.',
    output,
  );
}

function printed(finished: Finished): string {
  return `${finished.stdout}\n${finished.stderr}`.trim();
}

function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new SetupError('cancelled', 'Goalmap was not set up. Restart the language server to try again.');
  }
}

async function acquire(lock: string, request: EnvironmentRequest): Promise<() => Promise<void>> {
  for (;;) {
    throwIfCancelled(request.signal);
    try {
      await fs.writeFile(lock, String(process.pid), { flag: 'wx' });
      return () => fs.rm(lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
    if (await isAbandoned(lock)) {
      await fs.rm(lock, { force: true });
      continue;
    }
    request.report('waiting for another window');
    await delay(LOCK_POLL_MS);
  }
}

async function isAbandoned(lock: string): Promise<boolean> {
  let pid: number;
  try {
    pid = Number.parseInt(await fs.readFile(lock, 'utf8'), 10);
  } catch {
    return false;
  }
  if (Number.isNaN(pid)) {
    // Created and not yet written, or left by a full disk: only time tells which.
    const { mtimeMs } = await fs.stat(lock).catch(() => ({ mtimeMs: Date.now() }));
    return Date.now() - mtimeMs > 10_000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Earlier versions of the extension may still run in other windows: only what nobody used for a month goes. */
async function removeUnused(root: string, key: string): Promise<void> {
  for (const entry of await fs.readdir(root)) {
    if (!entry.endsWith('.ready') || entry === `${key}.ready`) {
      continue;
    }
    const ready = path.join(root, entry);
    const stat = await fs.stat(ready).catch(() => undefined);
    if (stat !== undefined && Date.now() - stat.mtimeMs > UNUSED_AFTER_MS) {
      await fs.rm(ready, { force: true });
      await fs.rm(ready.slice(0, -'.ready'.length), { recursive: true, force: true });
    }
  }
}
