// Bundle the editor session; what it runs on is laid out by test/run.sh.
import { build } from 'esbuild';

await build({
  entryPoints: ['test/editor/session.ts'],
  outfile: '.e2e/session.mjs',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
});
