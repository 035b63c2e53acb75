/** The libraries that the session works in. */
import * as fs from 'node:fs';
import * as path from 'node:path';

const PERSONA = `You are a digital detective. You treat every defect as a case: you collect traces,
question the obvious suspect last, and close the case only when the evidence
explains every symptom.
`;
const EVIDENCE = `- Quote the log line, the test or the source line that each claim rests on.
- Say "unknown" where there is no evidence yet.
`;
const REVIEW = `1. Read the change once from top to bottom before writing a single comment.
2. Name the risk of each finding and the smallest change that removes it.
3. Praise what the next author should copy.
`;

export const DEBUG_MAP = `{
  "Technical": {
    "DEBUG": {
      "title": "Debug a failing program",
      "description": "Find the cause of a defect and prove it.",
      "persona": "digital_detective.txt",
      "protocol": "root_cause_drill.txt",
      "constraints": ["cite_evidence.txt", "no_guessing.txt"]
    },
    "REVIEW": {
      "description": "Review a change so that its author learns from it.",
      "persona": "digital_detective.txt",
      "protocol": "review_steps.txt"
    }
  }
}
`;
export const WRITING_MAP = `{
  "SUMMARIZE": {
    "description": "Shorten a text without losing its claims.",
    "persona": "patient_editor.txt"
  }
}
`;

export class Library {
  constructor(
    readonly root: string,
    map: string,
    components: Readonly<Record<string, string>>,
  ) {
    for (const [name, text] of Object.entries(components)) {
      this.write(path.join('components', name), text);
    }
    this.write('goal_map.json', map);
  }

  get map(): string {
    return path.join(this.root, 'goal_map.json');
  }

  read(name: string): string | undefined {
    try {
      return fs.readFileSync(path.join(this.root, name), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** The map on disk, or '' in the moment between VS Code's truncating and its writing. */
  readMap(): string {
    return this.read('goal_map.json') ?? '';
  }

  write(name: string, text: string): void {
    const place = path.join(this.root, name);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.writeFileSync(place, text);
  }

  components(folder: string): string[] {
    const place = path.join(this.root, 'components', folder);
    return fs.existsSync(place) ? fs.readdirSync(place).sort() : [];
  }
}

export function technicalLibrary(root: string): Library {
  return new Library(root, DEBUG_MAP, {
    'personas/digital_detective.txt': PERSONA,
    'protocols/review_steps.txt': REVIEW,
    'constraints/cite_evidence.txt': EVIDENCE,
  });
}

export function writingLibrary(root: string): Library {
  return new Library(root, WRITING_MAP, {
    'personas/old_hand.txt': 'You have edited newspapers for thirty years and cut without mercy.\n',
  });
}

/** What the scripted model writes: prose that no check of the server has a reason to refuse. */
export const DRILL = `1. Reproduce the failure with the smallest input that still shows it, and write the command down.
2. State what you expected, what you saw, and the first moment at which the two part.
3. List three causes that would explain the whole difference; give each a test that could refute it.
4. Run the cheapest test first. Strike out what it refutes, and keep the log of every step.
5. When one cause is left, change that one thing, watch the failure go away, then put it back and watch it return.
6. Explain how the defect got in, and which check would have caught it on the day it was written.
`;
export const EDITOR = `You are a patient editor who keeps an author's voice. You shorten sentences before you remove
them, you never add a claim that the source does not make, and you mark every doubt in the margin
instead of settling it by yourself.
`;
export const NO_GUESSING = `- Never present a hunch as a finding: label it a hypothesis and name the experiment that would test it.
- Do not propose a fix before the cause is shown by evidence that a colleague can repeat.
`;
