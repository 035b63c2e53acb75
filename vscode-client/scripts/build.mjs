// Bundle the extension into dist/extension.js: small for the package (--production), else for the debugger.
import { build } from 'esbuild';

const forPackage = process.argv.includes('--production');
await build({
  entryPoints: ['src/extension.ts'],
  outfile: 'dist/extension.js',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['vscode'],
  minify: forPackage,
  sourcemap: !forPackage,
  legalComments: 'none',
});
