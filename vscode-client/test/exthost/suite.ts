/** What the extension host loads: runs the `*.test.cjs` beside it with mocha. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { format } from 'node:util';
import Mocha from 'mocha';
import { setting } from '../support/processes.ts';
import { PATIENCE_MS } from '../support/until.ts';

export async function run(): Promise<void> {
  // The console of an extension host is everybody's: the report has a file of its own.
  Mocha.reporters.Base.consoleLog = (...line: unknown[]): void => {
    fs.appendFileSync(setting('GOALMAP_TEST_REPORT'), `${format(...line)}\n`);
  };
  const filter = process.env.GOALMAP_TEST_FILTER ?? '';
  const mocha = new Mocha({
    ui: 'bdd',
    color: false,
    timeout: PATIENCE_MS,
    // What fails is tried once more, as in the other suites; what passes then is told at the end, and kept in a file.
    retries: 1,
    slow: 5000,
    forbidOnly: true,
    forbidPending: true,
    failZero: true,
    ...(filter === '' ? {} : { fgrep: filter }),
  });
  for (const name of fs
    .readdirSync(__dirname)
    .filter((name) => name.endsWith('.test.cjs'))
    .sort()) {
    mocha.addFile(path.join(__dirname, name));
  }
  await new Promise<void>((resolve, reject) => {
    const runner = mocha.run((failures) => {
      if (failures === 0) {
        resolve();
      } else {
        reject(new Error(`${String(failures)} tests failed`));
      }
    });
    keepWhatFailedOnce(runner);
  });
}

/** Append each test that passes at its second try, with why it failed, to the file that `make test` prints at its end. */
function keepWhatFailedOnce(runner: Mocha.Runner): void {
  const first = new Map<string, string>();
  runner.on('retry', (test: Mocha.Test, error: unknown) => {
    first.set(test.fullTitle(), error instanceof Error ? (error.stack ?? error.message) : String(error));
  });
  runner.on('pass', (test) => {
    const why = first.get(test.fullTitle());
    if (why !== undefined) {
      const when = new Date().toISOString().replace('T', ' ').slice(0, 19);
      const lines = [
        `failed once: VS Code: ${test.fullTitle()} (${when} UTC)`,
        ...why.split('\n').map((line) => `    ${line}`),
      ];
      fs.appendFileSync(setting('GOALMAP_FAILED_ONCE'), `${lines.join('\n')}\n\n`);
    }
  });
}
