/** Every request of the protocol arrives at the server, and its answer in the editor. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { DEBUG_MAP, type Library } from '../../support/library.ts';
import { until } from '../../support/until.ts';
import { at, closeAll, errorsBecome, newLibrary, open, place } from '../editor.ts';
import { renameAtCursor } from '../window.ts';

const textOf = (hovers: readonly vscode.Hover[]): string =>
  hovers
    .flatMap(({ contents }) => contents)
    .map((content) => (content as vscode.MarkdownString).value)
    .join('\n');
const labelOf = ({ label }: vscode.CompletionItem): string => (typeof label === 'string' ? label : label.label);

describe('language features', () => {
  let library: Library;
  let map: vscode.TextDocument;
  before(async () => {
    library = newLibrary('features');
    map = await open(library.map);
    await errorsBecome(map.uri, 2);
  });
  after(closeAll);

  const ask = <Answer>(command: string, ...args: unknown[]): Thenable<Answer> =>
    vscode.commands.executeCommand<Answer>(`vscode.execute${command}`, map.uri, ...args);
  const relative = (uri: vscode.Uri): string => path.relative(library.root, uri.fsPath);

  it('hover: a goal shows its prompt, a reference its component, a key what the schema says', async () => {
    assert.match(textOf(await ask('HoverProvider', place(map, 'DEBUG'))), /# Debug a failing program/);
    assert.match(textOf(await ask('HoverProvider', place(map, 'cite_evidence'))), /Quote the log line/);
    assert.match(textOf(await ask('HoverProvider', place(map, '"title"', 2))), /heading of the prompt/);
    const slot = textOf(await ask('HoverProvider', place(map, '"persona"', 2)));
    assert.match(slot, /[^\\]`security\/owasp\.txt`/, 'code is shown as code, not between escaped backticks');
  });

  it('code actions: the quick fixes of a missing component, the first is preferred', async () => {
    const start = place(map, 'root_cause_drill.txt');
    const actions = await ask<vscode.CodeAction[]>(
      'CodeActionProvider',
      new vscode.Range(start, start),
      vscode.CodeActionKind.QuickFix.value,
    );
    const titles = actions.map(({ title }) => title);
    assert.match(titles[0] ?? '', /^Generate missing component root_cause_drill\.txt… \(new file .*autogen_protocol/);
    assert.match(titles[1] ?? '', /^Generate root_cause_drill\.txt under its own name…/);
    assert.ok(titles.some((title) => title.startsWith('Create empty components/protocols/root_cause_drill.txt')));
    assert.ok(titles.some((title) => title.startsWith('Remove the reference')));
    assert.ok(titles.some((title) => title.startsWith('Generate all 2')));
    assert.equal(actions[0]?.isPreferred, true);
    assert.equal(actions[0].command?.command, 'goalmap.generateComponent');
  });

  it('completion: the files of the slot, with their text when one is looked at', async () => {
    const found = await ask<vscode.CompletionList>('CompletionItemProvider', place(map, 'review_steps'), '"', 10);
    const item = found.items.find((one) => labelOf(one) === 'review_steps.txt');
    assert.ok(item, found.items.map(labelOf).join());
    assert.equal(item.kind, vscode.CompletionItemKind.File);
    const { documentation } = item;
    assert.match(typeof documentation === 'object' ? documentation.value : (documentation ?? ''), /Read the change/);
  });

  it('definition: from a reference to its component', async () => {
    const found = await ask<(vscode.Location | vscode.LocationLink)[]>(
      'DefinitionProvider',
      place(map, 'digital_detective'),
    );
    const targets = found.map((one) => relative('targetUri' in one ? one.targetUri : one.uri));
    assert.deepEqual(targets, ['components/personas/digital_detective.txt']);
  });

  it('references: all that use a component, from the map and from the component', async () => {
    const fromMap = await ask<vscode.Location[]>('ReferenceProvider', place(map, 'digital_detective'));
    assert.equal(fromMap.filter(({ uri }) => uri.fsPath === library.map).length, 2);
    const persona = await vscode.workspace.openTextDocument(
      path.join(library.root, 'components/personas/digital_detective.txt'),
    );
    const fromComponent = await vscode.commands.executeCommand<vscode.Location[]>(
      'vscode.executeReferenceProvider',
      persona.uri,
      new vscode.Position(0, 0),
    );
    assert.equal(fromComponent.filter(({ uri }) => uri.fsPath === library.map).length, 2);
  });

  it('rename: one edit moves the file and changes each reference', async () => {
    const edit = await vscode.commands.executeCommand<vscode.WorkspaceEdit>(
      'vscode.executeDocumentRenameProvider',
      map.uri,
      place(map, 'digital_detective'),
      'sherlock.txt',
    );
    const changes = edit.entries().flatMap(([uri, edits]) => edits.map((one) => [relative(uri), one.newText]));
    assert.deepEqual(
      changes.filter(([file]) => file === 'goal_map.json'),
      [
        ['goal_map.json', 'sherlock.txt'],
        ['goal_map.json', 'sherlock.txt'],
      ],
    );
    await assert.rejects(
      async () =>
        vscode.commands.executeCommand(
          'vscode.executeDocumentRenameProvider',
          map.uri,
          place(map, 'digital_detective'),
          '../../outside.txt',
        ),
      'a name that leaves the library is refused',
    );
  });

  it('rename with F2: the file moves, the map is changed, all of it can be taken back', async () => {
    const editor = vscode.window.activeTextEditor;
    assert.ok(editor);
    editor.selection = new vscode.Selection(place(map, 'digital_detective'), place(map, 'digital_detective'));
    await renameAtCursor('sherlock.txt');
    await at(vscode.workspace.onDidChangeTextDocument, () =>
      /"persona": "sherlock\.txt"[\s\S]*"persona": "sherlock\.txt"/.test(map.getText()) ? true : undefined,
    );
    await until('the file has moved', () => library.components('personas').join() === 'sherlock.txt');
    await errorsBecome(map.uri, 2);
    await vscode.commands.executeCommand('undo');
    await until('the file is back', () => library.components('personas').join() === 'digital_detective.txt');
    await errorsBecome(map.uri, 2);
    assert.equal(map.getText(), DEBUG_MAP);
  });

  it('document links: one for each component that exists', async () => {
    const links = await ask<vscode.DocumentLink[]>('LinkProvider', 100);
    const targets = links.map(({ target }) => (target === undefined ? '' : relative(target)));
    assert.deepEqual([...new Set(targets.filter((target) => target.startsWith('components/')))].sort(), [
      'components/constraints/cite_evidence.txt',
      'components/personas/digital_detective.txt',
      'components/protocols/review_steps.txt',
    ]);
  });

  it('one outline of a map: that of the JSON service', async () => {
    const symbols = await ask<vscode.DocumentSymbol[]>('DocumentSymbolProvider');
    assert.deepEqual(
      symbols.map(({ name, children }) => [name, children.map((child) => child.name)]),
      [['Technical', ['DEBUG', 'REVIEW']]],
    );
  });

  it('goals are found by name in the workspace', async () => {
    const found = await vscode.commands.executeCommand<vscode.SymbolInformation[]>(
      'vscode.executeWorkspaceSymbolProvider',
      'REVIEW',
    );
    assert.ok(found.some(({ name, location }) => name.includes('REVIEW') && location.uri.fsPath === library.map));
  });

  it('lenses and hints tell sizes; the lens of a component tells who uses it', async () => {
    const lenses = await ask<vscode.CodeLens[]>('CodeLensProvider', 10);
    assert.match(lenses.map(({ command }) => command?.title).join(), /2 of 4 components.*tokens.*2 components.*tokens/);
    const everything = new vscode.Range(0, 0, map.lineCount, 0);
    const hints = await ask<vscode.InlayHint[]>('InlayHintProvider', everything);
    const labels = hints.map(({ label }) =>
      typeof label === 'string' ? label : label.map(({ value }) => value).join(''),
    );
    assert.equal(labels.filter((label) => label.includes('tokens')).length, 4);
    const persona = vscode.Uri.file(path.join(library.root, 'components/personas/digital_detective.txt'));
    await vscode.workspace.openTextDocument(persona);
    const used = await vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', persona, 10);
    assert.match(used.map(({ command }) => command?.title).join(), /used by 2 goals/);
  });

  it('folding', async () => {
    const ranges = await ask<vscode.FoldingRange[]>('FoldingRangeProvider');
    assert.ok(ranges.some(({ start, end }) => start === 2 && end >= 6));
  });
});

describe('the preview of a prompt', () => {
  let library: Library;
  let map: vscode.TextDocument;
  before(async () => {
    library = newLibrary('preview');
    map = await open(library.map);
    await errorsBecome(map.uri, 2);
  });
  after(closeAll);

  const preview = (): vscode.TextDocument => {
    const found = vscode.workspace.textDocuments.find(({ uri }) => uri.scheme === 'goalmap-prompt');
    assert.ok(found, 'no preview is open');
    return found;
  };
  const shows = async (fits: (text: string) => boolean): Promise<void> => {
    if (!fits(preview().getText())) {
      await new Promise<void>((resolve) => {
        const listener = vscode.workspace.onDidChangeTextDocument(({ document }) => {
          if (document.uri.scheme === 'goalmap-prompt' && fits(document.getText())) {
            listener.dispose();
            resolve();
          }
        });
      });
    }
  };

  it('is the assembled prompt of the goal at the cursor, beside the map', async () => {
    const editor = vscode.window.activeTextEditor;
    assert.ok(editor);
    editor.selection = new vscode.Selection(place(map, 'root_cause'), place(map, 'root_cause'));
    await vscode.commands.executeCommand('goalmap.previewPrompt');
    const text = preview().getText();
    assert.match(text, /^# Debug a failing program\n/);
    assert.match(text, /## PERSONA\nYou are a digital detective|## PERSONA\n\nYou are a digital detective/);
    assert.match(text, /⟨missing: protocols\/root_cause_drill\.txt⟩/);
    assert.equal(preview().languageId, 'markdown');
    assert.equal(vscode.window.activeTextEditor?.document.uri.toString(), map.uri.toString());
  });

  it('has its lenses, and leads to its components, before anybody has typed', async () => {
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
      'vscode.executeCodeLensProvider',
      preview().uri,
      10,
    );
    assert.match(lenses.map(({ command }) => command?.title).join(), /digital_detective\.txt.*cite_evidence\.txt/);
    const found = await vscode.commands.executeCommand<vscode.LocationLink[]>(
      'vscode.executeDefinitionProvider',
      preview().uri,
      place(preview(), 'digital detective'),
    );
    assert.equal(path.basename(found[0]?.targetUri.fsPath ?? ''), 'digital_detective.txt');
  });

  it('follows unsaved edits, in the map and in a component', async () => {
    const titled = new vscode.WorkspaceEdit();
    titled.insert(map.uri, place(map, 'Debug a failing'), 'Slowly: ');
    assert.ok(await vscode.workspace.applyEdit(titled));
    await shows((text) => text.startsWith('# Slowly: Debug a failing program'));
    const persona = await vscode.workspace.openTextDocument(
      path.join(library.root, 'components/personas/digital_detective.txt'),
    );
    const said = new vscode.WorkspaceEdit();
    said.insert(persona.uri, new vscode.Position(0, 0), 'Listen. ');
    assert.ok(await vscode.workspace.applyEdit(said));
    await shows((text) => text.includes('Listen. You are a digital detective'));
    assert.ok(map.isDirty && persona.isDirty);
    assert.doesNotMatch(library.readMap(), /Slowly/);
  });

  it('leads to the component, from any character of it', async () => {
    const found = await vscode.commands.executeCommand<vscode.LocationLink[]>(
      'vscode.executeDefinitionProvider',
      preview().uri,
      place(preview(), 'Say "unknown"', 3),
    );
    assert.equal(found.length, 1);
    assert.equal(path.basename(found[0]?.targetUri.fsPath ?? ''), 'cite_evidence.txt');
    assert.equal(found[0]?.targetRange.start.line, 1);
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
      'vscode.executeCodeLensProvider',
      preview().uri,
      10,
    );
    assert.match(lenses.map(({ command }) => command?.title).join(), /digital_detective\.txt.*cite_evidence\.txt/);
  });

  it('says so when its goal is gone', async () => {
    const edit = new vscode.WorkspaceEdit();
    edit.replace(map.uri, new vscode.Range(place(map, 'DEBUG'), place(map, 'DEBUG', 5)), 'MEND');
    assert.ok(await vscode.workspace.applyEdit(edit));
    await shows((text) => text.includes('no goal Technical/DEBUG'));
  });
});
