/** The server's environment, built by the real Python and pip of this machine from a small wheel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ensureEnvironment, programIn, pythonIn, type EnvironmentRequest } from '../../src/environment.ts';
import { findPython, fromPath, type Probe } from '../../src/python.ts';
import { pythonEnvironment, run, type Finished } from '../../src/run.ts';
import { SetupError } from '../../src/setupError.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'goalmap-environment-'));

const MAKE_WHEEL = `
import sys, zipfile
out, requires = sys.argv[1], sys.argv[2:]
info = "goalmap-0.1.0.dist-info/"
files = {
    "goalmap_probe.py": "import sys\\ndef main():\\n    print('prefix', sys.prefix)\\n",
    info + "METADATA": "Metadata-Version: 2.1\\nName: goalmap\\nVersion: 0.1.0\\nProvides-Extra: tokens\\n"
        + "".join(f"Requires-Dist: {name}\\n" for name in requires),
    info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    info + "entry_points.txt": "[console_scripts]\\ngoalmap = goalmap_probe:main\\n",
}
files[info + "RECORD"] = "".join(f"{name},,\\n" for name in files) + info + "RECORD,,\\n"
with zipfile.ZipFile(out, "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
`;

function makeWheel(folder: string, ...requires: string[]): string {
  const place = path.join(scratch, folder);
  fs.mkdirSync(place, { recursive: true });
  const wheel = path.join(place, 'goalmap-0.1.0-py3-none-any.whl');
  execFileSync('python3', ['-c', MAKE_WHEEL, wheel, ...requires]);
  return wheel;
}

let python = '';

function request(name: string, wheel: string, change: Partial<EnvironmentRequest> = {}): EnvironmentRequest {
  return {
    root: path.join(scratch, name, 'with space'),
    wheel,
    extras: [],
    findPython: () => Promise.resolve(python),
    report: () => undefined,
    signal: new AbortController().signal,
    ...change,
  };
}

before(async () => {
  python = (await findPython(fromPath(process.platform), (program, args) => run(program, args))).executable;
});
after(() => {
  fs.rmSync(scratch, { recursive: true, force: true });
});

void suite('environment', () => {
  void test('is built once, in its own folder, and used again', async () => {
    let built = 0;
    const first = request('once', makeWheel('plain'), {
      findPython: () => {
        built += 1;
        return Promise.resolve(python);
      },
    });
    const program = await ensureEnvironment(first);
    const { stdout } = await run(program, []);
    assert.equal(stdout.trim(), `prefix ${path.dirname(path.dirname(program))}`);
    assert.equal(await ensureEnvironment(first), program);
    assert.equal(built, 1);
  });

  void test('two windows build one environment', async () => {
    let built = 0;
    const both = request('two windows', makeWheel('plain'), {
      findPython: () => {
        built += 1;
        return Promise.resolve(python);
      },
    });
    const programs = await Promise.all([ensureEnvironment(both), ensureEnvironment(both)]);
    assert.equal(programs[0], programs[1]);
    assert.equal(built, 1);
    assert.deepEqual(
      fs.readdirSync(both.root).filter((name) => name.endsWith('.lock')),
      [],
    );
  });

  void test('what a dead window left half built is built again', async () => {
    const half = request('half built', makeWheel('plain'));
    const program = await ensureEnvironment(half);
    const place = path.dirname(path.dirname(program));
    fs.rmSync(`${place}.ready`);
    fs.rmSync(program);
    const gone = Number(execFileSync('python3', ['-c', 'import os; print(os.getpid())'], { encoding: 'utf8' }));
    fs.writeFileSync(`${place}.lock`, String(gone));
    assert.equal(await ensureEnvironment(half), program);
    assert.equal((await run(program, [])).exitCode, 0);
  });

  void test('another wheel gets another environment, and long unused ones go', async () => {
    const old = request('change', makeWheel('plain'));
    const oldPlace = path.dirname(path.dirname(await ensureEnvironment(old)));
    fs.utimesSync(`${oldPlace}.ready`, new Date(0), new Date(0));
    const program = await ensureEnvironment({ ...old, extras: ['tokens'] });
    assert.notEqual(path.dirname(path.dirname(program)), oldPlace);
    assert.equal(fs.existsSync(oldPlace), false);
  });

  void test('without a network the message says so', async () => {
    process.env.PIP_INDEX_URL = 'http://127.0.0.1:9/simple';
    try {
      await assert.rejects(ensureEnvironment(request('offline', makeWheel('needy', 'goalmap-needs-this'))), (error) => {
        assert.ok(error instanceof SetupError);
        assert.equal(error.problem, 'no-network');
        assert.match(error.message, /network.*goalmap\.server\.command/s);
        assert.notEqual(error.details, '');
        return true;
      });
    } finally {
      delete process.env.PIP_INDEX_URL;
    }
  });

  void test('a Python that cannot make environments is named with the package to install', async () => {
    const broken = request('no venv', makeWheel('plain'), { findPython: () => Promise.resolve('/bin/false') });
    await assert.rejects(ensureEnvironment(broken), { problem: 'no-venv', message: /apt install python3-venv/ });
  });

  void test('cancelling leaves nothing that looks finished', async () => {
    const abort = new AbortController();
    const cancelled = request('cancelled', makeWheel('plain'), {
      signal: abort.signal,
      report: () => {
        abort.abort();
      },
    });
    await assert.rejects(ensureEnvironment(cancelled), { problem: 'cancelled' });
    assert.deepEqual(
      fs.readdirSync(cancelled.root).filter((name) => name.endsWith('.ready') || name.endsWith('.lock')),
      [],
    );
  });

  void test('an extension without its wheel says what to do', async () => {
    await assert.rejects(ensureEnvironment(request('none', path.join(scratch, 'none.whl'))), { problem: 'no-server' });
  });

  void test('on Windows the programs stand elsewhere, on macOS where they do on Linux', () => {
    assert.match(programIn('env', 'win32'), /Scripts.goalmap\.exe$/);
    assert.match(pythonIn('env', 'win32'), /Scripts.python\.exe$/);
    assert.match(programIn('env', 'darwin'), /bin.goalmap$/);
    assert.match(pythonIn('env', 'darwin'), /bin.python$/);
  });
});

void suite('finding Python', () => {
  const says = (...versions: readonly (string | undefined)[]): Probe => {
    const answers = [...versions];
    return (program): Promise<Finished> => {
      const version = answers.shift();
      return Promise.resolve(
        version === undefined
          ? { exitCode: null, stdout: '', stderr: 'ENOENT' }
          : { exitCode: 0, stdout: JSON.stringify([`/bin/${program}`, ...version.split('.').map(Number)]), stderr: '' },
      );
    };
  };
  const candidates = ['a', 'b', 'c'].map((program) => ({ program, origin: 'PATH' }));

  void test('the first that is new enough is taken', async () => {
    assert.deepEqual(await findPython(candidates, says('3.9.2', undefined, '3.11.0')), {
      executable: '/bin/c',
      version: [3, 11, 0],
    });
    assert.equal((await findPython(candidates, says('4.0.0'))).executable, '/bin/a');
  });

  void test('on Windows the launcher is asked first, elsewhere the newest that has its version in its name', () => {
    const names = (platform: NodeJS.Platform): string[] =>
      fromPath(platform).map(({ program, args }) => [program, ...(args ?? [])].join(' '));
    assert.deepEqual(names('win32'), ['py -3', 'python', 'python3']);
    assert.deepEqual(names('darwin'), ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3', 'python']);
    assert.deepEqual(names('linux'), names('darwin'));
  });

  void test('only old ones: they are named', async () => {
    await assert.rejects(findPython(candidates, says('2.7.18', undefined, '3.10.12')), {
      problem: 'too-old',
      message: /3\.11 or newer.*\/bin\/a \(2\.7\.18, from PATH\), \/bin\/c \(3\.10\.12/,
    });
  });

  void test('none at all: the setting is the next step', async () => {
    await assert.rejects(findPython(candidates, says()), { problem: 'no-python', message: /goalmap\.server\.python/ });
  });

  void test('the one that was chosen does not run: it is named', async () => {
    const chosen = [{ program: '/nowhere/python', origin: 'the setting goalmap.server.python' }];
    await assert.rejects(findPython(chosen, says()), {
      problem: 'no-python',
      message: /\/nowhere\/python, from the setting goalmap\.server\.python,.*Correct the setting, or empty it/,
    });
  });

  void test('what does not answer like Python is no Python', async () => {
    const odd: Probe = () => Promise.resolve({ exitCode: 0, stdout: 'Python was not found', stderr: '' });
    await assert.rejects(findPython(candidates, odd), { problem: 'no-python' });
  });
});

void suite('the environment of a Python program', () => {
  void test('is that of the editor without what misleads Python, whatever the case of a name on Windows', () => {
    const editors = {
      Path: 'C:\\bin',
      SystemRoot: 'C:\\Windows',
      HTTPS_PROXY: 'http://proxy',
      PythonPath: 'C:\\other',
    };
    const { PythonPath: other, ...kept } = editors;
    assert.deepEqual(pythonEnvironment(editors, 'win32'), { ...kept, PYTHONUTF8: '1' });
    assert.deepEqual(pythonEnvironment(editors, 'linux'), { ...kept, PythonPath: other, PYTHONUTF8: '1' });
  });
});
