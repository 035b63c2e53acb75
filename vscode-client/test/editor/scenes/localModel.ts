/** Somebody without a model of their own gets the one for this machine, from the editor alone. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { MAP, type Stage } from '../stage.ts';

/** The runtime and the weights are fetched and unpacked the first time: 130 MB. */
const INSTALL_PATIENCE_MS = 600_000;

export async function localModel(stage: Stage): Promise<void> {
  const { bench, map, model, technical } = stage;
  const endpoint = bench.get('Machine', 'goalmap.model.baseUrl');
  const asked = model.requests.length;

  await stage.step(
    'where no model is set up, a generation that fails for it offers the one for this machine',
    async () => {
      bench.set('Machine', 'goalmap.model.baseUrl', undefined);
      await bench.statusWarns.waitFor();
      await stage.generate('no_guessing.txt', 'Generate missing component', 'Nothing may be guessed.');
      const message = bench.notification('Nothing was generated: no model is set up.');
      await message.getByText('Model Settings', { exact: true }).waitFor();
      await stage.picture('no-model');
      await message.getByText('Install the Local Model', { exact: true }).click();
    },
  );

  await stage.step('one click installs its runtime and its weights, and restarts the server', async () => {
    const progress = bench.notification('Installing the local model');
    await progress.filter({ hasText: 'installing the server' }).waitFor();
    await progress.getByText('Cancel', { exact: true }).waitFor();
    await stage.picture('installing-model');
    await bench.notification('Ready: SmolLM2 on this machine').waitFor({ timeout: INSTALL_PATIENCE_MS });
    await stage.picture('model-ready');
    assert.deepEqual(bench.get('Machine', 'goalmap.server.extras'), ['local']);
    assert.equal(fs.readdirSync(path.join(bench.home, 'share/goalmap/models')).length, 1);
    await bench.statusWarns.waitFor({ state: 'hidden' });
    await bench.closeNotifications();
  });

  await stage.step('it writes, and what it wrote is undone from the palette when the message is gone', async () => {
    const before = technical.readMap();
    await bench.openFile(MAP);
    await map.untilErrors(1);
    await stage.generate('no_guessing.txt', 'Generate missing component', 'Nothing may be guessed.');
    await bench.notification('Undo').waitFor();
    const generated = technical.components('constraints').filter((name) => name.startsWith('autogen_'));
    assert.equal(generated.length, 1);
    await map.untilErrors(0);
    await stage.picture('local-draft');
    await bench.closeNotifications();
    await bench.run('Goalmap: Undo Last Generation');
    await stage.untilMap(technical, 'is as it was', (text) => text === before);
    await map.untilErrors(1);
    await bench
      .tab(generated[0] ?? '')
      .first()
      .waitFor({ state: 'hidden' });
    assert.equal(model.requests.length, asked);
    bench.set('Machine', 'goalmap.model.baseUrl', endpoint);
    await bench.closeNotifications();
  });
}
