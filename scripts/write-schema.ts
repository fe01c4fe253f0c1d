/**
 * Writes stack.schema.json from the zod schema of the stack file: JSON Schema 2020-12, with descriptions for editors.
 * `--check`: compares instead, and fails when the file is not what would be written.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format } from 'prettier'
import { stackFileJsonSchema } from './stack-json-schema.ts'

const FILE = join(import.meta.dirname, '..', 'stack.schema.json')

const text = await format(JSON.stringify(stackFileJsonSchema()), {
  parser: 'json',
  printWidth: 100,
})
if (!process.argv.includes('--check')) {
  writeFileSync(FILE, text)
} else if (read(FILE) !== text) {
  process.stderr.write('stack.schema.json is not what src/spec/schema.ts gives: npm run schema\n')
  process.exitCode = 1
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
