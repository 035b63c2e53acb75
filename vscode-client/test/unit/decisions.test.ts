import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { mismatch } from '../../src/handshake.ts';
import { keyOrigin, keySlot } from '../../src/keySlot.ts';
import { redacted, Redactor } from '../../src/redact.ts';
import { RestartGuard } from '../../src/restartGuard.ts';
import { isShownAs, offsetAt, originOf, placeAt } from '../../src/segments.ts';
import { statusText } from '../../src/statusText.ts';

void suite('restart guard', () => {
  void test('four crashes in three minutes are forgiven, the fifth is not', () => {
    let now = 0;
    const guard = new RestartGuard(() => now);
    assert.deepEqual(
      [0, 40_000, 80_000, 120_000, 179_999].map((time) => {
        now = time;
        return guard.mayRestart();
      }),
      [true, true, true, true, false],
    );
  });

  void test('a crash every minute is always forgiven', () => {
    let now = 0;
    const guard = new RestartGuard(() => now);
    for (; now < 3_600_000; now += 60_000) {
      assert.equal(guard.mayRestart(), true);
    }
  });

  void test('a restart by hand starts the count anew', () => {
    const guard = new RestartGuard(() => 0);
    while (guard.mayRestart());
    guard.reset();
    assert.equal(guard.mayRestart(), true);
  });
});

void suite('handshake', () => {
  const server = (version: string): { name: string; version: string } => ({ name: 'goalmap', version });

  void test('before 1.0 the minor number counts, after it the major', () => {
    assert.equal(mismatch('0.1.0', server('0.1.7')), undefined);
    assert.equal(mismatch('1.2.0', server('1.9.3')), undefined);
    assert.equal(mismatch('0.1.0', server('0.1.0.dev3+gabc')), undefined);
  });

  void test('an older server is to be upgraded', () => {
    assert.match(
      mismatch('0.2.0', server('0.1.9')) ?? '',
      /Goalmap 0\.1\.9 .* pip install --upgrade "goalmap==0\.2\.0"/,
    );
  });

  void test('a newer server needs a newer extension', () => {
    assert.match(mismatch('0.2.0', server('1.0.0')) ?? '', /Update the extension/);
  });

  void test('another program is named for what it is', () => {
    assert.match(mismatch('0.1.0', { name: 'pylsp', version: '1.0' }) ?? '', /calls itself "pylsp"/);
    assert.match(mismatch('0.1.0', undefined) ?? '', /goalmap\.server\.command/);
  });

  void test('a server without a version is told to be upgraded', () => {
    assert.match(mismatch('0.1.0', { name: 'goalmap' }) ?? '', /pip install/);
  });
});

void suite('segments', () => {
  const text = '# Debug\n\n## PERSONA\n\n😀 one\r\ntwo\n\n## PROTOCOL\n\nthree';
  const persona = text.indexOf('😀');
  const segments = [
    { start: persona, end: text.indexOf('two') + 3, uri: 'file:///p.txt', targetLine: 4 },
    { start: text.indexOf('three'), end: text.length, uri: 'file:///q.txt', targetLine: 0 },
  ];

  void test('a character leads to its line in its component', () => {
    assert.deepEqual(originOf(text, segments, persona), { uri: 'file:///p.txt', line: 4, character: 0 });
    assert.deepEqual(originOf(text, segments, text.indexOf('two') + 1), {
      uri: 'file:///p.txt',
      line: 5,
      character: 1,
    });
  });

  void test('a heading leads nowhere', () => {
    assert.equal(originOf(text, segments, 3), undefined);
    assert.equal(originOf(text, segments, text.indexOf('## PROTOCOL') + 1), undefined);
  });

  void test('the end of a component still is that component', () => {
    assert.deepEqual(originOf(text, segments, text.length), { uri: 'file:///q.txt', line: 0, character: 5 });
  });

  void test('where one ends and the next begins, the next has it', () => {
    const close = [
      { start: 0, end: 3, uri: 'a', targetLine: 0 },
      { start: 3, end: 6, uri: 'b', targetLine: 0 },
    ];
    assert.equal(originOf('abcdef', close, 3)?.uri, 'b');
  });
});

void suite('places', () => {
  const text = 'a😀\r\nb\rc\n\nd';

  void test('every offset but those inside a line break is found again', () => {
    for (let offset = 0; offset <= text.length; offset += 1) {
      const place = placeAt(text, offset);
      assert.equal(offsetAt(text, place), text.slice(offset - 1, offset + 1) === '\r\n' ? offset + 1 : offset);
    }
  });

  void test('each kind of line break ends a line', () => {
    assert.deepEqual(placeAt(text, text.indexOf('d')), { line: 4, character: 0 });
    assert.equal(offsetAt(text, { line: 1, character: 0 }), text.indexOf('b'));
  });

  void test('a place past the end of a line is its end', () => {
    assert.equal(offsetAt(text, { line: 1, character: 99 }), text.indexOf('b') + 1);
    assert.equal(offsetAt(text, { line: 99, character: 0 }), text.length);
  });

  void test('an editor may show other line breaks, and nothing else', () => {
    assert.equal(isShownAs(text, 'a😀\nb\nc\n\nd'), true);
    assert.equal(isShownAs(text, 'a😀\nb\nc\nd'), false);
  });
});

