/**
 * Shows what the server is doing.
 *
 * vscode-languageclient puts every progress into the status bar, where nothing can be cancelled. What can be cancelled
 * is shown in a notification instead, with its Cancel button; the rest stays where the library puts it.
 */
import * as vscode from 'vscode';
import {
  WorkDoneProgressCancelNotification,
  type LanguageClient,
  type ProgressToken,
  type WorkDoneProgressBegin,
  type WorkDoneProgressEnd,
  type WorkDoneProgressReport,
} from 'vscode-languageclient/node';

type Step = WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd;
type Next = (token: ProgressToken, step: Step) => void;

interface Shown {
  report(step: WorkDoneProgressBegin | WorkDoneProgressReport): void;
  end(): void;
}

export class Progresses {
  private readonly shown = new Map<ProgressToken, Shown>();

  constructor(
    private readonly client: () => LanguageClient | undefined,
    private readonly countChanged: (count: number) => void,
  ) {}

  /** The middleware `handleWorkDoneProgress`. */
  readonly handle = (token: ProgressToken, step: Step, next: Next): void => {
    if (step.kind === 'begin' && step.cancellable === true) {
      this.shown.set(token, this.show(token, step.title));
      this.countChanged(this.shown.size);
    }
    const shown = this.shown.get(token);
    if (shown === undefined) {
      next(token, step);
      return;
    }
    if (step.kind === 'end') {
      this.remove(token);
      next(token, step); // The library frees what it keeps for this token.
    } else {
      shown.report(step);
    }
  };

  /** The server is gone: nothing that it had begun will end by itself. */
  endAll(): void {
    for (const token of [...this.shown.keys()]) {
      this.remove(token);
    }
  }

  private remove(token: ProgressToken): void {
    this.shown.get(token)?.end();
    this.shown.delete(token);
    this.countChanged(this.shown.size);
  }

  private show(token: ProgressToken, title: string): Shown {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    let progress: vscode.Progress<{ message?: string; increment?: number }> | undefined;
    let reported = 0;
    void vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      (shownProgress, cancellation) => {
        progress = shownProgress;
        cancellation.onCancellationRequested(() => {
          void this.client()?.sendNotification(WorkDoneProgressCancelNotification.type, { token });
        });
        return ended;
      },
    );
    return {
      report: ({ message, percentage }) => {
        const increment = percentage === undefined ? 0 : Math.max(0, percentage - reported);
        reported += increment;
        progress?.report({ ...(message === undefined ? {} : { message }), ...(increment > 0 ? { increment } : {}) });
      },
      end,
    };
  }
}
