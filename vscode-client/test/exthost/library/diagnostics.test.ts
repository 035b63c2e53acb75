import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Library } from '../../support/library.ts';
import { closeAll, codeOf, codesOf, diagnosticsBecome, errorsBecome, newLibrary, open, replace } from '../editor.ts';

describe('diagnostics', () => {
  let library: Library;
  let map: vscode.TextDocument;
  before(async () => {
    library = newLibrary('diagnostics');
    map = await open(library.map);
    await errorsBecome(map.uri, 2);
  });
  after(closeAll);

  it('a missing component is underlined at its name, and its code leads to the documentation', async () => {
    const [first] = await errorsBecome(map.uri, 2);
    assert.ok(first);
    assert.equal(map.getText(first.range), 'root_cause_drill.txt');
    assert.equal(first.source, 'goalmap');
    assert.equal(codeOf(first), 'component.missing');
    assert.match(first.message, /root_cause_drill\.txt/);
  });

  it('follow what is typed', async () => {
    await replace(map, '"review_steps.txt"', '"review_stops.txt"');
    const found = await errorsBecome(map.uri, 3);
    assert.ok(found.some(({ message }) => message.includes('review_stops.txt')));
    await replace(map, '"review_stops.txt"', '"review_steps.txt"');
    await errorsBecome(map.uri, 2);
  });

  it('follow what another program does to the files', async () => {
    library.write('components/protocols/root_cause_drill.txt', 'Drill.\n');
    await errorsBecome(map.uri, 1);
    fs.rmSync(path.join(library.root, 'components/protocols/root_cause_drill.txt'));
    await errorsBecome(map.uri, 2);
  });

  it('tell of files that are not open', async () => {
    const unused = vscode.Uri.file(path.join(library.root, 'components/personas/nobody.txt'));
    library.write('components/personas/nobody.txt', 'Nobody asks for me.\n');
    const [hint] = await diagnosticsBecome(unused, (found) => found.length === 1);
    assert.ok(hint);
    assert.equal(codeOf(hint), 'component.unused');
    assert.equal(hint.severity, vscode.DiagnosticSeverity.Hint);
    fs.rmSync(unused.fsPath);
    await diagnosticsBecome(unused, (found) => found.length === 0);
  });

  it('a syntax error and a duplicate key are reported once, by the JSON service', async () => {
    await replace(map, '"Technical": {', '"Technical": { x');
    const syntax = await diagnosticsBecome(map.uri, (found) => found.some(({ range }) => range.start.line === 1));
    assert.deepEqual(
      [...new Set(syntax.filter(({ range }) => range.start.line === 1).map(({ source }) => source))],
      ['json'],
    );
    assert.ok(!codesOf(map.uri).includes('map.syntax'));
    await replace(map, '"Technical": { x', '"Technical": {');
    await replace(map, '"title"', '"description"');
    await diagnosticsBecome(map.uri, (found) => found.some(({ message }) => /duplicate/i.test(message)));
    assert.ok(!codesOf(map.uri).includes('map.duplicate-key'));
    await replace(map, '"description"', '"title"');
    await errorsBecome(map.uri, 2);
  });

  it('the schema of the map is the JSON service’s', async () => {
    await replace(map, '"review_steps.txt"', '42');
    const found = await diagnosticsBecome(map.uri, (all) =>
      all.some(({ source, range }) => source !== 'goalmap' && map.getText(range) === '42'),
    );
    assert.ok(found.length > 0);
    await replace(map, '42', '"review_steps.txt"');
    await errorsBecome(map.uri, 2);
  });

  it('a setting changes a severity at once', async () => {
    const settings = vscode.workspace.getConfiguration('goalmap.diagnostics');
    await settings.update('component.missing', 'warning', vscode.ConfigurationTarget.Workspace);
    const found = await diagnosticsBecome(
      map.uri,
      (all) => all.filter(({ severity }) => severity === vscode.DiagnosticSeverity.Warning).length === 2,
    );
    assert.deepEqual([...new Set(found.map(codeOf))], ['component.missing']);
    await settings.update('component.missing', undefined, vscode.ConfigurationTarget.Workspace);
    await errorsBecome(map.uri, 2);
  });
});
