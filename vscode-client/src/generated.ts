/** What happens in the editor when a generation has ended, and how it is taken back. */
import * as vscode from 'vscode';
import { ExecuteCommandRequest, type LanguageClient } from 'vscode-languageclient/node';
import { model, undoCommand, type Generated } from './protocol.ts';

const UNDO = 'Undo';
const SAVE = 'Save the Map';
const SHOW_LOG = 'Show Log';
const INSTALL = 'Install the Local Model';
const SETTINGS = 'Model Settings';
const COMMANDS: Readonly<Record<string, string>> = {
  [SHOW_LOG]: 'goalmap.showLog',
  [INSTALL]: 'goalmap.installLocalModel',
  [SETTINGS]: 'goalmap.openModelSettings',
};
const SHORTLY_MS = 5000;

/** What was generated in this window, however long ago its message went away. */
export class Generations {
  /** What can be undone, the newest last. */
  private undoable: Generated[] = [];

  async show(client: LanguageClient, event: Generated): Promise<void> {
    if (event.undoable) {
      this.undoable.push(event);
    }
    if (event.outcome === 'cancelled' && !event.undoable) {
      vscode.window.setStatusBarMessage(event.message, SHORTLY_MS);
      return;
    }
    const map = client.protocol2CodeConverter.asUri(event.mapUri);
    if (event.componentUri !== undefined && event.componentUri !== null) {
      await openBeside(client.protocol2CodeConverter.asUri(event.componentUri), map);
    }
    const answer = await this.say(client, event);
    if (answer === UNDO) {
      await this.undo(client, event);
    } else if (answer === SAVE) {
      await vscode.workspace.textDocuments.find((document) => document.uri.toString() === map.toString())?.save();
    } else if (answer !== undefined) {
      await vscode.commands.executeCommand(COMMANDS[answer] ?? '');
    }
  }

  /** Undo what was generated last in this window; where that is nothing, in the library of the active editor. */
  async undoLast(client: LanguageClient): Promise<void> {
    const newest = this.undoable.at(-1);
    if (newest !== undefined) {
      await this.undo(client, newest);
      return;
    }
    const document = vscode.window.activeTextEditor?.document.uri;
    if (document?.scheme !== 'file' || !/\/goal_map\.json$|\/components\//.test(document.path)) {
      void vscode.window.showInformationMessage(
        'Nothing was generated in this window. Open the goal_map.json of the library, then undo its last generation.',
      );
      return;
    }
    await client.sendRequest(ExecuteCommandRequest.type, {
      command: undoCommand,
      arguments: [{ uri: client.code2ProtocolConverter.asUri(document) }],
    });
  }

  /** The message of `event`, with what can be done about it; returns the button that was pushed. */
  private async say(client: LanguageClient, event: Generated): Promise<string | undefined> {
    const undo = event.undoable ? [UNDO] : [];
    switch (event.outcome) {
      case 'committed':
      case 'cancelled':
        return vscode.window.showInformationMessage(event.message, ...undo);
      case 'pending-save':
        return vscode.window.showInformationMessage(event.message, SAVE, ...undo);
      case 'conflict':
        return vscode.window.showWarningMessage(event.message, ...undo, SHOW_LOG);
      case 'failed': {
        const { problem } = await client.sendRequest(model, {});
        if (problem === null || !event.message.includes(problem)) {
          return vscode.window.showErrorMessage(event.message, ...undo, SHOW_LOG);
        }
        // The server's words are for those who install it in a terminal. A file of one's own that cannot be used is
        // another matter than none.
        const isOwn = (process.env.GOALMAP_LOCAL_GGUF ?? '').trim() !== '';
        const message = isOwn ? event.message : 'Nothing was generated: no model is set up.';
        return vscode.window.showErrorMessage(message, INSTALL, SETTINGS);
      }
    }
  }

  private async undo(client: LanguageClient, event: Generated): Promise<void> {
    const undone: unknown = await client.sendRequest(ExecuteCommandRequest.type, {
      command: undoCommand,
      arguments: [{ uri: event.mapUri, job: event.job }],
    });
    // One that could not be undone stays the last: the server has said what stands in its way.
    if (undone === true) {
      this.undoable = this.undoable.filter(({ job }) => job !== event.job);
    }
    if (event.componentUri !== undefined && event.componentUri !== null) {
      await closeIfGone(client.protocol2CodeConverter.asUri(event.componentUri));
    }
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

/** Show `component` beside `map`; whoever types goes on typing where they are. */
async function openBeside(component: vscode.Uri, map: vscode.Uri): Promise<void> {
  // Not openTextDocument: a document that an extension has opened stays open for minutes after its tab is closed, and
  // what is deleted meanwhile would still count.
  await vscode.commands.executeCommand('vscode.open', component, {
    viewColumn: columnBeside(map),
    preserveFocus: true,
    preview: false,
  });
}

function columnBeside(map: vscode.Uri): vscode.ViewColumn {
  const column = vscode.window.visibleTextEditors.find((editor) => editor.document.uri.toString() === map.toString())
    ?.viewColumn as number | undefined;
  const active: number = vscode.window.tabGroups.activeTabGroup.viewColumn;
  // A column that is named becomes the active one, and what is typed or saved next would go there: only Beside does not.
  return column === undefined || active === column + 1 ? vscode.ViewColumn.Active : vscode.ViewColumn.Beside;
}
