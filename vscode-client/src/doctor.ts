/** Shows what a person who helps would ask for first. */
import * as vscode from 'vscode';
import { extensionVersion, serverProgram } from './launch.ts';
import { run } from './run.ts';

const DOCTOR_TIMEOUT_MS = 60_000;

/** Open a document with the facts of the editor's side and the report of `goalmap doctor`; no secret is in it. */
export async function showDoctor(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  facts: { readonly server: string; readonly hasApiKey: boolean },
): Promise<void> {
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
  const document = await vscode.workspace.openTextDocument({ content: `${lines.join('\n')}\n`, language: 'plaintext' });
  await vscode.window.showTextDocument(document, { preview: true });
}
