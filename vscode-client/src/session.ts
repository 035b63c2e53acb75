/** The language server's life: start, guarded restart, stop. */
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  type ClientCapabilities,
  type LanguageClientOptions,
  type ServerCapabilities,
  type StaticFeature,
} from 'vscode-languageclient/node';
import type { ApiKey } from './apiKey.ts';
import { answerQuestions } from './form.ts';
import { showGenerated } from './generated.ts';
import { mismatch } from './handshake.ts';
import { askInBox } from './inputBox.ts';
import { extensionVersion, serverProgram, type Program } from './launch.ts';
import { Progresses } from './progress.ts';
import * as protocol from './protocol.ts';
import { RestartGuard } from './restartGuard.ts';
import { cleanPython } from './run.ts';
import { SetupError } from './setupError.ts';
import type { ServerState } from './statusText.ts';

const SELECTOR = [
  { scheme: 'file', pattern: '**/goal_map.json' },
  { scheme: 'file', pattern: '**/components/**' },
];

export interface SessionEvents {
  stateChanged(state: ServerState): void;
  modelChanged(model: string | null): void;
  jobsChanged(count: number): void;
  promptChanged(mapUri: string): void;
}

export class Session {
  private client: LanguageClient | undefined;
  /** Starts and stops wait for one another, in the order in which they were asked for. */
  private queue: Promise<void> = Promise.resolve();
  /** Somebody has asked for a server, whether or not it came up. */
  private wanted = false;
  /** The server has answered since it was launched. */
  private cameUp = false;
  private readonly guard = new RestartGuard(() => performance.now());
  private readonly progresses: Progresses;

  constructor(
    private readonly context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly apiKey: ApiKey,
    private readonly events: SessionEvents,
  ) {
    this.progresses = new Progresses(
      () => this.client,
      (count) => {
        this.events.jobsChanged(count);
      },
    );
  }

  /** The client of a server that answers, or undefined. */
  get running(): LanguageClient | undefined {
    return this.client?.state === State.Running ? this.client : undefined;
  }

  /** Start the server, once: where that failed, the person was told, and says when to try again. */
  start(): Promise<void> {
    if (this.wanted) {
      return this.queue;
    }
    this.wanted = true;
    return this.enqueue(() => this.launch());
  }

  restart(): Promise<void> {
    this.wanted = true;
    return this.enqueue(async () => {
      this.guard.reset();
      await this.end();
      await this.launch();
    });
  }

  /** What the server is started with has changed. */
  async restartIfStarted(): Promise<void> {
    if (this.wanted) {
      await this.restart();
    }
  }

  stop(): Promise<void> {
    return this.enqueue(() => this.end());
  }

  /** Hand the key for the endpoint that is set now to the server. */
  async sendApiKey(): Promise<void> {
    const stored = await this.apiKey.current();
    await this.running?.sendNotification(protocol.setApiKey, stored ?? { key: null });
  }

  /** The model's address has changed: until the store has answered, the server must not use the key of the old one. */
  async changeEndpoint(): Promise<void> {
    void this.running?.sendNotification(protocol.setApiKey, { key: null });
    await this.sendApiKey();
  }

  private enqueue(action: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(action, action);
    return this.queue;
  }

  private async launch(): Promise<void> {
    this.events.stateChanged('preparing');
    try {
      const program = await serverProgram(this.context, this.log);
      this.log.info(`Starting ${[program.command, ...program.args].join(' ')} lsp --stdio`);
      this.events.stateChanged('starting');
      this.cameUp = false;
      const client = this.createClient(program);
      this.client = client;
      await client.start();
      this.checkVersion(client);
    } catch (error) {
      this.events.stateChanged('failed');
      this.log.error(error instanceof Error ? error : String(error));
      // It must not hold up whoever asked for the start: the message stays until it is answered.
      void this.explain(error);
    }
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.progresses.endAll();
    // A client that never came up, or whose server died, has nothing to shut down, and says so by throwing.
    await client?.dispose().catch(() => undefined);
    this.events.stateChanged('stopped');
  }

  private createClient(program: Program): LanguageClient {
    const client = new LanguageClient(
      'goalmap',
      'Goalmap',
      {
        command: program.command,
        args: [...program.args, 'lsp', '--stdio'],
        options: { cwd: this.context.extensionPath, env: cleanPython },
      },
      this.options(),
    );
    client.registerFeature(capabilities);
    client.onDidChangeState(({ newState }) => {
      this.events.stateChanged(
        newState === State.Running ? 'running' : newState === State.Starting ? 'starting' : 'stopped',
      );
      if (newState === State.Running) {
        this.cameUp = true;
        // Also after a restart that the guard allowed: the new process knows no key.
        void this.sendApiKey();
      } else {
        this.progresses.endAll();
      }
    });
    client.onNotification(protocol.generated, (event) => {
      showGenerated(client, event, () => {
        this.log.show(true);
      }).catch((error: unknown) => {
        this.log.error(`What was generated could not be shown: ${String(error)}`);
      });
    });
    client.onNotification(protocol.promptChanged, ({ uri }) => {
      this.events.promptChanged(uri);
    });
    client.onNotification(protocol.modelChanged, ({ model }) => {
      this.events.modelChanged(model);
    });
    return client;
  }

