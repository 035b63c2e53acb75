/** Programs that the tests start, and the scratch folders they live in. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';

/** A port of the loopback interface that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** Start `program` in a group of its own, so that all of it ends with `killGroup`; what it prints goes to `log`. */
export function spawnGroup(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  log: string,
): ChildProcess {
  const output = fs.openSync(log, 'w');
  return spawn(program, args, { env, stdio: ['ignore', output, output], detached: true });
}

/** End `child` and all that it started; return when it is gone. */
export async function killGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    process.kill(-(child.pid ?? 0), 'SIGKILL');
  } catch {
    return; // It has ended by itself.
  }
  await ended;
}

/** The variables for an editor that lives in `home` and knows nothing of whoever runs the tests. */
export function cleanEnvironment(home: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    HOME: home,
    XDG_CONFIG_HOME: path.join(home, 'config'),
    XDG_DATA_HOME: path.join(home, 'share'),
    XDG_STATE_HOME: path.join(home, 'state'),
    ...more,
  };
  for (const name of ['VSCODE_IPC_HOOK_CLI', 'OPENAI_API_KEY', 'OPENAI_BASE_URL', 'PASSWORD', 'VIRTUAL_ENV']) {
    Reflect.deleteProperty(env, name);
  }
  for (const name of Object.keys(env).filter((name) => name.startsWith('GOALMAP_') && !(name in more))) {
    Reflect.deleteProperty(env, name);
  }
  return env;
}

export function writeJson(file: string, value: unknown): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify(value, undefined, 2));
}

/** Required of whoever runs the tests: see test/run.sh. */
export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set`);
  }
  return value;
}

/** The files in `folders` that hold `text`, a line for each. */
export function grep(text: string, ...folders: string[]): string {
  try {
    return execFileSync('grep', ['-rlaF', '--', text, ...folders], { encoding: 'utf8' });
  } catch {
    return ''; // grep found nothing
  }
}
