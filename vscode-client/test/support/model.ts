/** An endpoint that speaks OpenAI's protocol and says what the session told it to, at the session's pace. */
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Request {
  readonly authorization: string | undefined;
  readonly body: string;
  /** The client hung up before the answer was complete. */
  aborted: boolean;
}

/** The pace of a model: with all words at once there would be no progress to see. */
const WORD_MS = 15;

/** The answer stops after its first half until `release` is called, or the client hangs up. */
export class ScriptedModel {
  readonly requests: Request[] = [];
  private answer = '';
  private held: Promise<void> = Promise.resolve();
  private releaseHeld: () => void = () => undefined;
  private readonly server = http.createServer((request, response) => void this.serve(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}/v1`;
  }

  /** From now on answer with `text`; with `hold`, only half of it before `release`. */
  say(text: string, hold = false): void {
    this.answer = text;
    this.held = hold ? new Promise((resolve) => (this.releaseHeld = resolve)) : Promise.resolve();
  }

  release(): void {
    this.releaseHeld();
  }

  async close(): Promise<void> {
    this.release();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) {
      body += chunk as string;
    }
    if (request.url !== '/v1/chat/completions') {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error": {"message": "unknown path"}}');
      return;
    }
    const record: Request = { authorization: request.headers.authorization, body, aborted: false };
    this.requests.push(record);
    const gone = new Promise<void>((resolve) => {
      response.on('close', () => {
        record.aborted = !response.writableFinished;
        resolve();
      });
    });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const words = this.answer.split(/(?<=\s)/);
    const middle = Math.ceil(words.length / 2);
    for (const [index, word] of words.entries()) {
      if (index === middle) {
        await Promise.race([this.held, gone]);
      }
      if (response.destroyed) {
        return;
      }
      response.write(event({ content: word }, null));
      await new Promise((resolve) => setTimeout(resolve, WORD_MS));
    }
    response.write(event({}, 'stop'));
    response.end('data: [DONE]\n\n');
  }
}

function event(delta: object, finish_reason: string | null): string {
  const chunk = {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'scripted-model',
    choices: [{ index: 0, delta, finish_reason }],
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}
