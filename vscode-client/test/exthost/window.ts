/** What a person sees and does that VS Code's API has no word for; `windowServer.ts` does it in the page. */
import * as vscode from 'vscode';
import { setting } from '../support/processes.ts';
import type { Action } from './windowServer.ts';

const STATUS = '.statusbar-item';
// A test host shows no toasts; the list has them all.
const NOTIFICATION = '.notifications-center .notification-list-item';
const BOX = '.quick-input-widget:visible';
const FIELD = `${BOX} .quick-input-box input`;

async function ask(action: Action): Promise<unknown> {
  const answer = await fetch(setting('GOALMAP_TEST_WINDOW'), { method: 'POST', body: JSON.stringify(action) });
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`${JSON.stringify(action)}: ${text}`);
  }
  return JSON.parse(text);
}

export async function statusItem(text: string): Promise<void> {
  await ask({ do: 'wait', selector: STATUS, text });
}

/** Wait until a screen reader would read the status item as `label`. */
export async function statusLabel(label: string): Promise<void> {
  const labelled = `[aria-label^="${label}"]`;
  await ask({ do: 'wait', selector: `${STATUS}${labelled}, ${STATUS} ${labelled}`, text: '' });
}

export async function notification(text: string): Promise<void> {
  await vscode.commands.executeCommand('notifications.showList');
  await ask({ do: 'wait', selector: NOTIFICATION, text });
}

/** Push `button` of the one notification there is. */
export async function pushButton(button: string): Promise<void> {
  await notification(button);
  await ask({ do: 'click', selector: `${NOTIFICATION} .monaco-button`, text: button });
}

/** Answer the input box, once it asks `question`. */
export async function answerBox(question: string, answer: string): Promise<void> {
  await ask({ do: 'wait', selector: BOX, text: question });
  await ask({ do: 'fill', selector: FIELD, text: answer });
  await ask({ do: 'press', keys: 'Enter', selector: FIELD });
}

/** Wait until the settings editor shows a setting that is called `title`. */
export async function settingShown(title: string): Promise<void> {
  await ask({ do: 'wait', selector: '.settings-editor .setting-item-title', text: title });
}

/** Answer the input box with what it holds, once it asks `question`. */
export async function acceptBox(question: string): Promise<void> {
  await ask({ do: 'wait', selector: BOX, text: question });
  await ask({ do: 'press', keys: 'Enter', selector: FIELD });
}

/** The entries that the command palette shows for `filter`, once the first of them is there. */
export async function paletteEntries(filter: string): Promise<string[]> {
  await ask({ do: 'press', keys: 'F1' });
  await ask({ do: 'fill', selector: FIELD, text: `>${filter}` });
  await ask({ do: 'wait', selector: `${BOX} .monaco-list-row`, text: filter });
  const rows = await ask({ do: 'texts', selector: `${BOX} .monaco-list-row .quick-input-list-label` });
  await ask({ do: 'press', keys: 'Escape' });
  return rows as string[];
}

/** Rename what is under the cursor, as with F2. */
export async function renameAtCursor(name: string): Promise<void> {
  const box = '.rename-box input';
  const done = vscode.commands.executeCommand('editor.action.rename');
  await ask({ do: 'fill', selector: box, text: name });
  await ask({ do: 'press', keys: 'Enter', selector: box });
  await done;
}
