// Build the server's wheel and the extension, and pack both into goalmap-<version>.vsix.
// usage: node scripts/package.mjs [OUT.vsix]   environment: PYTHON, a Python that has the module `build`
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const here = path.resolve(import.meta.dirname, '..');
const repository = path.resolve(here, '..');
const { version } = JSON.parse(readFileSync(path.join(here, 'package.json'), 'utf8'));
const out = path.resolve(process.argv[2] ?? path.join(here, `goalmap-${version}.vsix`));

function must(program, ...args) {
  const { status, error } = spawnSync(program, args, { cwd: here, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) {
    throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? `exit code ${status}`}`);
  }
}

const venv = path.join(repository, '.venv', 'bin', 'python');
const python = process.env.PYTHON ?? (existsSync(venv) ? venv : 'python3');
const wheels = path.join(here, 'server');
rmSync(wheels, { recursive: true, force: true });
mkdirSync(wheels);
must(python, '-m', 'build', '--wheel', '--outdir', wheels, repository);
const built = readdirSync(wheels);
const wanted = `goalmap-${version}-py3-none-any.whl`;
if (built.length !== 1 || built[0] !== wanted) {
  throw new Error(`The versions in pyproject.toml and package.json differ: ${built.join(', ')} is not ${wanted}.`);
}

cpSync(path.join(repository, 'LICENSE'), path.join(here, 'LICENSE'));
must(process.execPath, 'scripts/build.mjs', '--production');

// VS Code shows pictures in a README from https addresses alone, not from the package and not embedded. Until there is
// such an address the packaged README goes without, and leads to the walkthrough, which has them.
const readme = readFileSync(path.join(here, 'README.md'), 'utf8');
const walkthrough =
  'See it in pictures: run **Welcome: Open Walkthrough…** and choose *Your first library of prompts*.';
const withoutPictures = readme
  .replace(/^!\[.*\]\(media\/.*\)$/m, walkthrough)
  .replaceAll(/^!\[.*\]\(media\/.*\)\n\n/gm, '');
writeFileSync(path.join(here, 'dist/README.md'), withoutPictures);
must(
  process.execPath,
  'node_modules/@vscode/vsce/vsce',
  'package',
  '--no-dependencies', // esbuild has bundled them
  '--no-rewrite-relative-links',
  '--readme-path',
  'dist/README.md',
  '--allow-missing-repository',
  '--out',
  out,
);
console.log(`${out}: ${(statSync(out).size / 1024).toFixed(0)} KiB`);
