/**
 * One person's session with Goalmap in a real VS Code, from the installation on.
 *
 * usage: node session.mjs   environment:
 *   GOALMAP_E2E_CACHE    folder with code-server and its Node
 *   GOALMAP_VSIX         the package to install
 *   GOALMAP_EVIDENCE     where screenshots and logs of a failure go
 *   GOALMAP_PICTURES     where the pictures for the READMEs go; none are kept without it
 */
import { generate } from './scenes/generate.ts';
import { install } from './scenes/install.ts';
import { localModel } from './scenes/localModel.ts';
import { read } from './scenes/read.ts';
import { workspaces } from './scenes/workspaces.ts';
import { Stage } from './stage.ts';

const stage = await Stage.set();
let failed = false;
try {
  for (const scene of [install, generate, read, localModel, workspaces]) {
    await scene(stage);
  }
} catch (error) {
  failed = true;
  console.error(error);
} finally {
  await stage.end(failed);
}
console.log(`${String(stage.passed)} steps passed, ${failed ? '1' : '0'} failed, ${stage.took_s} s in all`);
process.exitCode = failed ? 1 : 0;
