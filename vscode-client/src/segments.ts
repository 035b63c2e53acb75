/** From a place in an assembled prompt to the component that it came from. */
import type { Segment } from './protocol.ts';

/** Zero-based line, and character in UTF-16 code units. */
export interface Place {
  readonly line: number;
  readonly character: number;
}

const LINE_BREAK = /\r\n|\r|\n/g;

/**
 * Return the offset of a place in `text`, in UTF-16 code units.
 *
 * An editor gives every line of a document the same ending, so that its own offsets are not those of the prompt.
 */
export function offsetAt(text: string, place: Place): number {
  let start = 0;
  let line = 0;
  for (const lineBreak of text.matchAll(LINE_BREAK)) {
    if (line === place.line) {
      return Math.min(start + place.character, lineBreak.index);
    }
    start = lineBreak.index + lineBreak[0].length;
    line += 1;
  }
  return line < place.line ? text.length : Math.min(start + place.character, text.length);
}

/** Return the place of an offset in `text`: the inverse of `offsetAt`. */
export function placeAt(text: string, offset_utf16: number): Place {
  const lines = text.slice(0, offset_utf16).split(LINE_BREAK);
  return { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 };
}

/** Whether an editor that was given `text` may show it as `shown`. */
export function isShownAs(text: string, shown: string): boolean {
  return text === shown || text.replace(LINE_BREAK, '\n') === shown.replace(LINE_BREAK, '\n');
}

export interface Origin extends Place {
  readonly uri: string;
}

/** Return where the character at `offset_utf16` of `text` came from, or undefined for headings and the text between. */
export function originOf(text: string, segments: readonly Segment[], offset_utf16: number): Origin | undefined {
  // A cursor behind the last character of a stretch still belongs to it, unless the next one begins right there.
  const segment =
    segments.find((one) => one.start <= offset_utf16 && offset_utf16 < one.end) ??
    segments.find((one) => offset_utf16 === one.end);
  if (segment === undefined) {
    return undefined;
  }
  const { line, character } = placeAt(text.slice(segment.start), offset_utf16 - segment.start);
  return { uri: segment.uri, line: segment.targetLine + line, character };
}
