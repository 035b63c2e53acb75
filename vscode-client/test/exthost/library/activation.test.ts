import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { technicalLibrary } from '../../support/library.ts';
import { until } from '../../support/until.ts';
import { closeAll, diagnosticsBecome, errorsBecome, extension, newLibrary, open, place, replace } from '../editor.ts';
import { paletteEntries, settingShown, statusItem, statusLabel } from '../window.ts';

interface Command {
  readonly command: string;
  readonly title: string;
  readonly category: string;
}

const contributed = (): readonly Command[] =>
  (extension().packageJSON as { contributes: { commands: readonly Command[] } }).contributes.commands;
const titles = (...left_out: readonly string[]): string[] =>
  contributed()
    .filter(({ command }) => !left_out.includes(command))
    .map(({ title, category }) => `${category}: ${title}`)
    .sort();

/** What the kernel says of the one child of this extension host that is a language server. */
function environmentOfServer(): ReadonlyMap<string, string> {
  const read = (pid: string, name: string): string => {
    try {
      return fs.readFileSync(path.join('/proc', pid, name), 'utf8');
    } catch {
      return ''; // It has ended meanwhile, or is another user's.
    }
  };
  const servers = fs
    .readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => read(pid, 'status').includes(`\nPPid:\t${String(process.pid)}\n`))
    .filter((pid) => read(pid, 'cmdline').includes('\0lsp\0--stdio\0'));
  assert.equal(servers.length, 1, 'language servers of this window');
  const lines = read(servers[0] ?? '', 'environ')
    .split('\0')
    .filter(Boolean);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

describe('a workspace with a library', () => {
  after(closeAll);

  it('wakes the extension, and its server, before any file is opened', async () => {
    // VS Code has no event for an activation that somebody else has asked for.
    await until('the extension is active', () => extension().isActive);
    const root = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
    await errorsBecome(vscode.Uri.file(path.join(root, 'prompts/goal_map.json')), 2);
    assert.equal(vscode.window.activeTextEditor, undefined);
  });

  it('has every command of package.json, each with a title, and the commands of the server', async () => {
    const commands = new Set(await vscode.commands.getCommands(true));
    for (const { command, title, category } of contributed()) {
      assert.ok(commands.has(command), `${command} is not registered`);
      assert.match(title, /^[A-Z].{5,}$/);
      assert.equal(category, 'Goalmap');
    }
    for (const name of ['generateComponent', 'generateAll', 'cancelGeneration', 'undo', 'createEmpty']) {
      assert.ok(commands.has(`goalmap.${name}`), `goalmap.${name} is not registered`);
    }
  });

  it('shows in the palette what makes sense: a preview only where there is a goal', async () => {
    assert.deepEqual((await paletteEntries('Goalmap:')).sort(), titles('goalmap.previewPrompt'));
    const map = await open(newLibrary('palette').map);
    await errorsBecome(map.uri, 2);
    assert.deepEqual((await paletteEntries('Goalmap:')).sort(), titles());
  });

  it('tells the tokens of the goal under the cursor in the status bar', async () => {
    const map = await open(newLibrary('status').map);
    await errorsBecome(map.uri, 2);
    const editor = vscode.window.activeTextEditor;
    assert.ok(editor);
    editor.selection = new vscode.Selection(place(map, 'review_steps'), place(map, 'review_steps'));
    await statusItem('tokens');
    await statusLabel('Goalmap. The language server is running. Model: ');
  });

  it('finds a library that is made later', async () => {
    const root = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '';
    const place = path.join(root, 'made later');
    // VS Code watches what is in a new folder only from when it has heard of the folder.
    const watcher = vscode.workspace.createFileSystemWatcher('**/made later');
    const seen = new Promise((resolve) => watcher.onDidCreate(resolve));
    fs.mkdirSync(place);
    await seen;
    watcher.dispose();
    const later = technicalLibrary(place);
    await diagnosticsBecome(vscode.Uri.file(later.map), (found) => found.length === 2);
  });
});

describe('the process of the server', () => {
  after(closeAll);

  it('has the environment of the editor, without what would mislead Python', async () => {
    const map = await open(newLibrary('environment').map);
    await errorsBecome(map.uri, 2);
    const server = environmentOfServer();
    for (const name of ['HOME', 'PATH', 'XDG_DATA_HOME', 'GOALMAP_TEST_CANARY']) {
      assert.equal(server.get(name), process.env[name] ?? '(not set in the editor)', name);
    }
    assert.equal(server.get('PYTHONUTF8'), '1');
    assert.equal(process.env.PYTHONSTARTUP, '/nowhere/startup.py');
    assert.equal(server.get('PYTHONSTARTUP'), undefined);
  });
});

describe('goalmap.restart', () => {
  after(closeAll);

  it('brings a new server, which knows what is unsaved', async () => {
    const map = await open(newLibrary('restart').map);
    await errorsBecome(map.uri, 2);
    await replace(map, '"review_steps.txt"', '"unwritten.txt"');
    await errorsBecome(map.uri, 3);
    const withdrawn = errorsBecome(map.uri, 0);
    await vscode.commands.executeCommand('goalmap.restart');
    await withdrawn;
    await errorsBecome(map.uri, 3);
  });
});

describe('goalmap.openModelSettings', () => {
  after(closeAll);

  it('shows the settings of the model, in a remote window too', async () => {
    await vscode.commands.executeCommand('goalmap.openModelSettings');
    for (const title of ['Base Url', 'Name', 'Timeout Seconds', 'Max Output Tokens']) {
      await settingShown(title);
    }
  });
});

describe('goalmap.doctor', () => {
  after(closeAll);

  it('reports on the editor, the server and the library', async () => {
    await vscode.commands.executeCommand('goalmap.doctor');
    const document = vscode.window.activeTextEditor?.document;
    const report = document?.getText() ?? '';
    assert.match(report, /^Goalmap for VS Code \d/m);
    assert.match(report, /^workspace trusted: yes$/m);
    assert.match(report, /^language server: running$/m);
    assert.ok(document !== undefined && !document.isUntitled && !document.isDirty, 'nobody is asked to save it');
    assert.match(report, /^ok +python +3\.\d+/m);
  });
});
