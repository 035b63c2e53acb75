/** Keeps secrets out of every line that is logged, also where the protocol is traced with its contents. */

import { inspect } from 'node:util';

const MASK = '•••';

export class Redactor {
  private readonly secrets = new Set<string>();

  /** From now on `secret` is masked. Old ones stay masked: a request with one may still be on its way to the log. */
  add(secret: string): void {
    if (secret !== '') {
      this.secrets.add(secret);
    }
  }

  /** Return `text` with each secret masked, as it is and as it stands in JSON. */
  text(text: string): string {
    let masked = text;
    for (const secret of this.secrets) {
      masked = masked.replaceAll(secret, MASK).replaceAll(JSON.stringify(secret).slice(1, -1), MASK);
    }
    return masked;
  }

  /** Mask what a log call was given beside its message. */
  value(value: unknown): unknown {
    if (typeof value === 'string') {
      return this.text(value);
    }
    if (value instanceof Error) {
      return this.text(value.stack ?? value.message);
    }
    if (typeof value === 'object' && value !== null) {
      return this.text(inspect(value));
    }
    return value;
  }
}

/** The part of an output channel that writes. */
interface Writer {
  append(value: string): void;
  appendLine(value: string): void;
  replace(value: string): void;
  trace(message: string, ...args: unknown[]): void;
  debug(message: string, ...args: unknown[]): void;
  info(message: string, ...args: unknown[]): void;
  warn(message: string, ...args: unknown[]): void;
  error(error: string | Error, ...args: unknown[]): void;
}

const WRITES: ReadonlySet<string | symbol> = new Set<keyof Writer>([
  'append',
  'appendLine',
  'replace',
  'trace',
  'debug',
  'info',
  'warn',
  'error',
]);

/** Return `channel` with every write masked by `redactor`; all else goes straight through. */
export function redacted<Channel extends Writer>(channel: Channel, redactor: Redactor): Channel {
  return new Proxy(channel, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') {
        return member;
      }
      return (...args: unknown[]): unknown =>
        Reflect.apply(member, target, WRITES.has(name) ? args.map((arg) => redactor.value(arg)) : args);
    },
  });
}
