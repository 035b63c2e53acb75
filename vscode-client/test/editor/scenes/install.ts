/** From the installation to the first quick fix. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { KEY, MAP, type Stage } from '../stage.ts';

/** pip fetches and unpacks the server's packages the first time. */
const SETUP_PATIENCE_MS = 600_000;

export async function install(stage: Stage): Promise<void> {
  const { bench, map, page, technical } = stage;

  async function firstSquiggle(): Promise<void> {
    const opened_ms = performance.now();
    await bench.open(technical.root);
    await bench.openFile(MAP);
    await map.untilErrors(2, SETUP_PATIENCE_MS);
    console.log(`   ${((performance.now() - opened_ms) / 1000).toFixed(1)} s from opening the folder to the squiggles`);
  }

  await stage.step('after the installation the server is set up, and missing components are underlined', async () => {
    await firstSquiggle();
    if (stage.serverCommand === undefined) {
      const environments = path.join(bench.home, 'data/User/globalStorage/goalmap.goalmap/python');
      assert.equal(fs.readdirSync(environments).filter((name) => name.endsWith('.ready')).length, 1);
    }
  });

  await stage.step('a second window uses the same environment', firstSquiggle);

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