  private options(): LanguageClientOptions {
    return {
      documentSelector: SELECTOR,
      outputChannel: this.log,
      traceOutputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      // VS Code's own JSON service reports syntax errors and duplicate keys.
      initializationOptions: { jsonService: true, trusted: vscode.workspace.isTrusted },
      // The server takes settings that are pushed as well as ones it asks for: pushing needs no registration.
      // eslint-disable-next-line @typescript-eslint/no-deprecated
      synchronize: { configurationSection: 'goalmap' },
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => this.closed(),
      },
      initializationFailedHandler: () => false,
      middleware: {
        // VS Code's JSON service outlines a map already: a second outline would list every goal twice.
        provideDocumentSymbols: (document, token, next) =>
          document.languageId.startsWith('json') ? [] : next(document, token),
        handleWorkDoneProgress: this.progresses.handle,
        executeCommand: async (command, args, next) => {
          const client = this.running;
          if (client === undefined || !protocol.interactiveCommands.has(command)) {
            return next(command, args) as unknown;
          }
          const answered = await answerQuestions(
            { command, arguments: args as unknown[] },
            {
              resolve: (asked) => client.sendRequest(protocol.commandResolve, asked),
              ask: (question) => askInBox('Goalmap', question),
              leftEmpty: () =>
                void vscode.window.showWarningMessage('Nothing was generated: the description was left empty.'),
            },
          );
          return answered === undefined
            ? undefined
            : (next(answered.command, [...(answered.arguments ?? [])]) as unknown);
        },
      },
    };
  }

  private closed(): { action: CloseAction; handled: boolean; message: string } {
    // A server that never answered will not do so the next time either; whoever waits for the start is told.
    if (!this.cameUp) {
      return { action: CloseAction.DoNotRestart, handled: true, message: 'The language server ended at once.' };
    }
    if (this.guard.mayRestart()) {
      return { action: CloseAction.Restart, handled: true, message: 'The language server ended; it is started again.' };
    }
    this.events.stateChanged('failed');
    void this.offer("Goalmap's language server ended five times in three minutes and is not started again.");
    return { action: CloseAction.DoNotRestart, handled: true, message: 'The language server keeps ending.' };
  }

  private checkVersion(client: LanguageClient): void {
    const problem = mismatch(extensionVersion(this.context), client.initializeResult?.serverInfo);
    if (problem !== undefined) {
      this.log.warn(problem);
      void vscode.window.showWarningMessage(problem, 'Open Settings').then((answer) => {
        if (answer !== undefined) {
          void openSettings();
        }
      });
    }
  }

  private async explain(error: unknown): Promise<void> {
    if (error instanceof SetupError) {
      await this.offer(error.message, error.problem === 'no-python' || error.problem === 'too-old');
    } else {
      await this.offer("Goalmap's language server could not be started. The log says why.");
    }
  }

  private async offer(message: string, settings = false): Promise<void> {
    const answers = [...(settings ? ['Open Settings'] : []), 'Restart', 'Show Log'];
    const answer = await vscode.window.showErrorMessage(message, ...answers);
    if (answer === 'Restart') {
      await this.restart();
    } else if (answer === 'Show Log') {
      this.log.show(true);
    } else if (answer === 'Open Settings') {
      await openSettings();
    }
  }
}

async function openSettings(): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.openSettings', 'goalmap.server');
}

/** What this client can do beyond the protocol. */
const capabilities: StaticFeature = {
  getState: () => ({ kind: 'static' }),
  initialize: () => undefined,
  clear: () => undefined,
  fillClientCapabilities: (declared: ClientCapabilities) => {
    declared.experimental = {
      ...(declared.experimental as object | undefined),
      interactiveResolve: { inputTypes: ['string'] },
      goalmap: { reloadsCleanFiles: true, showsGenerated: true, livePrompt: true, commands: protocol.clientCommands },
    };
    delete declared.workspace?.textDocumentContent;
  },
  preInitialize: (offered: ServerCapabilities) => {
    // The preview is this extension's own: it knows where each stretch came from, which a plain document does not.
    // Left in, the library would register a second provider of the same documents.
    delete offered.workspace?.textDocumentContent;
  },
};
