/** The prompt is read: in a hover, and beside the map while somebody types; components get other names. */
import assert from 'node:assert/strict';
import { until } from '../../support/until.ts';
import { GENERATED, MAP, type Stage } from '../stage.ts';

export async function read(stage: Stage): Promise<void> {
  const { bench, map, page, technical } = stage;

  await stage.step('hovering a goal shows its prompt', async () => {
    await bench.closeTab(GENERATED);
    await map.moveTo('DEBUG"');
    await page.keyboard.press('Control+K');
    await page.keyboard.press('Control+I');
    await page.locator('.monaco-hover:visible', { hasText: 'digital detective' }).first().waitFor();
    await stage.picture('hover');
    await page.keyboard.press('Escape');
  });

  await stage.step('the preview follows what is typed, in the map and in a component', async () => {
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
    await shown.lens(GENERATED).waitFor();
    await stage.picture('preview');
  });

  await stage.step('from the preview to the component', async () => {
    const preview = bench.editorAt(
      page.locator('.editor-instance .monaco-editor[data-uri^="goalmap-prompt:"]').first(),
    );
    await preview.moveTo('cheapest test first');
    await page.keyboard.press('F12');
    await bench.editor(GENERATED).shown();
    await page.locator('.statusbar-item', { hasText: /^Ln 4, Col 12$/ }).waitFor();
    await bench.run('File: Save All Files');
    await stage.untilMap(technical, 'is saved', (text) => text.includes('Slowly'));
    await bench.run('View: Close All Editors');
  });

  await stage.step('renaming a component in the explorer updates the map', async () => {
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
    await stage.untilMap(technical, 'names the new file', (text) => text.includes('"review_in_three_steps.txt"'));
  });

  await stage.step('renaming a component with F2 in the map moves the file', async () => {
    await map.moveTo('cite_evidence.txt');
    await page.keyboard.press('F2');
    const box = page.locator('.rename-box input');
    await box.fill('quote_evidence.txt');
    await page.keyboard.press('Enter');
    await until('the file has moved', () => technical.components('constraints').includes('quote_evidence.txt'));
    await map.untilText('the new name', (text) => text.includes('"quote_evidence.txt"'));
    await map.untilErrors(1);
    await bench.run('File: Save All Files');
    await stage.untilMap(technical, 'names the new file', (text) => text.includes('"quote_evidence.txt"'));
  });
}
