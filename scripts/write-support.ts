/**
 * Writes docs/compose-support.md from the table in src/planner/compose-support.ts.
 * `--check`: compares instead, and fails when the file is not what would be written.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format } from 'prettier'
import { COMPOSE_SUPPORT, type Support } from '../src/planner/compose-support.ts'
import { fieldClass } from '../src/planner/field-classes.ts'

const FILE = join(import.meta.dirname, '..', 'docs', 'compose-support.md')

const HEAD = `# What of the Compose Specification is carried out

Generated from \`src/planner/compose-support.ts\` by \`npm run support\`; a test holds that table against the schema, so that no
attribute is missing. An attribute that is not listed has the support of the one that it belongs to.

- **done**: as Docker Compose does it. **In place**: a change of it is made on the running container, without a restart.
- **host**: where the kernel of the host can; where it can't, \`up\` says so. A limit that is missing is a warning.
- **no effect**: accepted. \`up\` says so, but where nobody could miss it.
- **refused**: \`up\` and \`plan\` name it with the reason before anything is made.
`

function row(path: string, support: Support): string {
  const attribute = path.replace('services.*.', '')
  return `| \`${attribute}\` | ${statusOf(path, support)} | ${support.note ?? ''}${hintOf(support)} |`
}

function statusOf(path: string, { status }: Support): string {
  const inPlace =
    path.startsWith('services.*.') && fieldClass(path.slice('services.*.'.length)) === 'update'
  if (status === 'noted') return 'no effect'
  if (status === 'refused') return '**refused**'
  return `${status}${inPlace ? ', in place' : ''}`
}

function hintOf(support: Support): string {
  return support.status === 'refused' ? `. ${support.hint}` : ''
}

function tableOf(isWanted: (path: string) => boolean): string {
  const rows = Object.entries(COMPOSE_SUPPORT)
    .filter(([path]) => isWanted(path))
    .map(([path, support]) => row(path, support))
  return ['| attribute | support | |', '| --- | --- | --- |', ...rows].join('\n')
}

const isService = (path: string): boolean => path.startsWith('services.*.')
const text = await format(
  [
    HEAD,
    '## Services',
    tableOf(isService),
    '## Top level',
    tableOf((path) => !isService(path)),
  ].join('\n\n'),
  { parser: 'markdown', printWidth: 120 },
)
if (!process.argv.includes('--check')) writeFileSync(FILE, text)
else if (!existsSync(FILE) || readFileSync(FILE, 'utf8') !== text) {
  process.stderr.write('docs/compose-support.md is not what the table gives: npm run support\n')
  process.exitCode = 1
}
