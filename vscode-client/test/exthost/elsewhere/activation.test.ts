/** A window without a library. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { technicalLibrary } from '../../support/library.ts';
import { codesOf, errorsBecome, extension, open } from '../editor.ts';

describe('where there is no library', () => {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'goalmap-outside-'));
  after(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
  });

  it('a text file does not wake the extension', async () => {
    await open(path.join(vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '', 'notes.txt'));
    assert.equal(extension().isActive, false);
  });

  it('any JSON wakes it, and starts no server', async () => {
    const place = path.join(scratch, 'other.json');
    fs.writeFileSync(place, '{"persona": "nobody.txt"}\n');
    const document = await open(place);
    await extension().activate();
    const commands = await vscode.commands.getCommands(true);
    assert.ok(commands.includes('goalmap.restart'));
    assert.ok(!commands.includes('goalmap.generateComponent'), 'the commands of the server');
    assert.deepEqual(codesOf(document.uri), []);
  });

  it('a map that is opened from elsewhere starts the server', async () => {
    const library = technicalLibrary(path.join(scratch, 'prompts'));
    const document = await open(library.map);
    await errorsBecome(document.uri, 2);
    assert.ok((await vscode.commands.getCommands(true)).includes('goalmap.generateComponent'));
  });
});
