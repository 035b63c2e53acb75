/** The model's API key: kept by the editor's secret store, handed to the server in memory, written nowhere else. */
import * as vscode from 'vscode';
import { keyOrigin, keySlot } from './keySlot.ts';
import type { Redactor } from './redact.ts';

export interface StoredKey {
  readonly key: string;
  /** Empty for the default endpoint, whose address the server knows. */
  readonly origin: string;
}

export class ApiKey {
  constructor(
    private readonly secrets: vscode.SecretStorage,
    private readonly redactor: Redactor,
  ) {}

  /** Return the key for the endpoint that is set now and the origin that it belongs to, or null. */
  async current(): Promise<StoredKey | null> {
    const url = baseUrl();
    const slot = keySlot(url);
    const key = slot === undefined ? undefined : await this.secrets.get(slot);
    if (key === undefined) {
      return null;
    }
    this.redactor.add(key);
    return { key, origin: keyOrigin(url) };
  }

  /** Ask for the key and keep it; an empty answer forgets the one there was. */
  async ask(): Promise<void> {
    const url = baseUrl().trim();
    const slot = keySlot(url);
    if (slot === undefined) {
      void vscode.window.showErrorMessage(`goalmap.model.baseUrl is not an address: ${url}. Correct it first.`);
      return;
    }
    const endpoint = url === '' ? 'the default endpoint' : new URL(url).origin;
    const key = await vscode.window.showInputBox({
      title: 'Goalmap: API key',
      prompt: `Kept in the editor's secret store, for ${endpoint} alone. Leave it empty to forget the key.`,
      password: true,
      ignoreFocusOut: true,
    });
    if (key === undefined) {
      return;
    }
    const trimmed = key.trim();
    if (trimmed === '') {
      await this.secrets.delete(slot);
      void vscode.window.showInformationMessage(`The API key for ${endpoint} is forgotten.`);
    } else {
      this.redactor.add(trimmed);
      await this.secrets.store(slot, trimmed);
      void vscode.window.showInformationMessage(`The API key for ${endpoint} is kept in the editor's secret store.`);
    }
  }
}

function baseUrl(): string {
  return vscode.workspace.getConfiguration('goalmap.model').get<string>('baseUrl', '');
}
