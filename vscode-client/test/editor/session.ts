/**
 * One person's session with Goalmap in a real VS Code, from the installation on.
 *
 * usage: node session.mjs   environment:
 *   GOALMAP_E2E_CACHE    folder with code-server and its Node
 *   GOALMAP_VSIX         the package to install
 *   GOALMAP_EVIDENCE     where screenshots and logs of a failure go
 *   GOALMAP_PICTURES     where the pictures for the READMEs go; none are kept without it
 *   GOALMAP_SERVER       a JSON array: the server to run instead of the one in the package
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { DEBUG_MAP, DRILL, EDITOR, technicalLibrary, writingLibrary, type Library } from '../support/library.ts';
import { ScriptedModel } from '../support/model.ts';
import { until } from '../support/until.ts';
import { Workbench } from './workbench.ts';

const KEY = 'sk-canary-4f1d-9a7c';
const MAP = 'goal_map.json';

const cache = env('GOALMAP_E2E_CACHE');
const evidence = env('GOALMAP_EVIDENCE');
const pictures = process.env.GOALMAP_PICTURES;
const serverCommand = process.env.GOALMAP_SERVER;

function env(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'goalmap-libraries-'));
const technical = technicalLibrary(path.join(scratch, 'prompts'));
const model = new ScriptedModel();
const baseUrl = await model.listen();

const started_ms = performance.now();
let lap_ms = started_ms;
let passed = 0;
const committed = DEBUG_MAP.replace('root_cause_drill.txt', 'autogen_protocol_for_debug.txt');
const bench = await Workbench.start({
  cache,
  vsix: env('GOALMAP_VSIX'),
  viewport: { width: 1280, height: 760 },
  machineSettings: {
    'goalmap.model.baseUrl': baseUrl,
    'goalmap.model.name': 'scripted-model',
    'goalmap.model.timeoutSeconds': 900, // the session may hold an answer back for as long as it waits for anything
    ...(serverCommand === undefined ? {} : { 'goalmap.server.command': JSON.parse(serverCommand) as unknown }),
  },
});
const { page } = bench;

async function step(name: string, body: () => Promise<void>): Promise<void> {
  await body();
  passed += 1;
  const now = performance.now();
  console.log(`ok ${String(Math.round(now - lap_ms)).padStart(6)} ms  ${name}`);
  lap_ms = now;
}

async function picture(name: string): Promise<void> {
  if (pictures !== undefined) {
    await bench.picture(path.join(pictures, `${name}.png`));
  }
}

/** Choose the quick fix `title` at `needle` and answer its question with `description`. */
async function generate(needle: string, title: string, description: string): Promise<void> {
  const map = bench.editor(MAP);
  await map.quickFixes(needle);
  await map.choose(title);
  await bench.quickInput.waitFor();
  await bench.quickInput.fill(description);
  await page.keyboard.press('Enter');
  await bench.quickInput.waitFor({ state: 'hidden' });
}

async function untilMap(library: Library, what: string, fits: (text: string) => boolean): Promise<void> {
  await until(`the map on disk: ${what}`, () => fits(library.readMap()));
}

/** pip fetches and unpacks the server's packages the first time. */
const SETUP_PATIENCE_MS = 600_000;

async function firstSquiggle(): Promise<void> {
  const opened_ms = performance.now();
  await bench.open(technical.root);
  const map = await bench.openFile(MAP);
  await map.untilErrors(2, SETUP_PATIENCE_MS);
  console.log(`   ${((performance.now() - opened_ms) / 1000).toFixed(1)} s from opening the folder to the squiggles`);
}

