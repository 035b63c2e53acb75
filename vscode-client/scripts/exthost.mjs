// Bundle the suites for the extension host, and the program that opens a window for them.
import { build } from 'esbuild';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

const outdir = '.e2e/exthost';
rmSync(outdir, { recursive: true, force: true });
const common = { bundle: true, platform: 'node', target: 'node20', sourcemap: 'inline' };
await build({
  ...common,
  entryPoints: ['test/exthost/run.ts'],
  outfile: `${outdir}/run.mjs`,
  format: 'esm',
  packages: 'external',
});
for (const suite of ['library', 'elsewhere']) {
  const folder = `test/exthost/${suite}`;
  const tests = readdirSync(folder).filter((name) => name.endsWith('.test.ts'));
  await build({
    ...common,
    entryPoints: {
      index: 'test/exthost/suite.ts',
      ...Object.fromEntries(tests.map((name) => [path.basename(name, '.ts'), path.join(folder, name)])),
    },
    outdir: `${outdir}/${suite}`,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['vscode', 'mocha'],
  });
}
