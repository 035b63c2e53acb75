/** Finds a Python that is new enough. */
import type { Finished } from './run.ts';
import { SetupError } from './setupError.ts';

export const MINIMUM: readonly [number, number] = [3, 11];

export interface Candidate {
  readonly program: string;
  readonly args?: readonly string[];
  /** Where it was found, for people. */
  readonly origin: string;
}

export interface Python {
  readonly executable: string;
  readonly version: readonly [number, number, number];
}

export type Probe = (program: string, args: readonly string[]) => Promise<Finished>;

// -I: neither the current folder nor the user's variables may change what this runs.
const QUESTION = ['-I', '-c', 'import json, sys; print(json.dumps([sys.executable, *sys.version_info[:3]]))'] as const;

/** Return what the PATH may offer, the best first. */
export function fromPath(platform: NodeJS.Platform): Candidate[] {
  const origin = 'PATH';
  if (platform === 'win32') {
    return [
      { program: 'py', args: ['-3'], origin },
      { program: 'python', origin },
      { program: 'python3', origin },
    ];
  }
  return ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3', 'python'].map((program) => ({
    program,
    origin,
  }));
}

/** Return the first of `candidates` that runs and is new enough; a SetupError tells what was met instead. */
export async function findPython(candidates: readonly Candidate[], probe: Probe): Promise<Python> {
  const tooOld: string[] = [];
  for (const candidate of candidates) {
    const python = answer(await probe(candidate.program, [...(candidate.args ?? []), ...QUESTION]));
    if (python === undefined) {
      continue;
    }
    if (isNewEnough(python.version)) {
      return python;
    }
    tooOld.push(`${python.executable} (${python.version.join('.')}, from ${candidate.origin})`);
  }
  const needed = MINIMUM.join('.');
  if (tooOld.length > 0) {
    throw new SetupError(
      'too-old',
      `Goalmap needs Python ${needed} or newer, and found only ${tooOld.join(', ')}. ` +
        'Install a newer Python, or name one in the setting goalmap.server.python; then restart the language server.',
    );
  }
  // One alone is what the person chose: of itself the PATH offers several.
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) {
    throw new SetupError(
      'no-python',
      `Goalmap needs Python ${needed} or newer, and ${only.program}, from ${only.origin}, does not run as one. ` +
        'Correct the setting, or empty it to use what the PATH offers.',
    );
  }
  const looked = [...new Set(candidates.map((candidate) => `${candidate.program} (${candidate.origin})`))].join(', ');
  throw new SetupError(
    'no-python',
    `Goalmap needs Python ${needed} or newer, and found none. ` +
      'Install Python, or name one in the setting goalmap.server.python; then restart the language server.',
    `Looked for: ${looked}`,
  );
}

function answer(finished: Finished): Python | undefined {
  if (finished.exitCode !== 0) {
    return undefined;
  }
  try {
    const parsed: unknown = JSON.parse(finished.stdout);
    if (!Array.isArray(parsed)) {
      return undefined;
    }
    const [executable, major, minor, patch] = parsed as unknown[];
    return typeof executable === 'string' &&
      executable !== '' &&
      typeof major === 'number' &&
      typeof minor === 'number' &&
      typeof patch === 'number'
      ? { executable, version: [major, minor, patch] }
      : undefined;
  } catch {
    return undefined;
  }
}

function isNewEnough([major, minor]: readonly [number, number, number]): boolean {
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);
}
