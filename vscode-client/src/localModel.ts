/** Installs the small model that runs on this machine: its runtime, its weights, and a server that uses them. */
import * as vscode from 'vscode';
import { serverProgram } from './launch.ts';
import type { ModelReport } from './protocol.ts';
import { run } from './run.ts';
import { saidBy } from './saidBy.ts';
import type { Session } from './session.ts';
import { openSettings } from './settings.ts';
import { SetupError } from './setupError.ts';

/** The optional part of the server that runs a model on this machine. */
const EXTRA = 'local';
const MODEL_SETTINGS = 'Model Settings';

export class LocalModel {
  private installing: Promise<void> | undefined;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly session: Session,
  ) {}

  /** Install what is missing, restart the server, and say how it ended. A second call waits for the first. */
  install(): Promise<void> {
    this.installing ??= this.installOnce().finally(() => {
      this.installing = undefined;
    });
    return this.installing;
  }

  private async installOnce(): Promise<void> {
    const abort = new AbortController();
    try {
      const report = await vscode.window.withProgress(
        { location: vscode.ProgressLocation.Notification, title: 'Installing the local model', cancellable: true },
        (progress, token) => {
          token.onCancellationRequested(() => {
            abort.abort();
          });
          return this.steps((message) => {
            progress.report({ message });
          }, abort.signal);
        },
      );
      // The messages stay until they are answered: whoever asks for the installation again is not to wait for that.
      void this.sayHowItEnded(report);
    } catch (error) {
      if (abort.signal.aborted) {
        void vscode.window.showInformationMessage('The local model was not installed. Everything is as it was.');
      } else {
        void this.explain(error instanceof Error ? error.message : String(error));
      }
    }
  }

  private async explain(problem: string): Promise<void> {
    this.log.error(problem);
    const message = `The local model could not be installed. ${problem}`;
    const answer = await vscode.window.showErrorMessage(message, 'Try Again', 'Show Log');
    if (answer === 'Try Again') {
      await this.install();
    } else if (answer === 'Show Log') {
      this.log.show(true);
    }
  }

  /** Runtime first, weights second, settings last: whatever fails on the way, the server runs on as it was. */
  private async steps(report: (message: string) => void, signal: AbortSignal): Promise<ModelReport | undefined> {
    const settings = vscode.workspace.getConfiguration('goalmap.server');
    const extras = settings.get<string[]>('extras', []);
    const wanted = extras.includes(EXTRA) ? extras : [...extras, EXTRA];
    report('looking at what is there');
    const program = await serverProgram(this.context, this.log, { extras: wanted, report, signal });
    const finished = await run(program.command, [...program.args, 'model', 'install'], {
      signal,
      // As Ctrl-C does: what it has begun to download goes with it.
      killSignal: 'SIGINT',
      onErrorLine: (line) => {
        this.log.info(`Local model: ${line}`);
        report(line);
      },
    });
    if (finished.exitCode !== 0) {
      throw new Error(saidBy('model install', finished));
    }
    report('restarting the language server');
    if (program.bundled && wanted !== extras) {
      await settings.update('extras', wanted, targetOf(settings));
      // The change of the setting restarts the server as well: whichever comes first does it.
      await this.session.settingsChanged();
    } else {
      await this.session.restart();
    }
    const model = await this.session.model();
    if (model?.problem != null && !program.bundled) {
      throw new SetupError(
        'install-failed',
        `The weights are there, but the program in goalmap.server.command cannot use them: ${model.problem} ` +
          'Do so where that program is installed, or empty the setting to use the server that came with the extension.',
      );
    }
    if (model?.problem != null) {
      throw new SetupError('install-failed', model.problem);
    }
    return model;
  }

  private async sayHowItEnded(report: ModelReport | undefined): Promise<void> {
    if (report === undefined) {
      return; // The server did not come up, and said why.
    }
    const model = report.model ?? '';
    if (report.isLocal) {
      void vscode.window.showInformationMessage(`Ready: ${model} drafts what is missing.`);
      return;
    }
    const answer = await vscode.window.showInformationMessage(
      `Ready: the local model is installed. It is used when no endpoint is set; now ${model} writes.`,
      MODEL_SETTINGS,
    );
    if (answer === MODEL_SETTINGS) {
      await openSettings('goalmap.model');
    }
  }
}

/** The scope in which the extras are set already, or that of this machine. */
function targetOf(settings: vscode.WorkspaceConfiguration): vscode.ConfigurationTarget {
  return settings.inspect('extras')?.workspaceValue === undefined
    ? vscode.ConfigurationTarget.Global
    : vscode.ConfigurationTarget.Workspace;
}
