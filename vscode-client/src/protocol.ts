/** The messages that Goalmap adds to the Language Server Protocol. Names and shapes are the server's contract. */
import { NotificationType, RequestType, type Position, type TextDocumentIdentifier } from 'vscode-languageclient/node';

/** A goal's path in its map, from the outermost category to the goal's own name. */
export type GoalPath = readonly string[];

export interface FormField {
  readonly id: string;
  readonly description: string;
  readonly type: { readonly kind: string };
  readonly required?: boolean;
  readonly default?: string;
  /** Why the last answer to this field was refused. */
  readonly error?: string;
}

export interface FormAnswer {
  readonly id: string;
  readonly value: string;
}

/** A command on its way from the editor to the server, before or after its questions are answered. */
export interface InteractiveCommand {
  readonly command: string;
  readonly arguments?: readonly unknown[];
  readonly formAnswers?: readonly FormAnswer[];
  readonly formFields?: readonly FormField[];
}

export interface Generated {
  readonly job: string;
  readonly outcome: 'committed' | 'pending-save' | 'cancelled' | 'failed' | 'conflict';
  readonly componentUri?: string | null;
  readonly mapUri: string;
  readonly message: string;
}

export interface GoalAt {
  readonly goal: GoalPath;
  readonly title: string;
  readonly tokens: number;
  /** The count is an estimate, not a tokenizer's. */
  readonly estimated: boolean;
}

/** The stretch `[start, end)` of an assembled prompt, in UTF-16 code units, that was taken from one component. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  readonly uri: string;
  /** Zero-based line of the component at which the stretch begins. */
  readonly targetLine: number;
}

export interface Prompt {
  readonly text: string;
  readonly tokens: number;
  readonly missing: readonly string[];
  readonly segments: readonly Segment[];
}

/** What the server will ask when it has to write a text. */
export interface ModelInUse {
  /** Name for people, such as `gpt-4o-mini` or `SmolLM2 on this machine`; null where none is set up. */
  readonly model: string | null;
}

export const commandResolve = new RequestType<InteractiveCommand, InteractiveCommand, void>('command/resolve');
export const goalAt = new RequestType<
  { readonly textDocument: TextDocumentIdentifier; readonly position: Position },
  GoalAt | null,
  void
>('goalmap/goalAt');
export const prompt = new RequestType<{ readonly uri: string; readonly goal: GoalPath }, Prompt | null, void>(
  'goalmap/prompt',
);
export const promptChanged = new NotificationType<{ readonly uri: string }>('goalmap/promptChanged');
export const generated = new NotificationType<Generated>('goalmap/generated');
/** The server sends the key to `origin` alone, whatever the settings say by then. */
export const setApiKey = new NotificationType<{ readonly key: string | null; readonly origin?: string }>(
  'goalmap/setApiKey',
);
export const modelChanged = new NotificationType<ModelInUse>('goalmap/modelChanged');

/** Commands of the server that ask something before they run. */
export const interactiveCommands: ReadonlySet<string> = new Set(['goalmap.generateComponent', 'goalmap.generateAll']);
export const undoCommand = 'goalmap.undo';

/** Commands of this client that the server may put behind its lenses and completions. */
export const clientCommands = [
  'goalmap.previewPrompt',
  'goalmap.showReferences',
  'editor.action.triggerSuggest',
] as const;
