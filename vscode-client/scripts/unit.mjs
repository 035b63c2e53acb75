// Bundle the unit tests and run them with Node's own test runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';

const sources = readdirSync('test/unit')
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => `test/unit/${name}`);
const outdir = '.e2e/unit';
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: sources,
  outdir,
  bundle: true,
  platform: 'node',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  target: 'node20',
  sourcemap: 'inline',
});
const built = readdirSync(outdir).map((name) => `${outdir}/${name}`);
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...built], { stdio: 'inherit' });
process.exit(status ?? 1);
