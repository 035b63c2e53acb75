/** What was answered before: a generation that failed or was cancelled is asked for again with the same words. */
import type { FormField, InteractiveCommand } from './protocol.ts';

interface Kept {
  /** What the server proposed then: once it proposes something else, that is newer. */
  readonly proposal: string | undefined;
  readonly answer: string;
}

export class Descriptions {
  private readonly kept = new Map<string, Kept>();

  /** Keep the answer to `field` of `command`. */
  keep(command: InteractiveCommand, field: FormField, answer: string): void {
    const key = keyOf(command, field);
    if (key !== undefined && answer.trim() !== '') {
      // Beside an error the server proposes what it has refused.
      const proposal = field.error === undefined ? field.default : this.kept.get(key)?.proposal;
      this.kept.set(key, { proposal, answer });
    }
  }

  /** Return the last answer to `field` of `command`, or undefined where there is none that still counts. */
  of(command: InteractiveCommand, field: FormField): string | undefined {
    const key = keyOf(command, field);
    const kept = key === undefined ? undefined : this.kept.get(key);
    return kept?.proposal === field.default ? kept?.answer : undefined;
  }
}

/** Return the place that a question is about: `description` is of the command's one, `description.3` of its fourth. */
function keyOf(command: InteractiveCommand, field: FormField): string | undefined {
  const argument = command.arguments?.[0];
  if (!isObject(argument)) {
    return undefined;
  }
  const number = /^description(?:\.(\d+))?$/.exec(field.id)?.[1];
  const components = Array.isArray(argument.components) ? (argument.components as unknown[]) : [];
  const place = number === undefined ? argument : components[Number(number)];
  return isObject(place)
    ? JSON.stringify([argument.uri, place.goal, place.slot, place.index ?? null, place.file])
    : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
