/** The dialogue of `command/resolve`: ask until the server has no more questions. No editor in here, so that it can be tested. */
import type { FormAnswer, FormField, InteractiveCommand } from './protocol.ts';

/** What an answer is wrong with, or undefined where it is accepted. */
export type Validate = (value: string, isStale: () => boolean) => Promise<string | undefined>;

export interface Question {
  readonly field: FormField;
  /** What stands in the box at first: the last answer, or the server's proposal. */
  readonly value: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly validate: Validate;
}

export interface Dialogue {
  resolve(command: InteractiveCommand): Promise<InteractiveCommand>;
  /** The answer, or undefined where the person turned away. */
  ask(question: Question): Promise<string | undefined>;
  /** The answer that was given to this question before, if any. */
  earlier(command: InteractiveCommand, field: FormField): string | undefined;
  /** The question is answered. */
  answered(command: InteractiveCommand, field: FormField, answer: string): void;
  /** A required question was answered with nothing: say that nothing happens. */
  leftEmpty(field: FormField): void;
}

/** Return `command` with its answers folded in by the server, or undefined where the person gave none. */
export async function answerQuestions(
  command: InteractiveCommand,
  dialogue: Dialogue,
): Promise<InteractiveCommand | undefined> {
  let current = await dialogue.resolve({ command: command.command, arguments: command.arguments ?? [] });
  let answers: FormAnswer[] = [];
  while (current.formFields !== undefined && current.formFields.length > 0) {
    const asked = current;
    const fields = current.formFields;
    const earlier = answers;
    answers = [];
    for (const [index, field] of fields.entries()) {
      const given = answers;
      const value = await dialogue.ask({
        field,
        value:
          earlier.find((answer) => answer.id === field.id)?.value ??
          dialogue.earlier(asked, field) ??
          field.default ??
          '',
        step: index + 1,
        totalSteps: fields.length,
        validate: (candidate, isStale) => refusal(asked, given, { id: field.id, value: candidate }, dialogue, isStale),
      });
      if (value === undefined) {
        return undefined;
      }
      if (field.required === true && value.trim() === '') {
        dialogue.leftEmpty(field);
        return undefined;
      }
      dialogue.answered(asked, field, value);
      answers = [...answers, { id: field.id, value }];
    }
    current = await dialogue.resolve({
      command: asked.command,
      arguments: asked.arguments ?? [],
      formAnswers: answers,
    });
  }
  return current;
}

async function refusal(
  asked: InteractiveCommand,
  given: readonly FormAnswer[],
  answer: FormAnswer,
  dialogue: Dialogue,
  isStale: () => boolean,
): Promise<string | undefined> {
  // A blank box is no mistake yet, and Enter in it is the way to abort: the server need not be asked.
  if (answer.value.trim() === '' || isStale()) {
    return undefined;
  }
  const judged = await dialogue.resolve({
    command: asked.command,
    arguments: asked.arguments ?? [],
    formAnswers: [...given, answer],
  });
  // Later questions are unanswered and may carry errors of their own: only this one's count now.
  return judged.formFields?.find((field) => field.id === answer.id)?.error;
}
