/** Goalmap for VS Code: everything about libraries is the server's; this starts it and shows what it says. */
import * as vscode from 'vscode';
import type { Location, Position } from 'vscode-languageclient/node';
import { ApiKey } from './apiKey.ts';
import { Doctor } from './doctor.ts';
import { LocalModel } from './localModel.ts';
import { Preview, type Source } from './preview.ts';
import { redacted, Redactor } from './redact.ts';
import { Session } from './session.ts';
import { openSettings } from './settings.ts';
import { goalUnderCursor, StatusItem } from './status.ts';
import type { ServerState } from './statusText.ts';

const MAP = 'goal_map.json';

let session: Session | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const redactor = new Redactor();
  const channel = vscode.window.createOutputChannel('Goalmap', { log: true });
  const log = redacted(channel, redactor);
  const apiKey = new ApiKey(context.secrets, redactor);
  const client = (): Session['running'] => session?.running;
  const preview = new Preview(client);
  let status: StatusItem | undefined;
  let state: ServerState = 'stopped';

  const current = new Session(context, log, apiKey, {
    stateChanged: (newState) => {
      state = newState;
      status ??= new StatusItem(client);
      status.server = newState;
      preview.refresh();
    },
    modelChanged: (model) => {
      if (status !== undefined) {
        status.model = model;
      }
    },
    jobsChanged: (count) => {
      if (status !== undefined) {
        status.jobs = count;
      }
    },
    promptChanged: (mapUri) => {
      preview.refresh(mapUri);
      status?.cursorMoved();
    },
  });
  session = current;
  const doctor = new Doctor(context, log);
  const localModel = new LocalModel(context, log, current);

  const commands: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
    'goalmap.restart': () => current.restart(),
    'goalmap.showLog': () => {
      channel.show();
    },
    'goalmap.doctor': async () => doctor.show({ server: state, hasApiKey: (await apiKey.current()) !== null }),
    'goalmap.undoLastGeneration': () => current.undoLastGeneration(),
    'goalmap.installLocalModel': () => localModel.install(),
    'goalmap.openModelSettings': () => openSettings('goalmap.model'),
    'goalmap.setApiKey': () => apiKey.ask(),
    'goalmap.previewPrompt': (source) => previewPrompt(current, preview, source),
    'goalmap.showReferences': (uri, position, locations) => showReferences(current, uri, position, locations),
  };
  context.subscriptions.push(
    channel,
    preview,
    doctor,
    { dispose: () => status?.dispose() },
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
    // Both the key and the address that it belongs to may change, in this window or another one.
    context.secrets.onDidChange(() => void current.sendApiKey()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('goalmap.server')) {
        void current.settingsChanged();
      } else if (event.affectsConfiguration('goalmap.model.baseUrl')) {
        void current.changeEndpoint();
      }
    }),
    // The server learns of trust when it starts.
    vscode.workspace.onDidGrantWorkspaceTrust(() => void current.restartIfStarted()),
    vscode.workspace.onDidOpenTextDocument((document) => {
      if (isMap(document)) {
        void current.start();
      }
    }),
  );
  void startWhereThereIsALibrary(current);
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}

/** Any JSON file activates the extension; only a map starts a server. */
async function startWhereThereIsALibrary(current: Session): Promise<void> {
  const open = vscode.workspace.textDocuments.some(isMap);
  if (open || (await vscode.workspace.findFiles(`**/${MAP}`, undefined, 1)).length > 0) {
    await current.start();
  }
}

function isMap(document: vscode.TextDocument): boolean {
  return document.uri.scheme === 'file' && document.uri.path.endsWith(`/${MAP}`);
}

/** Preview the goal of a lens, or the one at the cursor. */
async function previewPrompt(current: Session, preview: Preview, source: unknown): Promise<void> {
  if (isSource(source)) {
    await preview.open(source);
    return;
  }
  const editor = vscode.window.activeTextEditor;
  const client = current.running;
  if (client === undefined) {
    void vscode.window.showWarningMessage('Goalmap does not run yet: see the status bar.');
    return;
  }
  const goal = editor === undefined ? undefined : await goalUnderCursor(client, editor);
  if (editor === undefined || goal === undefined) {
    void vscode.window.showInformationMessage(`Put the cursor into a goal of a ${MAP}, then preview its prompt.`);
    return;
  }
  await preview.open({ uri: client.code2ProtocolConverter.asUri(editor.document.uri), goal: goal.goal });
}

/** A lens tells its goal; a click in a menu tells the file. */
function isSource(value: unknown): value is Source {
  return typeof value === 'object' && value !== null && 'uri' in value && 'goal' in value && Array.isArray(value.goal);
}

/** The lens "used by" of a component: its arguments come in the protocol's types. */
async function showReferences(current: Session, uri: unknown, position: unknown, locations: unknown): Promise<void> {
  const convert = current.running?.protocol2CodeConverter;
  if (convert !== undefined) {
    await vscode.commands.executeCommand(
      'editor.action.showReferences',
      convert.asUri(uri as string),
      convert.asPosition(position as Position),
      (locations as Location[]).map((location) => convert.asLocation(location)),
    );
  }
}
