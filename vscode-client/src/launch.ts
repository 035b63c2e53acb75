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

/** Return the program to run: the setting's, or the bundled server, whose environment is made where there is none. */
export async function serverProgram(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<Program> {
  const settings = vscode.workspace.getConfiguration('goalmap.server');
  const [command, ...args] = settings.get<string[]>('command', []);
  if (command !== undefined && command !== '') {
    return { command, args, bundled: false };
  }
  const executable = await bundledServer(context, settings, log);
  return { command: executable, args: [], bundled: true };
}

async function bundledServer(
  context: vscode.ExtensionContext,
  settings: vscode.WorkspaceConfiguration,
  log: vscode.LogOutputChannel,
): Promise<string> {
  const abort = new AbortController();
  const wheel = context.asAbsolutePath(path.join('server', `goalmap-${extensionVersion(context)}-py3-none-any.whl`));
  const progress = new SetupProgress(abort);
  try {
    return await ensureEnvironment({
      root: path.join(context.globalStorageUri.fsPath, 'python'),
      wheel,
      extras: settings.get<string[]>('extras', []),
      signal: abort.signal,
      findPython: async () => {
        const python = await findPython(await candidates(settings), (program, probeArgs) =>
          run(program, probeArgs, { timeout_ms: PROBE_TIMEOUT_MS }),
        );
        log.info(`Python ${python.version.join('.')} at ${python.executable}`);
        return python.executable;
      },
      report: (message) => {
        log.info(`Python environment: ${message}`);
        progress.show(message);
      },
    });
  } catch (error) {
    if (error instanceof SetupError && error.details !== '') {
      log.error(error.details);
    }
    throw error;
  } finally {
    progress.close();
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
