/** What happens in the editor when a generation has ended. */
import * as vscode from 'vscode';
import { ExecuteCommandRequest, type LanguageClient } from 'vscode-languageclient/node';
import { undoCommand, type Generated } from './protocol.ts';

export async function showGenerated(client: LanguageClient, event: Generated, showLog: () => void): Promise<void> {
  if (event.outcome === 'cancelled') {
    vscode.window.setStatusBarMessage(event.message, 5000);
    return;
  }
  const map = client.protocol2CodeConverter.asUri(event.mapUri);
  if (event.componentUri !== undefined && event.componentUri !== null) {
    await openBeside(client.protocol2CodeConverter.asUri(event.componentUri), map);
  }
  switch (event.outcome) {
    case 'committed':
      if ((await vscode.window.showInformationMessage(event.message, 'Undo')) === 'Undo') {
        await undo(client, event);
      }
      return;
    case 'pending-save': {
      const answer = await vscode.window.showInformationMessage(event.message, 'Save the Map', 'Undo');
      if (answer === 'Save the Map') {
        await vscode.workspace.textDocuments.find((document) => document.uri.toString() === map.toString())?.save();
      } else if (answer === 'Undo') {
        await undo(client, event);
      }
      return;
    }
    case 'conflict':
      if ((await vscode.window.showWarningMessage(event.message, 'Show Log')) === 'Show Log') {
        showLog();
      }
      return;
    case 'failed':
      if ((await vscode.window.showErrorMessage(event.message, 'Show Log')) === 'Show Log') {
        showLog();
      }
  }
}

async function undo(client: LanguageClient, event: Generated): Promise<void> {
  await client.sendRequest(ExecuteCommandRequest.type, {
    command: undoCommand,
    arguments: [{ uri: event.mapUri, job: event.job }],
  });
  if (event.componentUri !== undefined && event.componentUri !== null) {
    await closeIfGone(client.protocol2CodeConverter.asUri(event.componentUri));
  }
}

/** A tab of a file that was taken back shows nothing; one that holds somebody's changes stays. */
async function closeIfGone(component: vscode.Uri): Promise<void> {
  const exists = await vscode.workspace.fs.stat(component).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const tabs = vscode.window.tabGroups.all
      .flatMap((group) => group.tabs)
      .filter(
        ({ input, isDirty }) =>
          !isDirty && input instanceof vscode.TabInputText && input.uri.toString() === component.toString(),
      );
    await vscode.window.tabGroups.close(tabs, true);
  }
}

/** Show `component` in the column beside the one that shows `map`; whoever types in the map goes on typing there. */
async function openBeside(component: vscode.Uri, map: vscode.Uri): Promise<void> {
  const document = await vscode.workspace.openTextDocument(component);
  const column = vscode.window.visibleTextEditors.find(
    (editor) => editor.document.uri.toString() === map.toString(),
  )?.viewColumn;
  await vscode.window.showTextDocument(document, {
    viewColumn: column === undefined ? vscode.ViewColumn.Active : column + 1, // eslint-disable-line @typescript-eslint/no-unsafe-enum-assignment -- columns count from one
    preserveFocus: true,
    preview: false,
  });
}
