/** Is the server that answered one that this extension was made for? */

interface Identity {
  readonly name: string;
  readonly version?: string;
}

/**
 * Return what to tell the person, with the next step, or undefined where the two fit.
 *
 * Two versions fit when they have the same major number, and before 1.0 the same minor number (semver.org, item 4).
 */
export function mismatch(extensionVersion: string, server: Identity | undefined): string | undefined {
  if (server?.name !== 'goalmap') {
    return (
      "The program in goalmap.server.command is not Goalmap's language server" +
      (server === undefined ? '.' : ` (it calls itself "${server.name}").`) +
      ' Correct the setting, or empty it to use the server that came with the extension.'
    );
  }
  if (server.version === undefined) {
    return `The language server does not tell its version; this extension needs Goalmap ${line(extensionVersion)}. Upgrade it with: pip install --upgrade "goalmap==${extensionVersion}"`;
  }
  if (line(server.version) === line(extensionVersion)) {
    return undefined;
  }
  return isOlder(server.version, extensionVersion)
    ? `Goalmap ${server.version} runs, but this extension was made for ${extensionVersion}. Upgrade the server with: pip install --upgrade "goalmap==${extensionVersion}", or empty goalmap.server.command.`
    : `Goalmap ${server.version} runs, but this extension was made for ${extensionVersion}. Update the extension, or empty goalmap.server.command.`;
}

function numbers(version: string): number[] {
  return version.split(/[.+-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
}

/** The part of a version that must be equal. */
function line(version: string): string {
  const [major = 0, minor = 0] = numbers(version);
  return major > 0 ? String(major) : `0.${String(minor)}`;
}

function isOlder(version: string, than: string): boolean {
  const left = numbers(version);
  const right = numbers(than);
  const index = right.findIndex((part, position) => part !== left[position]);
  return index >= 0 && (left[index] ?? 0) < (right[index] ?? 0);
}
