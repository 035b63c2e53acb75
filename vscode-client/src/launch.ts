/** Which program is the server. */
import * as path from 'node:path';
import * as vscode from 'vscode';
import { ensureEnvironment } from './environment.ts';
import { findPython, fromPath, type Candidate } from './python.ts';
import { run } from './run.ts';
import { SetupError } from './setupError.ts';

const PROBE_TIMEOUT_MS = 15_000;

/** A program that runs Goalmap; `args` come before its subcommand. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** It came with the extension. */
  readonly bundled: boolean;
}

/** How the environment of the bundled server is made when somebody else than a start asks for it. */
export interface Setup {
  readonly extras: readonly string[];
  readonly report: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Return the program to run: the setting's, or the bundled server, whose environment is made where there is none.
 *
 * Without `setup` it has the extras of the settings, and a notification of its own shows what there is to wait for.
 */
export async function serverProgram(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  setup?: Setup,
): Promise<Program> {
  const settings = vscode.workspace.getConfiguration('goalmap.server');
  const [command, ...args] = settings.get<string[]>('command', []);
  if (command !== undefined && command !== '') {
    return { command, args, bundled: false };
  }
  if (setup !== undefined) {
    return { command: await bundledServer(context, settings, log, setup), args: [], bundled: true };
  }
  const abort = new AbortController();
  const progress = new SetupProgress(abort);
  const report = (message: string): void => {
    progress.show(message);
  };
  const extras = settings.get<string[]>('extras', []);
  try {
    const executable = await bundledServer(context, settings, log, { extras, report, signal: abort.signal });
    return { command: executable, args: [], bundled: true };
  } finally {
    progress.close();
  }
}

async function bundledServer(
  context: vscode.ExtensionContext,
  settings: vscode.WorkspaceConfiguration,
  log: vscode.LogOutputChannel,
  setup: Setup,
): Promise<string> {
  const wheel = context.asAbsolutePath(path.join('server', `goalmap-${extensionVersion(context)}-py3-none-any.whl`));
  try {
    return await ensureEnvironment({
      root: path.join(context.globalStorageUri.fsPath, 'python'),
      wheel,
      extras: setup.extras,
      signal: setup.signal,
      findPython: async () => {
        const python = await findPython(await candidates(settings), (program, probeArgs) =>
          run(program, probeArgs, { timeout_ms: PROBE_TIMEOUT_MS }),
        );
        log.info(`Python ${python.version.join('.')} at ${python.executable}`);
        return python.executable;
      },
      report: (message) => {
        log.info(`Python environment: ${message}`);
        setup.report(message);
      },
    });
  } catch (error) {
    if (error instanceof SetupError && error.details !== '') {
      log.error(error.details);
    }
    throw error;
  }
}

/** A notification that appears with the first thing there is to wait for: most starts have none. */
class SetupProgress {
  private report: ((message: string) => void) | undefined;
  private end: () => void = () => undefined;

  constructor(private readonly abort: AbortController) {}

  show(message: string): void {
    if (this.report === undefined) {
      void vscode.window.withProgress(
        { location: vscode.ProgressLocation.Notification, title: 'Goalmap sets up its server', cancellable: true },
        (progress, token) => {
          token.onCancellationRequested(() => {
            this.abort.abort();
          });
          this.report = (step) => {
            progress.report({ message: step });
          };
          return new Promise<void>((resolve) => {
            this.end = resolve;
          });
        },
      );
    }
    this.report?.(message);
  }

  close(): void {
    this.end();
  }
}

async function candidates(settings: vscode.WorkspaceConfiguration): Promise<Candidate[]> {
  const chosen = settings.get<string>('python', '').trim();
  if (chosen !== '') {
    return [{ program: chosen, origin: 'the setting goalmap.server.python' }];
  }
  const preferred = await pythonExtensionsChoice();
  return [...(preferred === undefined ? [] : [preferred]), ...fromPath(process.platform)];
}

/** The part of the Python extension's interface that is used here (its API.md, `environments`). */
interface PythonExtension {
  readonly environments: {
    getActiveEnvironmentPath(): { readonly path: string };
    resolveEnvironment(path: unknown): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
  };
}

async function pythonExtensionsChoice(): Promise<Candidate | undefined> {
  // Its choice may lie in the workspace: nothing of an untrusted one is run.
  const extension = vscode.extensions.getExtension<PythonExtension>('ms-python.python');
  if (extension === undefined || !vscode.workspace.isTrusted) {
    return undefined;
  }
  try {
    const api = await extension.activate();
    const environment = await api.environments.resolveEnvironment(api.environments.getActiveEnvironmentPath());
    const uri = environment?.executable.uri;
    return uri === undefined ? undefined : { program: uri.fsPath, origin: 'the Python extension' };
  } catch {
    return undefined;
  }
}

export function extensionVersion(context: vscode.ExtensionContext): string {
  return (context.extension.packageJSON as { version: string }).version;
}
