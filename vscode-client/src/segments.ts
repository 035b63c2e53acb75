/** From a place in an assembled prompt to the component that it came from. */
import type { Segment } from './protocol.ts';

export interface Origin {
  readonly uri: string;
  /** Zero-based. */
  readonly line: number;
  /** In UTF-16 code units. */
  readonly character: number;
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
  const lines = text.slice(segment.start, offset_utf16).split(/\r\n|\r|\n/);
  return {
    uri: segment.uri,
    line: segment.targetLine + lines.length - 1,
    character: lines.at(-1)?.length ?? 0,
  };
}
