/** Shows what a person who helps would ask for first. */
import * as vscode from 'vscode';
import { extensionVersion, serverProgram } from './launch.ts';
import { run } from './run.ts';

const DOCTOR_TIMEOUT_MS = 60_000;
const SCHEME = 'goalmap-doctor';
const REPORT = vscode.Uri.from({ scheme: SCHEME, path: '/Goalmap Doctor.txt' });

/** Shows the report in a document that is nobody's file: there is nothing to save when it is closed. */
export class Doctor implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly registration = vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  private report = '';
  readonly onDidChange = this.changed.event;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  /** Look at everything anew, and show it. */
  async show(facts: Facts): Promise<void> {
    this.report = await reportOn(this.context, this.log, facts);
    this.changed.fire(REPORT);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(REPORT), { preview: true });
  }

  provideTextDocumentContent(): string {
    return this.report;
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }
}

/** What the extension knows by itself. */
export interface Facts {
  readonly server: string;
  readonly hasApiKey: boolean;
}

/** Return the facts of the editor's side and the report of `goalmap doctor`; no secret is in it. */
async function reportOn(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, facts: Facts): Promise<string> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const lines = [
    `Goalmap for VS Code ${extensionVersion(context)}`,
    `VS Code ${vscode.version} on ${process.platform} ${process.arch}`,
    `workspace trusted: ${vscode.workspace.isTrusted ? 'yes' : 'no (no text is generated)'}`,
    `language server: ${facts.server}`,
    `API key in the secret store for this endpoint: ${facts.hasApiKey ? 'yes' : 'no'}`,
  ];
  try {
    const program = await serverProgram(context, log);
    lines.push(`program: ${[program.command, ...program.args].join(' ')}${program.bundled ? ' (bundled)' : ''}`, '');
    const finished = await run(program.command, [...program.args, 'doctor'], {
      timeout_ms: DOCTOR_TIMEOUT_MS,
      ...(folder === undefined ? {} : { cwd: folder }),
    });
    lines.push(`${finished.stdout}${finished.stderr}`.trimEnd());
    if (finished.exitCode !== 0) {
      lines.push(`(exit code ${String(finished.exitCode)})`);
    }
  } catch (error) {
    lines.push('', error instanceof Error ? error.message : String(error));
  }
  return `${lines.join('\n')}\n`;
}
