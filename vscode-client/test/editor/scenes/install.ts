/** From the installation to the first quick fix. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { KEY, MAP, type Stage } from '../stage.ts';

/** pip fetches and unpacks the server's packages the first time. */
const SETUP_PATIENCE_MS = 600_000;

export async function install(stage: Stage): Promise<void> {
  const { bench, map, page, technical } = stage;

  const environments = path.join(bench.home, 'data/User/globalStorage/goalmap.goalmap/python');
  const ready = (): string[] => fs.readdirSync(environments).filter((name) => name.endsWith('.ready'));
  const pipSettings = path.join(bench.home, 'config/pip/pip.conf');

  async function squiggles(since_ms: number): Promise<void> {
    await map.untilErrors(2, SETUP_PATIENCE_MS);
    console.log(`   ${((performance.now() - since_ms) / 1000).toFixed(1)} s to the squiggles`);
  }

  await stage.step('without Python it says what to do', async () => {
    await bench.open(technical.root);
    await bench.openFile(MAP);
    const message = bench.notification(/Goalmap needs Python 3\.11 or newer, and \/nowhere\/python.* does not run/);
    await message.filter({ hasText: 'Correct the setting' }).filter({ hasText: 'Open Settings' }).waitFor();
    await bench.status.locator('.codicon-error').waitFor();
    await stage.picture('no-python');
    await message.getByText('Open Settings', { exact: true }).click();
    await bench.setting('Python').waitFor();
    await bench.closeTab('Settings');
    await bench.closeNotifications();
  });

  await stage.step('without a network it says what to do, and leaves nothing half built', async () => {
    fs.mkdirSync(path.dirname(pipSettings), { recursive: true });
    fs.writeFileSync(pipSettings, '[global]\nindex-url = http://127.0.0.1:9/simple\nno-cache-dir = true\n');
    bench.set('Machine', 'goalmap.server.python', undefined);
    await bench.notification('the package index cannot be reached').waitFor({ timeout: SETUP_PATIENCE_MS });
    await stage.picture('no-network');
    assert.deepEqual(ready(), []);
  });

  await stage.step('with both the server is set up, and missing components are underlined', async () => {
    const begun_ms = performance.now();
    fs.rmSync(pipSettings);
    await bench.notification('cannot be reached').getByText('Restart', { exact: true }).click();
    await squiggles(begun_ms);
    assert.equal(ready().length, 1);
    await bench.closeNotifications();
  });

  await stage.step('a second window uses the same environment', async () => {
    const opened_ms = performance.now();
    await bench.open(technical.root);
    await bench.openFile(MAP);
    await squiggles(opened_ms);
    assert.equal(ready().length, 1);
  });

  await stage.step('the walkthrough leads to the settings of the model', async () => {
    await bench.run('Welcome: Open Walkthrough...');
    await bench.quickInput.fill('Your first library of prompts');
    await page.keyboard.press('Enter');
    await page.locator('.getting-started-step', { hasText: 'Choose a model' }).click();
    await stage.picture('walkthrough');
    await page.locator('.getting-started-step').getByText('Model Settings', { exact: true }).click();
    await bench.setting('Base Url').waitFor();
    await stage.picture('settings');
    await bench.run('View: Close All Editors');
    await bench.openFile(MAP);
    await map.untilErrors(2);
  });

  await stage.step('its page in the editor shows the README, without pictures that could not be loaded', async () => {
    await bench.run('Extensions: Show Installed Extensions');
    await page.locator('.extensions-list .monaco-list-row', { hasText: 'Goalmap' }).first().dblclick();
    const readme = page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
    await readme.getByRole('heading', { name: 'Goalmap for VS Code' }).waitFor();
    assert.equal(await readme.locator('img').count(), 0);
    await stage.picture('readme');
    await bench.run('View: Close All Editors');
    await bench.run('View: Show Explorer');
    await bench.openFile(MAP);
    await map.untilErrors(2);
  });

  await stage.step('the status item shows the tokens of the goal under the cursor', async () => {
    await map.moveTo('"persona"');
    await bench.status.filter({ hasText: /tokens/ }).waitFor();
    await map.lens(/2 of 4 components/).waitFor();
    await map.lens(/prompt · 2 components/).waitFor();
    await stage.picture('squiggle');
  });

  await stage.step('the API key is kept in the secret store', async () => {
    await bench.run("Goalmap: Set the Model's API Key");
    await bench.quickInput.waitFor();
    await bench.quickInput.fill(KEY);
    await page.keyboard.press('Enter');
    await bench.notification('secret store').waitFor();
    await bench.closeNotifications();
  });

  await stage.step('the quick fixes at a missing component', async () => {
    const menu = await map.quickFixes('root_cause_drill.txt');
    const titles = await menu.allTextContents();
    assert.match(titles[0] ?? '', /Generate missing component .?root_cause_drill\.txt/);
    assert.match(titles[1] ?? '', /Generate .?root_cause_drill\.txt.? under its own name/);
    await stage.picture('quickfix');
    await page.keyboard.press('Escape');
    await menu.first().waitFor({ state: 'hidden' });
  });
}
