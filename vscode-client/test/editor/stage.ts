/** What every scene of the session plays on: one VS Code, one model, one library. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Page } from 'playwright-core';
import { technicalLibrary, type Library } from '../support/library.ts';
import { ScriptedModel } from '../support/model.ts';
import { setting } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { Workbench, type TextEditor } from './workbench.ts';

export const MAP = 'goal_map.json';
export const KEY = 'sk-canary-4f1d-9a7c';
/** The name of the component that is generated for the goal DEBUG. */
export const GENERATED = 'autogen_protocol_for_debug.txt';

export class Stage {
  passed = 0;
  private readonly started_ms = performance.now();
  private lap_ms = this.started_ms;

  private constructor(
    readonly scratch: string,
    readonly technical: Library,
    readonly model: ScriptedModel,
    readonly bench: Workbench,
    private readonly pictures: string | undefined,
  ) {}

  static async set(): Promise<Stage> {
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'goalmap-libraries-'));
    const model = new ScriptedModel();
    const baseUrl = await model.listen();
    const bench = await Workbench.start({
      cache: setting('GOALMAP_E2E_CACHE'),
      vsix: setting('GOALMAP_VSIX'),
      viewport: { width: 1280, height: 600 },
      machineSettings: {
        'goalmap.model.baseUrl': baseUrl,
        'goalmap.model.name': 'scripted-model',
        'goalmap.server.python': '/nowhere/python', // until somebody corrects it
        'goalmap.model.timeoutSeconds': 900, // a scene may hold an answer back for as long as it waits for anything
      },
    });
    const technical = technicalLibrary(path.join(scratch, 'prompts'));
    return new Stage(scratch, technical, model, bench, process.env.GOALMAP_PICTURES);
  }

  get page(): Page {
    return this.bench.page;
  }

  get map(): TextEditor {
    return this.bench.editor(MAP);
  }

  get took_s(): string {
    return ((performance.now() - this.started_ms) / 1000).toFixed(1);
  }

  async step(name: string, body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      console.error(`not ok         ${name}`);
      throw error;
    }
    this.passed += 1;
    const now = performance.now();
    console.log(`ok ${String(Math.round(now - this.lap_ms)).padStart(6)} ms  ${name}`);
    this.lap_ms = now;
  }

  /** Keep a picture for the READMEs, where they are wanted. */
  async picture(name: string, top = false): Promise<void> {
    if (this.pictures !== undefined) {
      await this.bench.picture(path.join(this.pictures, `${name}.png`), top);
    }
  }

  /** Choose the quick fix `title` at `needle`, and answer its questions one after the other. */
  async generate(needle: string, title: string, ...descriptions: string[]): Promise<void> {
    await this.map.quickFixes(needle);
    await this.map.choose(title);
    await this.answer(...descriptions);
  }

  async answer(...descriptions: string[]): Promise<void> {
    const { quickInput, quickInputTitle } = this.bench;
    for (const [index, description] of descriptions.entries()) {
      const last = index === descriptions.length - 1;
      const counter = `(${String(index + 1)}/${String(descriptions.length)})`;
      const title = quickInputTitle.filter({ hasText: counter });
      await (descriptions.length > 1 ? title : quickInput).waitFor();
      await quickInput.fill(description);
      await this.page.keyboard.press('Enter');
      if (last) {
        await quickInput.waitFor({ state: 'hidden' });
      }
    }
  }

  async untilMap(library: Library, what: string, fits: (text: string) => boolean): Promise<void> {
    await until(`the map on disk: ${what}`, () => fits(library.readMap()));
  }

  /** Return when the model has been asked once more than `asked` times. */
  async untilAsked(asked: number): Promise<void> {
    await until('the model is asked', () => this.model.requests.length > asked);
  }

  async end(failed: boolean): Promise<void> {
    if (failed) {
      const evidence = setting('GOALMAP_EVIDENCE');
      await this.bench.keepEvidence(evidence);
      fs.cpSync(this.scratch, path.join(evidence, 'libraries'), { recursive: true });
      console.error(`Screenshot and logs are in ${evidence}`);
    }
    await this.bench.close();
    await this.model.close();
    fs.rmSync(this.scratch, { recursive: true, force: true });
  }
}