async function main(): Promise<void> {
  const map = bench.editor(MAP);
  const generated = 'autogen_protocol_for_debug.txt';

  await step('after the installation the server is set up, and missing components are underlined', async () => {
    await firstSquiggle();
    if (serverCommand === undefined) {
      const environments = path.join(bench.home, 'data/User/globalStorage/goalmap.goalmap/python');
      assert.equal(fs.readdirSync(environments).filter((name) => name.endsWith('.ready')).length, 1);
    }
  });

  await step('a second window uses the same environment', firstSquiggle);

  await step('the status item shows the tokens of the goal under the cursor', async () => {
    await map.moveTo('"persona"');
    await bench.status.filter({ hasText: /tokens/ }).waitFor();
    await map.lens(/2 of 4 components/).waitFor();
    await map.lens(/prompt · 2 components/).waitFor();
    await picture('squiggle');
  });

  await step('the API key is kept in the secret store', async () => {
    await bench.run("Goalmap: Set the Model's API Key");
    await bench.quickInput.waitFor();
    await bench.quickInput.fill(KEY);
    await page.keyboard.press('Enter');
    await bench.notification('secret store').waitFor();
    await bench.closeNotifications();
  });

  await step('the quick fixes at a missing component', async () => {
    const menu = await map.quickFixes('root_cause_drill.txt');
    const titles = await menu.allTextContents();
    assert.match(titles[0] ?? '', /Generate missing component .?root_cause_drill\.txt/);
    assert.match(titles[1] ?? '', /Generate .?root_cause_drill\.txt.? under its own name/);
    await picture('quickfix');
    await page.keyboard.press('Escape');
    await menu.first().waitFor({ state: 'hidden' });
  });

  await step('an empty description aborts with a warning', async () => {
    await generate('root_cause_drill.txt', 'Generate missing component', '');
    await bench.notification('Nothing was generated').waitFor();
    await bench.closeNotifications();
    assert.equal(model.requests.length, 0);
  });

  await step('the question is judged while it is answered', async () => {
    await map.quickFixes('root_cause_drill.txt');
    await map.choose('Generate missing component');
    await bench.quickInput.waitFor();
    await bench.quickInput.fill('x'.repeat(20_000));
    await page.locator('.quick-input-widget:visible .quick-input-box .monaco-inputbox.error').waitFor();
    await bench.quickInput.fill('Drill from the symptom to the one cause that explains it all.');
    await page
      .locator('.quick-input-widget:visible .quick-input-box .monaco-inputbox.error')
      .waitFor({ state: 'hidden' });
    await picture('question');
  });

  await step('what the model writes is shown while it writes, and cancelling stops it', async () => {
    model.say(DRILL, true);
    await page.keyboard.press('Enter');
    const progress = bench.notification(/root_cause_drill|autogen_protocol/);
    await progress.filter({ hasText: /causes|difference|refute|cheapest/ }).waitFor();
    await picture('writing');
    await progress.hover();
    await progress.getByText('Cancel', { exact: true }).click();
    await progress.waitFor({ state: 'hidden' });
    await until('the model was hung up on', () => model.requests.at(-1)?.aborted);
    assert.equal(technical.readMap(), DEBUG_MAP);
    assert.deepEqual(technical.components('protocols'), ['review_steps.txt']);
  });

  await step('a generation is committed: component, map, clean reload', async () => {
    model.say(DRILL);
    await generate(
      'root_cause_drill.txt',
      'Generate missing component',
      'Drill from the symptom to the one cause that explains it all.',
    );
    await bench.notification('Undo').waitFor();
    await untilMap(technical, 'names the new component', (text) => text === committed);
    assert.equal(technical.read(`components/protocols/${generated}`)?.trim(), DRILL.trim());
    await map.untilText('the editor reloaded', (text) => text.includes(generated));
    await map.untilErrors(1);
    assert.equal(await bench.isDirty(MAP), false);
    await bench.editor(generated).untilText('the component is open beside', (text) => text.includes('Reproduce'));
    await map.lens(/3 of 4 components/).waitFor();
    await page.locator('.statusbar-item', { hasText: 'Cancelled' }).waitFor({ state: 'hidden' });
    await picture('committed');
    assert.equal(model.requests.at(-1)?.authorization, `Bearer ${KEY}`);
  });

  await step('Undo restores both files', async () => {
    await bench.notification('Undo').getByText('Undo', { exact: true }).click();
    await untilMap(technical, 'is as it was', (text) => text === DEBUG_MAP);
    await until('the component is gone', () => !technical.components('protocols').includes(generated));
    await map.untilErrors(2);
    await bench.tab(generated).first().waitFor({ state: 'hidden' });
  });

  await step('a map that is closed while the model writes is committed on disk', async () => {
    const asked = model.requests.length;
    model.say(DRILL, true);
    await generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
    await until('the model is asked', () => model.requests.length > asked);
    await bench.closeTab(MAP);
    model.release();
    await untilMap(technical, 'names the new component', (text) => text === committed);
    await bench.notification('Undo').getByText('Undo', { exact: true }).click();
    await untilMap(technical, 'is as it was', (text) => text === DEBUG_MAP);
    await until('the component is gone', () => !technical.components('protocols').includes(generated));
    await bench.openFile(MAP);
    await map.untilErrors(2);
    await bench.closeNotifications();
  });

  await step('in a dirty map the edit lands in the buffer, and nothing that was typed is lost', async () => {
    const asked = model.requests.length;
    model.say(DRILL, true);
    await generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
    await until('the model is asked', () => model.requests.length > asked);
    await map.moveTo('"REVIEW"');
    await page.keyboard.type('"TYPED": { "persona": "digital_detective.txt" }, ');
    await until('the map is dirty', () => bench.isDirty(MAP));
    model.release();
    await map.untilText('the edit is in the buffer', (text) => text.includes(generated) && text.includes('"TYPED"'));
    assert.equal(technical.readMap(), DEBUG_MAP);
    await bench.notification(generated).waitFor();
    await picture('pending');
    await map.focus();
    await page.keyboard.press('Control+S');
    await untilMap(technical, 'holds both', (text) => text.includes(generated) && text.includes('"TYPED"'));
    await until('the map is clean', async () => !(await bench.isDirty(MAP)));
    await bench.closeNotifications();
  });

  await step('hovering a goal shows its prompt', async () => {
    await map.moveTo('DEBUG"');
    await page.keyboard.press('Control+K');
    await page.keyboard.press('Control+I');
    await page.locator('.monaco-hover:visible', { hasText: 'digital detective' }).first().waitFor();
    await picture('hover');
    await page.keyboard.press('Escape');
  });

  await step('the preview follows what is typed, in the map and in a component', async () => {
    await bench.closeTab(generated);
    await map.moveTo('"persona"');
    await bench.run('Goalmap: Preview the Prompt');
    const preview = page.locator('.editor-instance .monaco-editor[data-uri^="goalmap-prompt:"]').first();
    const shown = bench.editorAt(preview);
    await shown.untilText('the prompt', (text) => text.includes('You are a digital detective'));
    await map.moveTo('Debug a failing program');
    await page.keyboard.type('Slowly: ');
    await shown.untilText('the title that is typed', (text) => text.includes('# Slowly: Debug a failing program'));
    assert.doesNotMatch(technical.readMap(), /Slowly/);
    await bench.openFile('digital_detective.txt');
    const persona = bench.editor('digital_detective.txt');
    await persona.moveTo('You are');
    await page.keyboard.type('Listen. ');
    await shown.untilText('the component that is typed', (text) =>
      text.includes('Listen. You are a digital detective'),
    );
    assert.doesNotMatch(technical.read('components/personas/digital_detective.txt') ?? '', /Listen/);
    await shown.lens('digital_detective.txt').waitFor();
    await shown.lens(generated).waitFor();
    await picture('preview');
  });

  await step('from the preview to the component', async () => {
    const preview = bench.editorAt(
      page.locator('.editor-instance .monaco-editor[data-uri^="goalmap-prompt:"]').first(),
    );
    await preview.moveTo('cheapest test first');
    await page.keyboard.press('F12');
    await bench.editor(generated).shown();
    await page.locator('.statusbar-item', { hasText: /^Ln 4, Col 12$/ }).waitFor();
    await bench.run('File: Save All Files');
    await untilMap(technical, 'is saved', (text) => text.includes('Slowly'));
    await bench.run('View: Close All Editors');
  });

  await step('renaming a component in the explorer updates the map', async () => {
    await bench.openFile('review_steps.txt');
    const row = bench.explorerRow('review_steps.txt').first();
    await row.click();
    await page.keyboard.press('F2');
    const box = page.locator('.explorer-folders-view .monaco-inputbox input');
    await box.waitFor();
    await box.fill('review_in_three_steps.txt');
    await page.keyboard.press('Enter');
    const question = page.locator('.monaco-dialog-box', { hasText: "'Goalmap' wants to make refactoring changes" });
    await question.getByText('OK', { exact: true }).click();
    await until('the file has moved', () => technical.components('protocols').includes('review_in_three_steps.txt'));
    const reopened = await bench.openFile(MAP);
    await reopened.untilText('the new name', (text) => text.includes('"review_in_three_steps.txt"'));
    await bench.run('File: Save All Files');
    await untilMap(technical, 'names the new file', (text) => text.includes('"review_in_three_steps.txt"'));
  });

  await step('a syntax error is reported once', async () => {
    await map.moveTo('"Technical"');
    await page.keyboard.type('x');
    await bench.run('Problems: Focus on Problems View');
    const problems = page.locator('.markers-panel .monaco-list-row');
    await until('one problem of the syntax', async () => {
      const rows = (await problems.allTextContents()).filter((text) => text.includes('[Ln 2'));
      return rows.length > 0 && rows.every((text) => !text.includes('goalmap'));
    });
    await map.focus();
    await bench.run('File: Revert File');
    await until('the map is clean', async () => !(await bench.isDirty(MAP)));
    await bench.run('View: Toggle Problems');
  });

  await step('a workspace of two libraries: each has its own problems and its own commits', async () => {
    const writing = writingLibrary(path.join(scratch, 'writing'));
    const workspace = path.join(scratch, 'both.code-workspace');
    fs.writeFileSync(workspace, JSON.stringify({ folders: [{ path: 'prompts' }, { path: 'writing' }] }));
    const before = technical.readMap();
    await bench.open(workspace);
    const first = bench.editor('prompts/goal_map.json');
    await bench.explorerRow(MAP).nth(0).dblclick();
    await first.shown();
    await first.untilErrors(1);
    const second = bench.editor('writing/goal_map.json');
    await bench.explorerRow(MAP).nth(1).dblclick();
    await second.shown();
    await second.untilErrors(1);
    model.say(EDITOR);
    await second.quickFixes('patient_editor.txt');
    await second.choose('under its own name');
    await bench.quickInput.waitFor();
    await bench.quickInput.fill('An editor who keeps the voice of the author.');
    await page.keyboard.press('Enter');
    await until(
      'the component',
      () => writing.read('components/personas/patient_editor.txt')?.trim() === EDITOR.trim(),
    );
    await second.untilErrors(0);
    await picture('two-libraries');
    assert.equal(technical.readMap(), before);
  });

  await step('the key is in no file', () => {
    const found = grep(KEY, bench.home, scratch);
    assert.equal(found, '');
    return Promise.resolve();
  });
}

function grep(text: string, ...folders: string[]): string {
  try {
    return execFileSync('grep', ['-rlaF', '--', text, ...folders], { encoding: 'utf8' });
  } catch {
    return ''; // grep found nothing
  }
}

let failure: unknown;
try {
  await main();
} catch (error) {
  failure = error;
  console.error(error);
  await bench.keepEvidence(evidence);
  fs.cpSync(scratch, path.join(evidence, 'libraries'), { recursive: true });
  console.error(`Screenshot and logs are in ${evidence}`);
} finally {
  await bench.close();
  await model.close();
  fs.rmSync(scratch, { recursive: true, force: true });
}
const took_s = ((performance.now() - started_ms) / 1000).toFixed(1);
console.log(`${String(passed)} steps passed, ${failure === undefined ? '0' : '1'} failed, ${took_s} s in all`);
process.exitCode = failure === undefined ? 0 : 1;
