import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Descriptions } from '../../src/descriptions.ts';
import { answerQuestions, type Dialogue, type Question } from '../../src/form.ts';
import type { FormField, InteractiveCommand } from '../../src/protocol.ts';

const field: FormField = {
  id: 'description',
  description: 'What should protocols/drill.txt say?',
  type: { kind: 'string' },
  required: true,
  default: 'root cause drill',
};

/** A server that accepts descriptions of at least five characters and folds them in. */
class Server implements Dialogue {
  readonly received: InteractiveCommand[] = [];
  readonly questions: Question[] = [];
  readonly emptied: FormField[] = [];

  constructor(
    private readonly person: (question: Question) => string | undefined | Promise<string | undefined>,
    private readonly fields: readonly FormField[] = [field],
    private readonly descriptions = new Descriptions(),
  ) {}

  resolve(command: InteractiveCommand): Promise<InteractiveCommand> {
    this.received.push(command);
    const answers = command.formAnswers ?? [];
    const judged = this.fields.map((one) => {
      const answer = answers.find(({ id }) => id === one.id);
      return (answer?.value ?? '').length >= 5 ? one : { ...one, error: answer ? 'Too short.' : 'Missing.' };
    });
    if (judged.every((one) => one.error === undefined)) {
      const [first] = (command.arguments ?? []) as [object];
      const folded = Object.fromEntries(answers.map(({ id, value }) => [id, value]));
      return Promise.resolve({ command: command.command, arguments: [{ ...first, ...folded }] });
    }
    return Promise.resolve({
      command: command.command,
      arguments: command.arguments ?? [],
      formFields: answers.length === 0 ? this.fields : judged,
    });
  }

  ask(question: Question): Promise<string | undefined> {
    this.questions.push(question);
    return Promise.resolve(this.person(question));
  }

  earlier(command: InteractiveCommand, one: FormField): string | undefined {
    return this.descriptions.of(command, one);
  }

  answered(command: InteractiveCommand, one: FormField, answer: string): void {
    this.descriptions.keep(command, one, answer);
  }

  leftEmpty(one: FormField): void {
    this.emptied.push(one);
  }
}

const asked: InteractiveCommand = { command: 'goalmap.generateComponent', arguments: [{ file: 'drill.txt' }] };
const never = (): boolean => false;

void test('the answer is folded into the arguments by the server', async () => {
  const server = new Server(() => 'Find the cause.');
  assert.deepEqual(await answerQuestions(asked, server), {
    command: 'goalmap.generateComponent',
    arguments: [{ file: 'drill.txt', description: 'Find the cause.' }],
  });
  assert.equal(server.questions[0]?.value, 'root cause drill');
});

void test('a command without questions is not asked about', async () => {
  const server = new Server(() => assert.fail('asked'), []);
  assert.deepEqual((await answerQuestions(asked, server))?.arguments, [{ file: 'drill.txt' }]);
});

void test('turning away changes nothing and says nothing', async () => {
  const server = new Server(() => undefined);
  assert.equal(await answerQuestions(asked, server), undefined);
  assert.equal(server.received.length, 1);
  assert.deepEqual(server.emptied, []);
});

void test('a required answer of white space aborts, and the person is told', async () => {
  const server = new Server(() => '  ');
  assert.equal(await answerQuestions(asked, server), undefined);
  assert.equal(server.received.length, 1);
  assert.deepEqual(server.emptied, [field]);
});

void test('a refused answer is asked for again, with the reason and what was typed', async () => {
  const answers = ['bug', 'Find the bug.'];
  const server = new Server(() => answers.shift());
  assert.deepEqual((await answerQuestions(asked, server))?.arguments, [
    { file: 'drill.txt', description: 'Find the bug.' },
  ]);
  assert.deepEqual(
    server.questions.map(({ field: { error }, value }) => [error, value]),
    [
      [undefined, 'root cause drill'],
      ['Too short.', 'bug'],
    ],
  );
});

void test('while it is typed, an answer is judged by the server', async () => {
  const server = new Server(async ({ validate }) => {
    assert.equal(await validate('bug', never), 'Too short.');
    assert.equal(await validate('', never), undefined);
    assert.equal(await validate('Find the bug.', never), undefined);
    return 'Find the bug.';
  });
  await answerQuestions(asked, server);
});

void test('what was typed over is not judged any more', async () => {
  const server = new Server(async ({ validate }) => {
    await validate('bug', () => true);
    assert.equal(server.received.length, 1);
    return undefined;
  });
  await answerQuestions(asked, server);
});

void test('several questions are asked one after the other, each judged alone', async () => {
  const second: FormField = { ...field, id: 'second', default: '' };
  const server = new Server(
    async ({ field: { id }, validate }) => {
      assert.equal(await validate('long enough', never), undefined);
      return `answer to ${id}`;
    },
    [field, second],
  );
  assert.deepEqual((await answerQuestions(asked, server))?.arguments, [
    { file: 'drill.txt', description: 'answer to description', second: 'answer to second' },
  ]);
  assert.deepEqual(
    server.questions.map(({ step, totalSteps }) => [step, totalSteps]),
    [
      [1, 2],
      [2, 2],
    ],
  );
});

void test('a question that is asked again holds its last answer, until the server proposes something else', async () => {
  const descriptions = new Descriptions();
  await answerQuestions(asked, new Server(() => 'Find the cause.', [field], descriptions));
  const values = async (command: InteractiveCommand, one: FormField): Promise<string | undefined> => {
    const server = new Server(() => undefined, [one], descriptions);
    await answerQuestions(command, server);
    return server.questions[0]?.value;
  };
  assert.equal(await values(asked, field), 'Find the cause.');
  assert.equal(await values(asked, { ...field, default: 'As the map says now.' }), 'As the map says now.');
  assert.equal(await values({ ...asked, arguments: [{ file: 'other.txt' }] }, field), field.default);
});

void test('a corrected answer replaces the one that was refused', async () => {
  const descriptions = new Descriptions();
  const given = ['abc', 'Find the cause.'];
  await answerQuestions(asked, new Server(() => given.shift(), [field], descriptions));
  assert.equal(descriptions.of(asked, field), 'Find the cause.');
});
