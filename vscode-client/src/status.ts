/** The status item, and the goal under the cursor. */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import * as protocol from './protocol.ts';
import { statusText, type ServerState, type Status } from './statusText.ts';

const CURSOR_PAUSE_MS = 150;

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('goalmap.status', vscode.StatusBarAlignment.Right, 100);
  private status: Status = { server: 'stopped', model: undefined, goal: undefined, jobs: 0 };
  private readonly listeners: vscode.Disposable[];
  private timer: NodeJS.Timeout | undefined;
  private asked = 0;

  constructor(private readonly client: () => LanguageClient | undefined) {
    this.item.name = 'Goalmap';
    this.item.command = { command: 'workbench.action.quickOpen', title: 'Goalmap', arguments: ['>Goalmap: '] };
    this.listeners = [
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
        if (textEditor === vscode.window.activeTextEditor) {
          this.cursorMoved();
        }
      }),
      vscode.window.onDidChangeActiveTextEditor(() => {
        this.cursorMoved();
      }),
    ];
    this.show();
  }

  set server(server: ServerState) {
    this.update({ server });
    this.cursorMoved();
  }

  set jobs(jobs: number) {
    this.update({ jobs });
  }

  set model(model: string | null) {
    this.update({ model });
  }

  /** Ask anew for the goal under the cursor when the cursor, or the text around it, has come to rest. */
  cursorMoved(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.askGoal(), CURSOR_PAUSE_MS);
  }

  dispose(): void {
    clearTimeout(this.timer);
    vscode.Disposable.from(this.item, ...this.listeners).dispose();
  }

  private async askGoal(): Promise<void> {
    const mine = ++this.asked;
    const editor = vscode.window.activeTextEditor;
    const goal = editor === undefined ? undefined : await goalUnderCursor(this.client(), editor).catch(() => undefined);
    if (mine === this.asked) {
      this.update({ goal });
    }
  }

  private update(change: Partial<Status>): void {
    this.status = { ...this.status, ...change };
    this.show();
  }

  private show(): void {
    const { text, tooltip, severity } = statusText(this.status);
    this.item.text = text;
    this.item.tooltip = new vscode.MarkdownString(tooltip.replace(/[\\`*_{}[\]<>()#+\-.!|]/g, '\\$&'));
    // A screen reader would read the escapes of the tooltip, and the names of the icons.
    this.item.accessibilityInformation = { label: `Goalmap. ${tooltip.replace(/\n+/g, ' ')}`, role: 'button' };
    this.item.backgroundColor =
      severity === 'none' ? undefined : new vscode.ThemeColor(`statusBarItem.${severity}Background`);
    this.item.show();
  }
}

/** Return the goal at the cursor of `editor`, or undefined where there is none, or no map. */
export async function goalUnderCursor(
  client: LanguageClient | undefined,
  editor: vscode.TextEditor,
): Promise<protocol.GoalAt | undefined> {
  if (client === undefined || !editor.document.uri.path.endsWith('/goal_map.json')) {
    return undefined;
  }
  const answer = await client.sendRequest(protocol.goalAt, {
    textDocument: client.code2ProtocolConverter.asTextDocumentIdentifier(editor.document),
    position: client.code2ProtocolConverter.asPosition(editor.selection.active),
  });
  return answer ?? undefined;
}
