/** What is said twice, here and in the server, must be said alike. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';

interface Setting {
  readonly type: string;
  readonly default: unknown;
  readonly enum?: readonly string[];
  readonly scope: string;
}

interface Manifest {
  readonly version: string;
  readonly contributes: {
    readonly configuration: readonly { readonly properties: Readonly<Record<string, Setting>> }[];
    readonly commands: readonly { readonly command: string }[];
  };
  readonly capabilities: { readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] } };
}

const venv = '../.venv/bin/python';
const python = process.env.PYTHON ?? (fs.existsSync(venv) ? venv : 'python3');
const manifest = JSON.parse(fs.readFileSync('package.json', 'utf8')) as Manifest;
const settings = Object.assign(
  {},
  ...manifest.contributes.configuration.map(({ properties }) => properties),
) as Readonly<Record<string, Setting>>;

function ask(...args: string[]): unknown {
  return JSON.parse(execFileSync(python, args, { encoding: 'utf8' }));
}

const ASK_SETTINGS = `
import json
from goalmap.core.problems import SEVERITIES
from goalmap.settings import DEFAULTS
from goalmap.settings.validation import _ALIASES
d = DEFAULTS
print(json.dumps({
    "names": sorted(_ALIASES),
    "severities": dict(SEVERITIES),
    "defaults": {
        "model.baseUrl": d.model.base_url,
        "model.name": d.model.name,
        "model.timeoutSeconds": d.model.timeout_s,
        "model.maxOutputTokens": d.model.max_output_tokens,
        "generation.naming": d.generation.naming,
        "generation.review": d.generation.review,
        "prompt.maxTokens": d.prompt.max_tokens,
    },
}))
`;

void suite('manifest', () => {
  const server = ask('-c', ASK_SETTINGS) as {
    readonly names: readonly string[];
    readonly severities: Readonly<Record<string, string>>;
    readonly defaults: Readonly<Record<string, unknown>>;
  };

  void test('the settings are those that the server reads, with the same defaults', () => {
    const ours = Object.keys(settings)
      .filter((name) => !/^goalmap\.(server|trace)\./.test(name))
      .map((name) => name.replace(/^goalmap\./, ''));
    assert.deepEqual(ours.sort(), [...server.names].sort());
    for (const [name, value] of Object.entries(server.defaults)) {
      assert.equal(settings[`goalmap.${name}`]?.default, value, name);
    }
    for (const [code, severity] of Object.entries(server.severities)) {
      assert.equal(settings[`goalmap.diagnostics.${code}`]?.default, severity, code);
      assert.deepEqual(settings[`goalmap.diagnostics.${code}`]?.enum, [
        'error',
        'warning',
        'information',
        'hint',
        'off',
      ]);
    }
  });

  void test('an untrusted workspace sets neither a model nor a program', () => {
    const restricted = Object.keys(settings).filter((name) => /^goalmap\.(model|server)\./.test(name));
    assert.deepEqual([...manifest.capabilities.untrustedWorkspaces.restrictedConfigurations].sort(), restricted.sort());
    assert.deepEqual(
      restricted.filter((name) => settings[name]?.scope !== 'machine-overridable'),
      [],
    );
  });

  void test('the schema is the one that the server generates', () => {
    const schema: unknown = JSON.parse(fs.readFileSync('schemas/goal_map.schema.json', 'utf8'));
    assert.deepEqual(schema, ask('-m', 'goalmap', 'schema'));
  });

  void test('the extension and the server that travels with it have one version', () => {
    assert.equal(ask('-c', 'import goalmap, json; print(json.dumps(goalmap.__version__))'), manifest.version);
  });
});
