/** Asks one question in an input box and judges the answer while it is typed. */
import * as vscode from 'vscode';
import type { Question } from './form.ts';

const TYPING_PAUSE_MS = 120;

export function askInBox(title: string, question: Question): Promise<string | undefined> {
  const box = vscode.window.createInputBox();
  box.title = title;
  box.prompt = question.field.description;
  box.value = question.value;
  box.validationMessage = question.field.error;
  box.ignoreFocusOut = true; // People look at other files while they describe one.
  if (question.totalSteps > 1) {
    box.step = question.step;
    box.totalSteps = question.totalSteps;
  }
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let version = 0;
    const judge = async (): Promise<string | undefined> => {
      const mine = ++version;
      const error = await question.validate(box.value, () => mine !== version);
      if (mine === version) {
        box.validationMessage = error;
      }
      return error;
    };
    const finish = (value: string | undefined): void => {
      clearTimeout(timer);
      version += 1;
      resolve(value);
      box.dispose();
    };
    box.onDidChangeValue(() => {
      clearTimeout(timer);
      timer = setTimeout(() => void judge().catch(() => undefined), TYPING_PAUSE_MS);
    });
    box.onDidAccept(async () => {
      clearTimeout(timer);
      const value = box.value;
      box.busy = true;
      try {
        if ((await judge()) === undefined) {
          finish(value);
        }
      } catch {
        // The server will judge again, and say so in its own words, when the whole form is handed in.
        finish(value);
      } finally {
        box.busy = false;
      }
    });
    box.onDidHide(() => {
      finish(undefined);
    });
    box.show();
  });
}
