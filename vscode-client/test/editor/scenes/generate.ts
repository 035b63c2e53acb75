/** Components are written, committed, taken back, and committed to maps that change meanwhile. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { DEBUG_MAP, DRILL } from '../../support/library.ts';
import { grep } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import { GENERATED, KEY, MAP, type Stage } from '../stage.ts';

export async function generate(stage: Stage): Promise<void> {
  const { bench, map, model, page, technical } = stage;
  const committed = DEBUG_MAP.replace('root_cause_drill.txt', GENERATED);
  const git = (...args: string[]): void => {
    const person = ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.org'];
    execFileSync('git', [...person, ...args], { cwd: technical.root, stdio: 'pipe' });
  };
  const commitAll = (): void => {
    git('add', MAP, 'components');
    git('commit', '--quiet', '--message', 'As it is now');
  };
  /** Return when the model has written half of its answer, and waits. */
  async function startGenerating(): Promise<void> {
    const asked = model.requests.length;
    model.say(DRILL, true);
    await stage.generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
    await stage.untilAsked(asked);
  }

  await stage.step('an empty description aborts with a warning', async () => {
    await stage.generate('root_cause_drill.txt', 'Generate missing component', '');
    await bench.notification('Nothing was generated').waitFor();
    await bench.closeNotifications();
    assert.equal(model.requests.length, 0);
  });

  await stage.step('the question is judged while it is answered', async () => {
    await map.quickFixes('root_cause_drill.txt');
    await map.choose('Generate missing component');
    await bench.quickInput.waitFor();
    await bench.quickInput.fill('x'.repeat(20_000));
    await page.locator('.quick-input-widget:visible .quick-input-box .monaco-inputbox.error').waitFor();
    await bench.quickInput.fill('Drill from the symptom to the one cause that explains it all.');
    await page
      .locator('.quick-input-widget:visible .quick-input-box .monaco-inputbox.error')
      .waitFor({ state: 'hidden' });
    await stage.picture('question', true);
  });

  await stage.step('what the model writes is shown while it writes, and cancelling stops it', async () => {
    model.say(DRILL, true);
    await page.keyboard.press('Enter');
    const progress = bench.notification(/root_cause_drill|autogen_protocol/);
    await progress.filter({ hasText: /causes|difference|refute|cheapest/ }).waitFor();
    await stage.picture('writing');
    await progress.hover();
    await progress.getByText('Cancel', { exact: true }).click();
    await progress.waitFor({ state: 'hidden' });
    await until('the model was hung up on', () => model.requests.at(-1)?.aborted);
    assert.equal(technical.readMap(), DEBUG_MAP);
    assert.deepEqual(technical.components('protocols'), ['review_steps.txt']);
  });

  await stage.step('a generation is committed: component, map, clean reload', async () => {
    model.say(DRILL);
    await stage.generate(
      'root_cause_drill.txt',
      'Generate missing component',
      'Drill from the symptom to the one cause that explains it all.',
    );
    await bench.notification('Undo').waitFor();
    await stage.untilMap(technical, 'names the new component', (text) => text === committed);
    assert.equal(technical.read(`components/protocols/${GENERATED}`)?.trim(), DRILL.trim());
    await map.untilText('the editor reloaded', (text) => text.includes(GENERATED));
    await map.untilErrors(1);
    assert.equal(await bench.isDirty(MAP), false);
    await bench.editor(GENERATED).untilText('the component is open beside', (text) => text.includes('Reproduce'));
    await map.lens(/3 of 4 components/).waitFor();
    await page.locator('.statusbar-item', { hasText: 'Cancelled' }).waitFor({ state: 'hidden' });
    await stage.picture('committed');
    assert.equal(model.requests.at(-1)?.authorization, `Bearer ${KEY}`);
  });

  await stage.step('Undo restores both files', async () => {
    await bench.notification('Undo').getByText('Undo', { exact: true }).click();
    await stage.untilMap(technical, 'is as it was', (text) => text === DEBUG_MAP);
    await until('the component is gone', () => !technical.components('protocols').includes(GENERATED));
    await map.untilErrors(2);
    await bench.tab(GENERATED).first().waitFor({ state: 'hidden' });
  });

  await stage.step('a map that is closed while the model writes is committed on disk', async () => {
    const asked = model.requests.length;
    model.say(DRILL, true);
    await stage.generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
    await until('the model is asked', () => model.requests.length > asked);
    await bench.closeTab(MAP);
    model.release();
    await stage.untilMap(technical, 'names the new component', (text) => text === committed);
    await bench.notification('Undo').getByText('Undo', { exact: true }).click();
    await stage.untilMap(technical, 'is as it was', (text) => text === DEBUG_MAP);
    await until('the component is gone', () => !technical.components('protocols').includes(GENERATED));
    await bench.openFile(MAP);
    await map.untilErrors(2);
    await bench.closeNotifications();
  });

  await stage.step('a branch switch while the model writes: the commit goes to the map that is there now', async () => {
    const other = DEBUG_MAP.replace('"REVIEW"', '"PLAN": { "persona": "digital_detective.txt" },\n    "REVIEW"');
    const gone = DEBUG_MAP.replace('      "protocol": "root_cause_drill.txt",\n', '');
    git('init', '--quiet', '--initial-branch', 'main');
    commitAll();
    for (const [branch, text] of Object.entries({ other, gone })) {
      git('checkout', '--quiet', '-b', branch, 'main');
      technical.write(MAP, text);
      commitAll();
    }
    git('checkout', '--quiet', 'main');
    await map.untilErrors(2);

    await startGenerating();
    git('checkout', '--quiet', 'other');
    await map.untilText('the other branch', (text) => text.includes('"PLAN"'));
    model.release();
    await bench.notification('Undo').waitFor();
    assert.equal(technical.readMap(), other.replace('root_cause_drill.txt', GENERATED));
    await map.untilErrors(1);
    await bench.notification('Undo').getByText('Undo', { exact: true }).click();
    await stage.untilMap(technical, 'is that of the branch', (text) => text === other);
    await map.untilErrors(2);

    await startGenerating();
    git('checkout', '--quiet', 'gone');
    await map.untilText('the branch without the reference', (text) => !text.includes('root_cause_drill'));
    model.release();
    await bench.notification('Show Log').waitFor();
    await stage.picture('conflict');
    assert.equal(technical.readMap(), gone);
    assert.notEqual(grep('Reproduce the failure', technical.root), '', 'what the model wrote is kept');
    await bench.closeNotifications();
    git('checkout', '--quiet', 'main');
    await map.untilErrors(2);
    assert.equal(technical.readMap(), DEBUG_MAP);
  });

  await stage.step('generate all: one question for each component, one commit for each answer', async () => {
    const asked = model.requests.length;
    model.say(DRILL);
    await map.quickFixes('root_cause_drill.txt');
    await map.choose('Generate all 2');
    await bench.quickInputTitle.filter({ hasText: '(1/2)' }).waitFor();
    await stage.picture('generate-all', true);
    await stage.answer('Drill down to the one cause.', 'Nothing may be guessed.');
    await map.untilErrors(0);
    assert.equal(model.requests.length, asked + 2);
    assert.match(technical.readMap(), /"autogen_protocol_for_debug\.txt"/);
    assert.match(technical.readMap(), /"autogen_constraint_for_debug\.txt"/);
    assert.equal(technical.components('protocols').length + technical.components('constraints').length, 4);
    await bench.closeNotifications();
  });

  await stage.step('what another program does to the files shows at once', async () => {
    const changed_ms = performance.now();
    git('checkout', '--quiet', '--', MAP);
    git('clean', '--quiet', '--force', '-d', 'components');
    await map.untilErrors(2);
    console.log(
      `   ${((performance.now() - changed_ms) / 1000).toFixed(2)} s from the change of the files to the squiggles`,
    );
    await map.untilText('the map of the branch', (text) => text.includes('root_cause_drill.txt'));
  });

  await stage.step('in a dirty map the edit lands in the buffer, and nothing that was typed is lost', async () => {
    const asked = model.requests.length;
    model.say(DRILL, true);
    await stage.generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
    await until('the model is asked', () => model.requests.length > asked);
    await map.moveTo('"REVIEW"');
    await page.keyboard.type('"TYPED": { "persona": "digital_detective.txt" }, ');
    await until('the map is dirty', () => bench.isDirty(MAP));
    model.release();
    await map.untilText('the edit is in the buffer', (text) => text.includes(GENERATED) && text.includes('"TYPED"'));
    assert.equal(technical.readMap(), DEBUG_MAP);
    await bench.notification(GENERATED).waitFor();
    await stage.picture('pending');
    await map.focus();
    await page.keyboard.press('Control+S');
    await stage.untilMap(technical, 'holds both', (text) => text.includes(GENERATED) && text.includes('"TYPED"'));
    await until('the map is clean', async () => !(await bench.isDirty(MAP)));
    await bench.closeNotifications();
  });
}
