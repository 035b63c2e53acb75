/** More than one library, and one that is not trusted. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { DRILL, EDITOR, technicalLibrary, writingLibrary } from '../../support/library.ts';
import { ScriptedModel } from '../../support/model.ts';
import { grep } from '../../support/processes.ts';
import { until } from '../../support/until.ts';
import { KEY, MAP, type Stage } from '../stage.ts';

export async function workspaces(stage: Stage): Promise<void> {
  const { bench, map, model, page, scratch, technical } = stage;

  await stage.step('a syntax error is reported once', async () => {
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

  await stage.step('a workspace of two libraries: each has its own problems and its own commits', async () => {
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
    await stage.picture('two-libraries');
    assert.equal(technical.readMap(), before);
  });

  await stage.step(
    'a workspace that is not trusted: it is read, and gets neither a program run nor a model',
    async () => {
      const stranger = new ScriptedModel();
      const address = await stranger.listen();
      const strange = technicalLibrary(path.join(scratch, 'strange'));
      const ran = path.join(scratch, 'ran');
      strange.write(
        '.vscode/settings.json',
        JSON.stringify({
          'goalmap.model.baseUrl': address,
          'goalmap.server.command': ['touch', ran],
          'goalmap.server.python': '/nowhere/python',
        }),
      );
      const asked = model.requests.length;
      stranger.say(DRILL);
      bench.set('User', 'security.workspace.trust.enabled', true);
      bench.set('User', 'security.workspace.trust.startupPrompt', 'never');
      await bench.open(strange.root);
      await page.locator('.statusbar-item', { hasText: 'Restricted Mode' }).waitFor();
      await bench.openFile(MAP);
      await map.untilErrors(2);
      await map.lens(/2 of 4 components/).waitFor();
      await stage.picture('restricted');
      await stage.generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
      await bench.notification('not trusted').waitFor();
      await bench.closeNotifications();
      assert.equal(model.requests.length + stranger.requests.length, asked);
      assert.ok(!fs.existsSync(ran), 'the program that the workspace names was run');

      // Trusted, its address counts; the key belongs to another one.
      strange.write('.vscode/settings.json', JSON.stringify({ 'goalmap.model.baseUrl': address }));
      await bench.run('Workspaces: Manage Workspace Trust');
      await page
        .locator('.workspace-trust-editor .monaco-button', { hasText: /^Trust/ })
        .first()
        .click();
      await page.locator('.statusbar-item', { hasText: 'Restricted Mode' }).waitFor({ state: 'hidden' });
      await bench.openFile(MAP);
      await map.untilErrors(2);
      await stage.generate('root_cause_drill.txt', 'Generate missing component', 'Drill down to the one cause.');
      await bench.notification('Undo').waitFor();
      await map.untilErrors(1);
      assert.equal(stranger.requests.length, 1);
      assert.ok(!(stranger.requests[0]?.authorization ?? '').includes(KEY), 'a stranger was handed the key');
      assert.equal(model.requests.length, asked);
      await stranger.close();
    },
  );

  await stage.step('the key is in no file', () => {
    const found = grep(KEY, bench.home, scratch);
    assert.equal(found, '');
    return Promise.resolve();
  });
}
