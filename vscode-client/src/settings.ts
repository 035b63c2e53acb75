/** Opens the settings editor on settings of Goalmap. */
import * as vscode from 'vscode';

/** Show the settings of Goalmap whose names begin with `prefix`, where they can be changed. */
export async function openSettings(prefix: string): Promise<void> {
  // The User tab of a remote window hides the settings of a machine, which name a model and a program: a tab of the
  // remote machine has them.
  const command =
    vscode.env.remoteName === undefined ? 'workbench.action.openSettings' : 'workbench.action.openRemoteSettings';
  await vscode.commands.executeCommand(command, { query: `@ext:goalmap.goalmap ${prefix}` });
}
