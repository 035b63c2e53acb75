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
    // What a busy editor was too slow for is tried once more, as in the other suites: a failure twice is a failure.
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
    mocha.run((failures) => {
      if (failures === 0) {
        resolve();
      } else {
        reject(new Error(`${String(failures)} tests failed`));
      }
    });
  });
}
