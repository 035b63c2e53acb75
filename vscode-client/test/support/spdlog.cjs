// Stands in for the native logger of VS Code's server (@vscode/spdlog), which is not built here: without it no log is
// written, and a test that looks for a secret in the logs would find nothing whatever was logged.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'critical'];

class Logger {
  #file;
  #level = 0;
  #plain = false;

  constructor(_type, _name, file) {
    this.#file = file;
    fs.mkdirSync(path.dirname(file), { recursive: true });
  }
  getLevel() {
    return this.#level;
  }
  setLevel(level) {
    this.#level = level;
  }
  setPattern() {}
  clearFormatters() {
    this.#plain = true;
  }
  flush() {}
  drop() {}
  write(level, message) {
    if (LEVELS.indexOf(level) >= this.#level) {
      fs.appendFileSync(this.#file, this.#plain ? message : `${new Date().toISOString()} [${level}] ${message}\n`);
    }
  }
}
for (const level of LEVELS) {
  Logger.prototype[level] = function log(message) {
    this.write(level, message);
  };
}

const create = async (name, file) => new Logger('rotating', name, file);
// Named one by one: this is how Node finds the names that an ES module may import.
exports.version = 0;
exports.Logger = Logger;
exports.setLevel = () => undefined;
exports.setFlushOn = () => undefined;
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