void suite('secrets', () => {
  void test('a key is masked wherever it stands, as it is and in JSON', () => {
    const redactor = new Redactor();
    redactor.add('sk-"canary"\\1');
    const trace = `Params: ${JSON.stringify({ key: 'sk-"canary"\\1' })} and sk-"canary"\\1`;
    assert.equal(redactor.text(trace), 'Params: {"key":"•••"} and •••');
  });

  void test('every write of a channel is masked, and the rest of it works', () => {
    const written: string[] = [];
    const write = (...args: unknown[]): void => void written.push(args.map(String).join(' '));
    const channel = redactedChannel(write);
    channel.redactor.add('sk-canary');
    channel.log.info('with sk-canary', { nested: ['sk-canary'] });
    channel.log.error(new Error('sk-canary'));
    channel.log.append('sk-canary');
    assert.equal(channel.log.name, 'Goalmap');
    assert.equal(written.length, 3);
    assert.doesNotMatch(written.join('\n'), /canary/);
    assert.match(written[0] ?? '', /with •••.*nested.*•••/);
  });

  void test('an empty secret masks nothing', () => {
    const redactor = new Redactor();
    redactor.add('');
    assert.equal(redactor.text('abc'), 'abc');
  });

  void test('a key belongs to one origin', () => {
    assert.equal(keySlot(''), 'goalmap.apiKey');
    assert.equal(keySlot('https://API.example.com/v1'), 'goalmap.apiKey@https://api.example.com');
    assert.equal(keySlot('https://api.example.com:443/other'), keySlot('https://api.example.com/v1'));
    assert.notEqual(keySlot('http://api.example.com/v1'), keySlot('https://api.example.com/v1'));
    assert.notEqual(keySlot('https://api.example.com.evil.org/v1'), keySlot('https://api.example.com/v1'));
    assert.equal(keySlot('not an address'), undefined);
    assert.equal(keySlot('file:///etc/passwd'), undefined);
    assert.equal(keyOrigin(' '), '');
    assert.equal(keyOrigin('https://API.example.com:443/v1'), 'https://api.example.com');
  });
});

function redactedChannel(write: (...args: unknown[]) => void): {
  readonly redactor: Redactor;
  readonly log: ReturnType<typeof plainChannel>;
} {
  const redactor = new Redactor();
  return { redactor, log: redacted(plainChannel(write), redactor) };
}

function plainChannel(write: (...args: unknown[]) => void): {
  name: string;
} & Record<'append' | 'appendLine' | 'replace' | 'trace' | 'debug' | 'info' | 'warn' | 'error', typeof write> {
  return {
    name: 'Goalmap',
    append: write,
    appendLine: write,
    replace: write,
    trace: write,
    debug: write,
    info: write,
    warn: write,
    error: write,
  };
}

void suite('status item', () => {
  const goal = { goal: ['DEBUG'], title: 'DEBUG', tokens: 1812, estimated: true };
  const running = { server: 'running', model: 'gpt-4o-mini', goal, jobs: 0 } as const;

  void test('it shows the tokens of the goal under the cursor, and an estimate as one', () => {
    assert.equal(statusText(running).text, '$(list-tree) Goalmap: ≈ 1,812 tokens');
    assert.equal(
      statusText({ ...running, goal: { ...goal, tokens: 1, estimated: false } }).text,
      '$(list-tree) Goalmap: 1 token',
    );
    assert.match(statusText(running).tooltip, /Model: gpt-4o-mini[\s\S]*Prompt of DEBUG: ≈ 1,812 tokens/);
  });

  void test('while a text is written it spins', () => {
    assert.match(statusText({ ...running, jobs: 2 }).text, /loading~spin/);
    assert.match(statusText({ ...running, jobs: 2 }).tooltip, /2 components are being written/);
  });

  void test('a server that is down shows no tokens of old', () => {
    const { text, severity } = statusText({ ...running, server: 'failed' });
    assert.equal(text, '$(error) Goalmap');
    assert.equal(severity, 'error');
  });

  void test('a missing model is a warning with the next step', () => {
    const { tooltip, severity } = statusText({ ...running, model: null });
    assert.match(tooltip, /goalmap\.model/);
    assert.equal(severity, 'warning');
  });
});
