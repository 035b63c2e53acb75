/** The assembled prompt of a goal as a read-only document that follows map and components. */
import * as vscode from 'vscode';
import type { LanguageClient } from 'vscode-languageclient/node';
import * as protocol from './protocol.ts';
import { isShownAs, offsetAt, originOf, placeAt } from './segments.ts';

export const SCHEME = 'goalmap-prompt';
const SELECTOR: vscode.DocumentSelector = { scheme: SCHEME };

export interface Source {
  /** The map's address as the server writes it. */
  readonly uri: string;
  readonly goal: protocol.GoalPath;
}

export class Preview
  implements vscode.TextDocumentContentProvider, vscode.DefinitionProvider, vscode.CodeLensProvider, vscode.Disposable
{
  private readonly contentChanged = new vscode.EventEmitter<vscode.Uri>();
  private readonly lensesChanged = new vscode.EventEmitter<void>();
  private readonly prompts = new Map<string, protocol.Prompt>();
  private readonly registrations: vscode.Disposable;
  readonly onDidChange = this.contentChanged.event;
  readonly onDidChangeCodeLenses = this.lensesChanged.event;

  constructor(private readonly client: () => LanguageClient | undefined) {
    this.registrations = vscode.Disposable.from(
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.languages.registerDefinitionProvider(SELECTOR, this),
      vscode.languages.registerCodeLensProvider(SELECTOR, this),
      // Lenses are placed in the text that is shown, which follows the answer by a moment.
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (document.uri.scheme === SCHEME) {
          this.lensesChanged.fire();
        }
      }),
      vscode.workspace.onDidCloseTextDocument((document) => {
        // A document that is given another language is "closed" and opened again, and is still there.
        if (!vscode.workspace.textDocuments.includes(document)) {
          this.prompts.delete(document.uri.toString());
        }
      }),
    );
  }

  async open(source: Source): Promise<void> {
    const document = await vscode.workspace.openTextDocument(uriOf(source));
    await vscode.languages.setTextDocumentLanguage(document, 'markdown');
    await vscode.window.showTextDocument(document, {
      viewColumn: vscode.ViewColumn.Beside,
      preserveFocus: true,
      preview: false,
    });
  }

  /** The map at `mapUri`, or one of its components, has changed. Undefined: any may have. */
  refresh(mapUri?: string): void {
    for (const document of vscode.workspace.textDocuments) {
      if (document.uri.scheme !== SCHEME) {
        continue;
      }
      if (mapUri === undefined || sameFile(sourceOf(document.uri).uri, mapUri)) {
        this.contentChanged.fire(document.uri);
      }
    }
  }

  async provideTextDocumentContent(uri: vscode.Uri, token: vscode.CancellationToken): Promise<string> {
    const client = this.client();
    if (client === undefined) {
      return 'The language server does not run. This text appears when it does.\n';
    }
    const source = sourceOf(uri);
    const prompt = await client.sendRequest(protocol.prompt, source, token);
    if (prompt === null) {
      this.prompts.delete(uri.toString());
      return `There is no goal ${source.goal.join('/')} in the map any more.\n`;
    }
    this.prompts.set(uri.toString(), prompt);
    return prompt.text;
  }

  provideDefinition(document: vscode.TextDocument, position: vscode.Position): vscode.LocationLink[] {
    const prompt = this.promptIn(document);
    const origin = prompt && originOf(prompt.text, prompt.segments, offsetAt(prompt.text, position));
    if (origin === undefined) {
      return [];
    }
    return [
      {
        originSelectionRange: document.lineAt(position).range,
        targetUri: vscode.Uri.parse(origin.uri, true),
        targetRange: new vscode.Range(origin.line, origin.character, origin.line, origin.character),
      },
    ];
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    // Not only those of the very text that is shown: without lenses for a moment, the lines would jump at each letter.
    const prompt = this.prompts.get(document.uri.toString());
    return (prompt?.segments ?? []).map((segment) => {
      const { line, character } = placeAt(prompt?.text ?? '', segment.start);
      const start = new vscode.Position(line, character);
      const target = vscode.Uri.parse(segment.uri, true);
      return new vscode.CodeLens(new vscode.Range(start, start), {
        title: `$(go-to-file) ${vscode.workspace.asRelativePath(target)}`,
        command: 'vscode.open',
        arguments: [target],
      });
    });
  }

  dispose(): void {
    this.registrations.dispose();
    this.contentChanged.dispose();
    this.lensesChanged.dispose();
  }

  /** The offsets are those of a text: undefined while the document shows another one. */
  private promptIn(document: vscode.TextDocument): protocol.Prompt | undefined {
    const prompt = this.prompts.get(document.uri.toString());
    return prompt !== undefined && isShownAs(prompt.text, document.getText()) ? prompt : undefined;
  }
}

function uriOf(source: Source): vscode.Uri {
  const name = source.goal.at(-1) ?? 'prompt';
  return vscode.Uri.from({
    scheme: SCHEME,
    path: `/${name.replaceAll('/', '∕')} (prompt)`,
    query: JSON.stringify(source),
  });
}

function sourceOf(uri: vscode.Uri): Source {
  return JSON.parse(uri.query) as Source;
}

function sameFile(left: string, right: string): boolean {
  return left === right || vscode.Uri.parse(left, true).toString() === vscode.Uri.parse(right, true).toString();
}
