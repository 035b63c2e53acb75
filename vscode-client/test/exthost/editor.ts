/** What the suites do again and again with VS Code's API. Waiting is for events, with mocha's patience. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { technicalLibrary, type Library } from '../support/library.ts';

export function extension(): vscode.Extension<unknown> {
  const found = vscode.extensions.getExtension('goalmap.goalmap');
  assert.ok(found, 'the extension is not there');
  return found;
}

/** A library of its own for a test: two of its references are missing. */
export function newLibrary(name: string): Library {
  return technicalLibrary(path.join(vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? '', name));
}

export async function open(file: string): Promise<vscode.TextDocument> {
  const document = await vscode.workspace.openTextDocument(file);
  await vscode.window.showTextDocument(document, { preview: false });
  return document;
}

/** Forget what is unsaved, close everything. */
export async function closeAll(): Promise<void> {
  for (const document of vscode.workspace.textDocuments.filter(({ isDirty }) => isDirty)) {
    await vscode.window.showTextDocument(document);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  }
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
}

/** Return the first answer of `look` that is not undefined, looking again at each `event`. */
export function at<Answer>(event: vscode.Event<unknown>, look: () => Answer | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const listener = event(() => {
      again();
    });
    const again = (): void => {
      try {
        const answer = look();
        if (answer !== undefined) {
          listener.dispose();
          resolve(answer);
        }
      } catch (error) {
        listener.dispose();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    again();
  });
}

/** Wait until the diagnostics of `uri` are as `fits` wants them, and return them. */
export function diagnosticsBecome(
  uri: vscode.Uri,
  fits: (found: readonly vscode.Diagnostic[]) => boolean,
): Promise<readonly vscode.Diagnostic[]> {
  return at(vscode.languages.onDidChangeDiagnostics, () => {
    const found = vscode.languages.getDiagnostics(uri);
    return fits(found) ? found : undefined;
  });
}

export function errorsBecome(uri: vscode.Uri, count: number): Promise<readonly vscode.Diagnostic[]> {
  return diagnosticsBecome(
    uri,
    (found) => found.filter(({ severity }) => severity === vscode.DiagnosticSeverity.Error).length === count,
  );
}

export function codeOf(diagnostic: vscode.Diagnostic): string {
  const { code } = diagnostic;
  return String(typeof code === 'object' ? code.value : (code ?? ''));
}

/** The codes of the server's findings. */
export function codesOf(uri: vscode.Uri): string[] {
  return vscode.languages
    .getDiagnostics(uri)
    .filter(({ source }) => source === 'goalmap')
    .map(codeOf);
}

/** The position of the first `needle`, or of its `offset`th character. */
export function place(document: vscode.TextDocument, needle: string, offset = 0): vscode.Position {
  const index = document.getText().indexOf(needle);
  assert.notEqual(index, -1, `${needle} is not in ${document.uri.path}`);
  return document.positionAt(index + offset);
}

/** Replace the first `needle` as a person would: unsaved. */
export async function replace(document: vscode.TextDocument, needle: string, text: string): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  const start = place(document, needle);
  edit.replace(document.uri, new vscode.Range(start, place(document, needle, needle.length)), text);
  assert.ok(await vscode.workspace.applyEdit(edit));
}
